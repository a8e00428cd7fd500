"""A real follower process with the fake encoder: `python fake_follower.py`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from inkling_server.encoders import Encoder
from inkling_server.fake_encoder import FakeEncoder
from inkling_server.model_manifest import load_manifest
from inkling_server.processes.follower import main
from inkling_server.processes.following import OpenEncoder
from inkling_server.processes.orders import Orders


def open_fake_encoders(orders: Orders) -> OpenEncoder:
    """Fake encoders of the versions in the model repository."""

    async def open_encoder(version: int) -> Encoder:
        return FakeEncoder(load_manifest(orders.shared.settings.model_repository, version))

    return open_encoder


if __name__ == "__main__":
    sys.exit(main(open_fake_encoders))
