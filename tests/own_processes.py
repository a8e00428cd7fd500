"""The child processes that a test has started itself: those of shared fixtures are not its own."""

from collections.abc import Callable

import psutil
import pytest

OwnChildren = Callable[[], list[psutil.Process]]


@pytest.fixture
def own_children() -> OwnChildren:
    """Says which children there are now that were not there when the test began."""
    known = set(psutil.Process().children())
    return lambda: [child for child in psutil.Process().children() if child not in known]
