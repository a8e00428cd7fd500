"""Finding the Triton that pip installed, and saying what to do when it cannot run."""

import importlib.util
import platform
import sysconfig
from pathlib import Path

import pytest

from inkling_server.triton import install
from inkling_server.triton.install import (
    INSTALL_COMMAND,
    TritonNotInstalled,
    child_environment,
    find_triton,
    write_backend_directory,
)


def test_missing_wheel_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(TritonNotInstalled, match=INSTALL_COMMAND):
        find_triton()


@pytest.mark.parametrize("libc", [("glibc", "2.31"), ("musl", "1.2"), ("", "")])
def test_old_or_other_c_library_is_named(
    monkeypatch: pytest.MonkeyPatch, libc: tuple[str, str]
) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: libc)
    with pytest.raises(TritonNotInstalled, match=r"glibc 2\.35 or newer.*INKLING_TRITON_URL"):
        find_triton()


def test_other_processors_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    with pytest.raises(TritonNotInstalled, match="aarch64"):
        find_triton()


def test_python_without_shared_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sysconfig, "get_config_var", lambda name: "libpython9.9.so.1.0")
    with pytest.raises(TritonNotInstalled, match=r"libpython9\.9\.so"):
        find_triton()


@pytest.mark.triton
def test_backend_directory_holds_links_only(tmp_path: Path) -> None:
    install = find_triton()
    python = write_backend_directory(install, tmp_path) / "python"
    write_backend_directory(install, tmp_path)  # again, over the old one
    assert {path.name for path in python.iterdir()} == {
        "libtriton_python.so",
        "triton_python_backend_utils.py",
        "triton_python_backend_stub",
        "inkling_server",
    }
    assert all(path.is_symlink() and path.exists() for path in python.iterdir())


@pytest.mark.triton
def test_child_sees_nothing_of_our_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("INKLING_DATABASE_URL", "postgresql://user:password@host/db")
    environment = child_environment(find_triton(), tmp_path)
    assert set(environment) == {
        "PATH",
        "LD_LIBRARY_PATH",
        "HOME",
        "LANG",
        "PYTHONDONTWRITEBYTECODE",
    }
    assert environment["PATH"].split(":")[0] == str(install.find_triton().python_bin)
