"""Which sources there are. Knows no source itself."""

from inkling_server.interests.sources.base import Source

_SOURCES: dict[str, Source] = {}


class UnknownSource(LookupError):
    """No source has this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no source {name!r}; there are: {', '.join(source_names())}")


def register_source(name: str, source: Source) -> None:
    """Makes a source known. At import time: not thread-safe.

    Raises:
        ValueError: the name is taken.
    """
    if name in _SOURCES:
        raise ValueError(f"a source named {name!r} is registered already")
    _SOURCES[name] = source


def find_source(name: str) -> Source:
    """The source of that name.

    Raises:
        UnknownSource: there is none.
    """
    try:
        return _SOURCES[name]
    except KeyError:
        raise UnknownSource(name) from None


def source_names() -> tuple[str, ...]:
    """Every name, sorted."""
    return tuple(sorted(_SOURCES))
