"""Posts of people: captions full of hashtags, emoji, mentions and stretched words."""

from inkling_server.interests.content import ContentItem
from inkling_server.interests.sources.base import Passage, SourceText
from inkling_server.interests.sources.social import clean_post, merge_hashtags
from inkling_server.interests.text.document import Field


class UserGenerated:
    """Reads posts."""

    def read(self, item: ContentItem) -> SourceText:
        """Cleans every text field as a post."""
        fields = [
            (Field.TITLE, item.title),
            (Field.CAPTION, item.caption),
            (Field.OVERLAY, item.overlay_text),
            (Field.BODY, item.body),
            (Field.TRANSCRIPT, item.transcript),
            (Field.SPEECH, item.speech),
            *((Field.COMMENT, comment) for comment in item.comments),
            (Field.LOCATION, item.location),
        ]
        posts = [(field, clean_post(text)) for field, text in fields if text]
        # What others hang under a post is theirs: their hashtags are not the item's.
        own = [post for field, post in posts if field is not Field.COMMENT]
        passages = tuple(Passage(field, post.text) for field, post in posts if post.text)
        return SourceText(passages, merge_hashtags(item.hashtags, *own))
