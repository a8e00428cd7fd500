"""Reads the settings from flags and the environment, and says what is wrong with them."""

from collections.abc import Sequence

from pydantic import ValidationError
from pydantic_settings import BaseSettings, CliApp, SettingsConfigDict

from inkling_server.settings.every import Settings

_PREFIX = "INKLING_"


class _Outside(BaseSettings, Settings):
    """Inkling's server. Every flag is also a variable: --grpc-port is INKLING_GRPC_PORT."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX,
        # An exported but empty variable means "not set".
        env_ignore_empty=True,
        frozen=True,
        cli_prog_name="inkling-server",
        cli_kebab_case=True,
        cli_hide_none_type=True,
        cli_avoid_json=True,
        # Kubernetes, CI and this server's own clients put other INKLING_ variables beside ours.
        extra="ignore",
        protected_namespaces=(),
    )


def load_settings(arguments: Sequence[str]) -> Settings:
    """Reads flags, then the environment, then the defaults.

    Args:
        arguments: the command line without the program's name.

    Raises:
        pydantic.ValidationError: a value is wrong; the text names setting and problem.
        SystemExit: after --help, or an unknown flag.
    """
    outside = CliApp.run(_Outside, cli_args=list(arguments))
    return Settings.model_validate(outside.model_dump())


def describe_problems(error: ValidationError) -> str:
    """What is wrong, a line for each setting. Values are left out: some settings are secrets."""
    lines = []
    for problem in error.errors(include_input=False):
        name = str(problem["loc"][0]) if problem["loc"] else ""
        where = f"--{name.replace('_', '-')} or {_PREFIX}{name.upper()}: " if name else ""
        lines.append(f"  {where}{problem['msg'].removeprefix('Value error, ')}")
    return "\n".join(lines)
