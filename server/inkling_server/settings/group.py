"""What every group of settings is."""

from pydantic import BaseModel, ConfigDict

MIB = 1024 * 1024


class SettingsGroup(BaseModel):
    """Plain, validated, immutable. Building one reads no environment."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", protected_namespaces=(), validate_default=True
    )
