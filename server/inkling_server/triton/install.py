"""Finds the `tritonserver` that pip installed, and lays out what it needs to run.

The wheel `nvidia-pytriton` carries NVIDIA's server with the Python backend. Its Python API is not
used. This module only looks at files: it starts nothing and knows neither models nor ports.

Source of the layout and of the traps named below: measured with Triton 2.51.0 (release 24.10).
"""

import importlib.util
import os
import platform
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from inkling_server.errors import EncoderDown

INSTALL_COMMAND = "pip install --no-deps nvidia-pytriton==0.7.0"
MINIMUM_GLIBC = (2, 35)


class TritonNotInstalled(EncoderDown):
    """This machine cannot run Triton as it is; the text says what to do."""


@dataclass(frozen=True, slots=True)
class TritonInstall:
    """Where the parts of one installation lie.

    Attributes:
        server: the `tritonserver` program.
        backend_library: the Python backend.
        backend_utils: the module that Python models import.
        stub: the process that runs a Python model, built for this Python version.
        caches: the response caches that Triton insists on finding.
        python_bin: folder whose `python3` decides which packages the models see.
        libpython_dir: folder of this interpreter's shared library.
    """

    server: Path
    backend_library: Path
    backend_utils: Path
    stub: Path
    caches: Path
    python_bin: Path
    libpython_dir: Path


def find_triton() -> TritonInstall:
    """Looks for Triton beside this Python's packages.

    Raises:
        TritonNotInstalled: the wheel, a matching stub, glibc or libpython is missing.
    """
    _require_platform()
    spec = importlib.util.find_spec("pytriton")
    if spec is None or spec.origin is None:
        raise TritonNotInstalled(f"Triton is not installed; run: {INSTALL_COMMAND}")
    root = Path(spec.origin).parent / "tritonserver"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    install = TritonInstall(
        server=root / "bin" / "tritonserver",
        backend_library=root / "backends" / "python" / "libtriton_python.so",
        backend_utils=root / "backends" / "python" / "triton_python_backend_utils.py",
        stub=root / "python_backend_stubs" / version / "triton_python_backend_stub",
        caches=root / "caches",
        python_bin=Path(sys.executable).parent,
        libpython_dir=_find_libpython(),
    )
    for part in (install.server, install.backend_library, install.backend_utils, install.stub):
        if not part.is_file():
            raise TritonNotInstalled(
                f"the Triton installation has no {part.name} for Python {version};"
                f" run: {INSTALL_COMMAND}"
            )
    if not (install.python_bin / "python3").exists():
        raise TritonNotInstalled(f"there is no python3 in {install.python_bin}")
    return install


def write_backend_directory(install: TritonInstall, directory: Path) -> Path:
    """Fills `directory` with what `--backend-directory` wants; returns it.

    Only symlinks do: a copied stub loses its relative library path, and Triton then stays in
    "loading" for many minutes without a word. Stubs ignore PYTHONPATH but look into this folder, so
    models find this package here even when it is not installed.
    """
    python = directory / "python"
    python.mkdir(parents=True, exist_ok=True)
    package = Path(__file__).resolve().parents[1]
    for part in (install.backend_library, install.backend_utils, install.stub, package):
        link = python / part.name
        link.unlink(missing_ok=True)
        link.symlink_to(part)
    return directory


def child_environment(install: TritonInstall, home: Path) -> dict[str, str]:
    """The whole environment for Triton and its stubs; nothing of ours (no passwords) leaks in."""
    return {
        "PATH": os.pathsep.join((str(install.python_bin), "/usr/local/bin", "/usr/bin", "/bin")),
        # Without it the stub may load Debian's libpython instead of this interpreter's.
        "LD_LIBRARY_PATH": str(install.libpython_dir),
        "HOME": str(home),
        "LANG": "C.UTF-8",
        # Models are Python files: their folder is the user's, and may be read-only.
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _require_platform() -> None:
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise TritonNotInstalled(
            f"Triton's wheel is for Linux on x86_64, not {sys.platform} on {platform.machine()};"
            " set INKLING_TRITON_URL to a Triton elsewhere"
        )
    library, version = platform.libc_ver()
    numbers = tuple(int(part) for part in version.split(".")[:2]) if version else (0, 0)
    if library != "glibc" or numbers < MINIMUM_GLIBC:
        wanted = ".".join(map(str, MINIMUM_GLIBC))
        raise TritonNotInstalled(
            f"Triton needs glibc {wanted} or newer, this machine has {library} {version};"
            " set INKLING_TRITON_URL to a Triton elsewhere"
        )


def _find_libpython() -> Path:
    # LDLIBRARY without -dev packages may name a file that is absent; INSTSONAME is what is loaded.
    name = str(sysconfig.get_config_var("INSTSONAME") or "")
    if ".so" not in name:
        name = f"libpython{sys.version_info.major}.{sys.version_info.minor}.so.1.0"
    library_dir = str(sysconfig.get_config_var("LIBDIR") or "/usr/lib")
    multiarch = str(sysconfig.get_config_var("MULTIARCH") or "x86_64-linux-gnu")
    folders = (
        Path(sys.base_prefix) / "lib",
        Path(library_dir),
        Path(library_dir) / multiarch,
        Path("/usr/lib") / multiarch,
    )
    for folder in folders:
        if (folder / name).exists():
            return folder
    raise TritonNotInstalled(
        f"this Python has no shared library {name}, which Triton's Python backend loads;"
        " on Debian install libpython3-dev's library package, or use a Python built with"
        " --enable-shared"
    )
