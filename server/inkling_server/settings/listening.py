"""Where the server listens, how it lives and ends, and what it tells."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from inkling_server.settings.group import SettingsGroup

Port = Annotated[int, Field(ge=0, le=65_535)]


class ListeningSettings(SettingsGroup):
    """Where the server listens, how it lives and ends, and what it tells."""

    # Where it listens
    host: str = Field(
        default="127.0.0.1",
        description="Address that both ports bind. The default is loopback because the server asks "
        "nobody for credentials: whoever reaches it may use it. Containers set 0.0.0.0 and leave "
        "the guarding to the network around them.",
    )
    grpc_port: Port = Field(
        default=50_051,
        description="Port of the gRPC services. 0 takes a free one: it is logged and written to "
        "DATA_DIR/server.json.",
    )
    http_port: Port = Field(
        default=8_080,
        description="Port of /metrics, /healthz, /readyz and the status page. 0 as above.",
    )
    tls_cert: Path | None = Field(
        default=None,
        description="PEM certificate chain of the gRPC port. Together with tls_key; without them "
        "pictures travel in clear text.",
    )
    tls_key: Path | None = Field(
        default=None, description="PEM private key that belongs to tls_cert."
    )

    # How it lives and ends
    canary_period_s: float = Field(
        default=1.0,
        gt=0,
        le=60,
        description="Pause between two canary pictures, each tagged through decode, Triton and "
        "index. Shorter: trouble shows sooner, at one picture's work a time.",
    )
    canary_timeout_s: float = Field(
        default=5.0,
        gt=0,
        le=60,
        description="A canary slower than this counts as failed, unless other pictures were "
        "answered meanwhile (a busy server is not a dead one).",
    )
    drain_s: float = Field(
        default=20.0,
        ge=0,
        le=600,
        description="After SIGTERM or SIGINT, how long requests under way may take to finish "
        "before they are cut off. Keep it below the orchestrator's own limit (Kubernetes: 30 s).",
    )

    # What it tells
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severity that is logged."
    )
    log_format: Literal["text", "json"] = Field(
        default="text", description="text: key=value lines for people; json: one object a line."
    )
