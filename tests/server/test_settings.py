"""Settings come from flags, then the environment, then defaults, and explain themselves."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from inkling_server.settings import Settings, describe_problems, load_settings


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Only what a test sets itself, plus a model repository."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"INKLING_{name.upper()}", raising=False)
    (tmp_path / "models" / "vision_encoder").mkdir(parents=True)
    monkeypatch.setenv("INKLING_MODEL_REPOSITORY", str(tmp_path / "models"))


def test_defaults_are_the_documented_ones() -> None:
    settings = load_settings([])
    assert (settings.grpc_port, settings.http_port) == (50_051, 8_080)
    assert settings.host == "127.0.0.1"
    assert settings.triton_url is None
    assert settings.data_dir.name == "inkling"


def test_environment_beats_default_and_flag_beats_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("INKLING_GRPC_PORT", "1001")
    monkeypatch.setenv("INKLING_HTTP_PORT", "1002")
    settings = load_settings(["--http-port", "1003"])
    assert (settings.grpc_port, settings.http_port) == (1001, 1003)


@pytest.mark.parametrize("spelling", [["--drain-s=3"], ["--drain-s", "3"]])
def test_flags_take_both_spellings(spelling: list[str]) -> None:
    assert load_settings(spelling).drain_s == 3.0


def test_empty_variable_means_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INKLING_TRITON_URL", "")
    assert load_settings([]).triton_url is None


@pytest.mark.parametrize(
    ("flags", "variable"),
    [(["--languages=en,de"], ""), (["--languages=en", "--languages=de"], ""), ([], "en, de")],
)
def test_lists_are_parted_by_commas(
    monkeypatch: pytest.MonkeyPatch, flags: list[str], variable: str
) -> None:
    monkeypatch.setenv("INKLING_LANGUAGES", variable)
    assert load_settings(flags).languages == ("en", "de")


def test_foreign_variables_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INKLING_SERVICE_HOST", "10.0.0.1")
    assert load_settings([]).host == "127.0.0.1"


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load_settings([]).grpc_port = 1


def test_building_settings_reads_no_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("INKLING_GRPC_PORT", "1001")
    assert Settings(model_repository=tmp_path / "models").grpc_port == 50_051


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--grpc-port=70000"], "--grpc-port or INKLING_GRPC_PORT"),
        (["--drain-s=-1"], "--drain-s or INKLING_DRAIN_S"),
        (["--max-batch-count=many"], "--max-batch-count or INKLING_MAX_BATCH_COUNT"),
        (["--log-level=loud"], "--log-level or INKLING_LOG_LEVEL"),
        (["--tls-cert=a.pem"], "give both or neither"),
        (["--grpc-port=7", "--http-port=7"], "must differ"),
        (["--model-repository=/nonexistent"], "vision_encoder"),
        (["--languages=english"], "--languages or INKLING_LANGUAGES"),
        (["--refresh-period-s=-1"], "--refresh-period-s or INKLING_REFRESH_PERIOD_S"),
        (["--graph-poll-s=0"], "--graph-poll-s or INKLING_GRAPH_POLL_S"),
        (["--graph-keep-count=0"], "--graph-keep-count or INKLING_GRAPH_KEEP_COUNT"),
        (["--refresh-nice=20"], "--refresh-nice or INKLING_REFRESH_NICE"),
        (["--min-interest-documents=0"], "INKLING_MIN_INTEREST_DOCUMENTS"),
        (["--trend-days=15"], "--trend-days or INKLING_TREND_DAYS"),
        (["--embedder=magic"], "text_encoder, word2vec, fasttext"),
    ],
)
def test_a_wrong_value_is_named_without_being_repeated(flags: list[str], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        load_settings(flags)
    text = describe_problems(caught.value)
    assert said in text
    assert "many" not in text


def test_both_ports_may_be_chosen_freely() -> None:
    settings = load_settings(["--grpc-port=0", "--http-port=0"])
    assert settings.grpc_port == settings.http_port == 0


def test_unknown_flag_ends_the_program(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        load_settings(["--grpc-prot=1"])
    assert caught.value.code == 2
    assert "--grpc-prot" in capsys.readouterr().err


def test_help_lists_every_setting_with_its_consequence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        load_settings(["--help"])
    assert caught.value.code == 0
    said = capsys.readouterr().out
    for name, field in Settings.model_fields.items():
        assert f"--{name.replace('_', '-')}" in said
        assert field.description
        assert field.description.split()[0] in said
