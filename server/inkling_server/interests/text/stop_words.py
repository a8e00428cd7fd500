"""English function words: they join phrases, and never begin or end one.

Words of everyday talk ("lol", "really") are among them; topics ("day", "love") are not.
"""

from inkling_server.interests.text.lexicons import read_words

STOP_WORDS = read_words("stop_words.txt")
