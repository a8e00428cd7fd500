"""Articles of publishers: headline and body, from text or from a whole web page."""

import html

from inkling_server.interests.content import ContentItem
from inkling_server.interests.sources.base import Passage, SourceText
from inkling_server.interests.sources.social import clean_post, merge_hashtags
from inkling_server.interests.text.document import Field
from inkling_server.interests.text.markup import read_article


class Publisher:
    """Reads articles. Comments under an article are not read: they are seldom about its topic."""

    def read(self, item: ContentItem) -> SourceText:
        """Takes the article out of its page; a caption is the teaser."""
        article = read_article(item.body)
        teaser = clean_post(item.caption)
        fields = (
            (Field.TITLE, html.unescape(item.title).strip() or article.headline),
            (Field.CAPTION, teaser.text),
            (Field.OVERLAY, item.overlay_text.strip()),
            (Field.BODY, article.body),
            (Field.TRANSCRIPT, item.transcript.strip()),
            (Field.SPEECH, item.speech.strip()),
            (Field.LOCATION, item.location.strip()),
        )
        passages = tuple(Passage(field, text) for field, text in fields if text)
        return SourceText(passages, merge_hashtags(item.hashtags, teaser))
