"""One search thread for a module's tests."""

from collections.abc import Iterator

import pytest

from inkling_server.tag_index import SearchThread


@pytest.fixture(scope="module")
def thread() -> Iterator[SearchThread]:
    with SearchThread() as thread:
        yield thread
