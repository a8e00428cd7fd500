"""The stages of making a version of the graph, in order."""

from enum import StrEnum


class Stage(StrEnum):
    """Where a refresh is; in this order."""

    LOADING = "loading"  # what the last refresh knew
    READING = "reading"  # new content; in bytes of the feed
    TOPICS = "topics"
    CHOOSING = "choosing"  # phrases that become interests
    EMBEDDING = "embedding"  # phrases that are new
    JOINING = "joining"  # edges
    RANKING = "ranking"  # PageRank and communities
    WRITING = "writing"  # the draft
    PROVING = "proving"  # canary pictures
    PUBLISHING = "publishing"  # cannot be cancelled any more
    DONE = "done"
