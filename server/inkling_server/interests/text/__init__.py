"""From the text of content items to sentences of normalised words."""
