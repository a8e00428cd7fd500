"""The README keeps its word: its commands, flags, settings and links exist."""

import re
from pathlib import Path

import pytest

from inkling_server.settings import Settings

DOCUMENTS = ["README.md", "CONTRIBUTING.md", "docs/client.md", "model_repository/MODEL_CARD.md"]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_make_targets_exist(repository: Path, name: str) -> None:
    makefile = (repository / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    text = (repository / name).read_text(encoding="utf-8")
    named = set(re.findall(r"(?:`|^    |^)make ([a-z-]+)", text, re.MULTILINE))
    assert named <= targets


@pytest.mark.parametrize("name", DOCUMENTS)
def test_relative_links_lead_somewhere(repository: Path, name: str) -> None:
    text = (repository / name).read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", text):
        assert (repository / name).parent.joinpath(target).exists(), target


@pytest.mark.parametrize("name", DOCUMENTS)
def test_settings_exist(repository: Path, name: str) -> None:
    text = (repository / name).read_text(encoding="utf-8")
    named = {word.lower() for word in re.findall(r"INKLING_([A-Z_]+)\b", text)}
    # Read by the command line and by the tests, not by the server.
    assert named - {"server", "tls", "ca_file", "sample_data"} <= set(Settings.model_fields)


def test_every_setting_says_what_it_costs() -> None:
    assert [n for n, f in Settings.model_fields.items() if len(f.description or "") < 30] == []


def test_two_commands_are_the_contract(repository: Path) -> None:
    text = (repository / "README.md").read_text(encoding="utf-8")
    assert "make demo" in text
    assert "make test" in text
    run = (repository / ".ci" / "run").read_text(encoding="utf-8")
    assert "make test" in run
    assert "make check" in run
