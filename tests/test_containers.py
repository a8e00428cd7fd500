"""What can be checked of Dockerfile and compose files without a container engine."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from inkling_server.settings import Settings


def compose(repository: Path, name: str) -> Any:
    return yaml.safe_load((repository / name).read_text(encoding="utf-8"))


def dockerfile(repository: Path) -> list[str]:
    text = (repository / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_every_copied_path_exists(repository: Path) -> None:
    for line in dockerfile(repository):
        if line.startswith("COPY"):
            for source in line.split()[1:-1]:
                assert (repository / source).exists(), line


def test_every_environment_variable_is_a_setting(repository: Path) -> None:
    named = set(re.findall(r"INKLING_([A-Z_]+)=", "\n".join(dockerfile(repository))))
    named |= {
        key.removeprefix("INKLING_")
        for key in compose(repository, "compose.yaml")["services"]["gateway"]["environment"]
    }
    assert named
    assert {name.lower() for name in named} <= set(Settings.model_fields)


def test_exposed_ports_are_the_defaults(repository: Path) -> None:
    exposed = next(line for line in dockerfile(repository) if line.startswith("EXPOSE")).split()[1:]
    defaults = [Settings.model_fields[name].default for name in ("grpc_port", "http_port")]
    assert [int(port) for port in exposed] == defaults


def test_installs_what_make_install_installs(repository: Path) -> None:
    makefile = (repository / "Makefile").read_text(encoding="utf-8")
    for requirement in ("requirements/constraints.txt", "requirements/triton.txt"):
        assert requirement in makefile
        assert any(
            line.startswith("RUN pip") and requirement in line for line in dockerfile(repository)
        )


@pytest.mark.parametrize("model", ["vision_encoder", "text_encoder"])
def test_triton_loads_models_that_have_the_chosen_config(repository: Path, model: str) -> None:
    command = compose(repository, "compose.yaml")["services"]["triton"]["command"]
    config = next(a for a in command if "config-name" in a).split("=")[1]
    assert f"--load-model={model}" in command
    assert (repository / "model_repository" / model / "configs" / f"{config}.pbtxt").is_file()


def test_gpu_file_only_adds_to_services_that_exist(repository: Path) -> None:
    base = compose(repository, "compose.yaml")["services"]
    overlay = compose(repository, "compose.gpu.yaml")["services"]
    assert overlay.keys() <= base.keys()
    stages = [line.split()[-1] for line in dockerfile(repository) if line.startswith("FROM")]
    for services in (base, overlay):
        for service in services.values():
            if "build" in service:
                assert service["build"]["target"] in stages
