"""What a model's pictures look like to it: centroids that come with the model, where it has any.

They tell an approximate index in which directions pictures differ. Clusters are made for people's
profiles; here they are only embeddings.
"""

import logging
from pathlib import Path

from inkling_server.encoders import Embeddings
from inkling_server.model_manifest import ModelManifest
from inkling_server.profiles.clusters import ClustersDamaged, load_shipped
from inkling_server.serving_state import TypicalPictures

_log = logging.getLogger(__name__)


def typical_pictures_of(model_repository: Path) -> TypicalPictures:
    """Looks typical pictures up beside the models of a repository."""

    def look_up(manifest: ModelManifest) -> Embeddings | None:
        try:
            clusters = load_shipped(model_repository, manifest.version, manifest.fingerprint)
        except (OSError, ClustersDamaged) as error:
            _log.warning("typical pictures: %s; tags are searched exactly", error)
            return None
        return None if clusters is None else clusters.centroids_KD

    return look_up
