"""Documents of a few words for tests of phrases."""

from datetime import UTC, datetime

from inkling_server.interests.phrases.candidates import CandidateReader, ReadDocument
from inkling_server.interests.phrases.pos import LexiconTagger
from inkling_server.interests.text.document import Document, Field
from inkling_server.interests.text.tokens import sentences

SPIDERS = (
    "Jumping spiders of the rain forest. Jumping spiders hunt by day, and their eyes are large. "
    "The rain forest is full of small insects, which jumping spiders eat. Spider webs are rare "
    "here: jumping spiders do not build them."
)


def document(
    text: str, name: str = "d", created: str | None = None, field: Field = Field.BODY
) -> Document:
    time = datetime.fromisoformat(created).replace(tzinfo=UTC) if created else None
    return Document(name, "test", sentences(text, field), time)


def read(
    text: str, field: Field = Field.BODY, max_words: int = 4, *, weak_names: bool = False
) -> ReadDocument:
    reader = CandidateReader(LexiconTagger(), max_words=max_words, weak_names=weak_names)
    return reader.read(document(text, field=field))
