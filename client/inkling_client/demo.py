"""The demo: starts a real server, tags real photos, prints what it saw, stops the server.

    python -m inkling_client.demo [FILE_OR_FOLDER...]

Without arguments the photos are those that scikit-image and scikit-learn carry; nothing is
downloaded.
Exit codes: 0 every photo has an answer, 1 some failed, 2 something is missing, 3 no server.

This module does not know how servers start (`demo_server.py`) nor how tables look (`cli_view.py`).
"""

import importlib.util
import signal
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

from inkling_client.cli_connect import EXIT_NO_SERVER, EXIT_SOME_FAILED, EXIT_USAGE
from inkling_client.cli_files import find_pictures
from inkling_client.cli_serve import missing_server_packages
from inkling_client.cli_view import TagTable, printable_lines, summary
from inkling_client.client import InklingClient
from inkling_client.demo_server import ServerFailed, running_server
from inkling_client.errors import InklingClientError
from inkling_client.results import ServerInfo

# Everyday things among the photos that packages carry. Coins, planets, rockets and microscopes are
# left out: they lie outside what inkling-small was trained on (see its model card).
_PHOTOS = (
    ("skimage", "data/chelsea.png"),
    ("skimage", "data/coffee.png"),
    ("sklearn", "datasets/images/china.jpg"),
    ("skimage", "data/motorcycle_left.png"),
    ("skimage", "data/camera.png"),
    ("skimage", "data/astronaut.png"),
)
_EXIT_INTERRUPTED = 130


def main(arguments: list[str]) -> int:
    """Runs the demo; returns the exit code."""
    errors = Console(stderr=True, highlight=False)
    if missing := missing_server_packages():
        errors.print(f"the server's packages are missing ({', '.join(missing)}): make install")
        return EXIT_USAGE
    photos = [item.path for item in find_pictures(arguments, recursive=True)] or bundled_photos()
    if not photos:
        errors.print("no photos: install scikit-image, or name some")
        return EXIT_USAGE
    try:
        return _run(photos, errors)
    except ServerFailed as failure:
        errors.print(Text(printable_lines(str(failure)), "dim"))
        errors.print("the server did not come up; the end of its log is above")
        return EXIT_NO_SERVER
    except KeyboardInterrupt:
        return _EXIT_INTERRUPTED


def _run(photos: list[str], errors: Console) -> int:
    console = Console(highlight=False)
    started_s = time.monotonic()
    errors.print("Starting a server: Triton with two encoders, the gateway with its tag index.")
    with (
        tempfile.TemporaryDirectory(prefix="inkling-demo-") as folder,
        errors.status("starting") as status,
        running_server(Path(folder)) as target,
    ):
        status.stop()
        with InklingClient(target) as client:
            console.print(_what_runs(client.get_info(), time.monotonic() - started_s))
            exit_code = _tag(client, photos, console)
        status.update("stopping")
        status.start()
    errors.print("The server is stopped. To tag your own: make serve, then inkling tag PATH")
    return exit_code


def _what_runs(info: ServerInfo, took_s: float) -> Text:
    encoders = "".join(f"\n  {encoder.name}: {encoder.runtime}" for encoder in info.encoders)
    index = f"\n  {info.interest_count:,} interests: {info.tag_index}\n"
    return Text(printable_lines(f"It serves after {took_s:.1f} s.{encoders}{index}"))


def _tag(client: InklingClient, photos: list[str], console: Console) -> int:
    """Tags photos, prints them in their order; returns the exit code."""
    started_s = time.monotonic()
    outcomes = dict(client.tag_stream((photo, Path(photo)) for photo in photos))
    took_s = time.monotonic() - started_s
    table = TagTable(console, [Path(photo).name for photo in photos])
    console.print(table.header())
    failed_count = 0
    versions: dict[tuple[str, str], None] = {}
    for photo in photos:
        outcome = outcomes[photo]
        console.print(table.picture(Path(photo).name, outcome))
        if isinstance(outcome, InklingClientError):
            failed_count += 1
        else:
            versions[outcome.model_version, outcome.graph_version] = None
    console.print(summary(len(photos) - failed_count, failed_count, took_s, versions))
    return EXIT_SOME_FAILED if failed_count else 0


def bundled_photos() -> list[str]:
    """Paths of the photos that scikit-image and scikit-learn installed; none without them."""
    found = []
    for name, photo in _PHOTOS:
        package = importlib.util.find_spec(name)
        if package is None or not package.submodule_search_locations:
            continue
        path = Path(package.submodule_search_locations[0]) / photo
        if path.is_file():
            found.append(str(path))
    return found


if __name__ == "__main__":
    for number in (signal.SIGTERM, signal.SIGHUP):
        # Unwind like Ctrl-C, so that the server is stopped.
        signal.signal(number, signal.default_int_handler)
    sys.exit(main(sys.argv[1:]))
