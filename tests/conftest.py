"""Fixtures that every test may use."""

import os
from pathlib import Path

import pytest

pytest_plugins = ["tests.own_processes", "tests.postgres_fixtures", "tests.triton_fixtures"]

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def repository() -> Path:
    """The repository's root."""
    return REPOSITORY


@pytest.fixture(scope="session")
def sample_data() -> Path:
    """A folder of real sample data where the machine has one; tests that need it skip elsewhere."""
    folder = Path(os.environ.get("INKLING_SAMPLE_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "images").is_dir():
        pytest.skip("no sample data: set INKLING_SAMPLE_DATA")
    return folder
