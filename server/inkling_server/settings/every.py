"""All settings, and what must hold between them."""

from typing import Self

from pydantic import model_validator

from inkling_server.interests.embedders.spec import check_spec
from inkling_server.settings.graph import GraphSettings
from inkling_server.settings.listening import ListeningSettings
from inkling_server.settings.media import MediaSettings
from inkling_server.settings.people import PeopleSettings
from inkling_server.settings.rollout import RolloutSettings
from inkling_server.settings.serving import ServingSettings
from inkling_server.speech.recognizer import speech_problem


# Pydantic lists the fields of the last base first, and --help does so, too.
class Settings(
    MediaSettings,
    RolloutSettings,
    PeopleSettings,
    GraphSettings,
    ServingSettings,
    ListeningSettings,
):
    """The server's settings: plain, validated, immutable. Building one reads no environment."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key: give both or neither")
        if not (self.model_repository / "vision_encoder").is_dir():
            raise ValueError(
                "model_repository: needs a folder that holds vision_encoder/ (there is a default "
                "only where the server runs from a checkout)"
            )
        check_spec(self.embedder)
        if problem := speech_problem(self.speech_recognizer):
            raise ValueError(f"speech_recognizer: {problem}")
        if self.grpc_port == self.http_port != 0:
            raise ValueError("grpc_port and http_port: must differ")
        return self
