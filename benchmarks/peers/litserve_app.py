"""The same work by LitServe (https://github.com/Lightning-AI/LitServe), batching on.

    build/peers/bin/python -m benchmarks.peers.litserve_app --model M.onnx --tags T.npz --port 8001

One worker process with every core, a batch of 32 at most; a batch's pictures decode side by side.
Requests are `multipart/form-data`, one of LitServe's two ways for bytes (the other, base64 in JSON:
`--json`). Only this module imports LitServe.
"""

import argparse
import base64
from typing import Annotated, Any

import litserve  # type: ignore[import-not-found,unused-ignore]
from fastapi import File  # type: ignore[import-not-found,unused-ignore]

from benchmarks.peers.tagger import (
    PictureBroken,
    Tagger,
    TaggerOptions,
    Tags,
    options_of,
    tagger_flags,
)

_BATCH = 32
_BATCH_TIMEOUT_S = 0.005
_BODY_BYTES = 64 * 1024 * 1024


class FormAPI(litserve.LitAPI):  # type: ignore[misc,unused-ignore]
    """A picture as a form's file, answered by JSON."""

    def __init__(self, options: TaggerOptions, **batching: Any) -> None:
        super().__init__(**batching)
        self._options = options

    def setup(self, device: str) -> None:  # noqa: ARG002
        self._tagger = Tagger(self._options)

    def decode_request(self, request: Annotated[bytes, File()]) -> bytes:
        return request

    def predict(self, pictures: list[bytes]) -> list[Tags | PictureBroken]:
        return self._tagger.tag(pictures)

    def unbatch(self, output: list[Tags | PictureBroken]) -> list[Tags | PictureBroken]:
        return output

    def encode_response(self, output: Tags | PictureBroken) -> dict[str, Any]:
        if isinstance(output, PictureBroken):
            return {"error": str(output)}
        return {"tags": [{"id": i, "phrase": p, "score": s} for i, p, s in output]}


class JsonAPI(FormAPI):
    """A picture as base64 in a JSON object."""

    def decode_request(self, request: dict[str, str]) -> bytes:  # type: ignore[override]
        return base64.b64decode(request["image"])


def main(arguments: list[str] | None = None) -> None:
    """Serves until the process ends; ready when /health says so."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    tagger_flags(parser)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--slow-queue", action="store_true", help="LitServe's default transport")
    chosen = parser.parse_args(arguments)
    kind = JsonAPI if chosen.json else FormAPI
    api = kind(options_of(chosen), max_batch_size=_BATCH, batch_timeout=_BATCH_TIMEOUT_S)
    server = litserve.LitServer(
        api,
        accelerator="cpu",
        fast_queue=not chosen.slow_queue,
        max_payload_size=_BODY_BYTES,
        timeout=False,
    )
    server.run(host="127.0.0.1", port=chosen.port, generate_client_file=False, log_level="warning")


if __name__ == "__main__":
    main()
