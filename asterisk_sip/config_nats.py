"""How NATS is reached, as types: by a sink that publishes, and by a collector."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, Strict, ValidationInfo, field_validator

from asterisk_sip.config_types import Derived, FilePath, HostPort, Line, NatsName, Secret, Section, filled, without


class NatsKeys(Section):
    """Where the servers are, and who we are to them."""

    servers: Annotated[tuple[HostPort, ...], Strict(strict=False), AfterValidator(filled)] = ("127.0.0.1:4222",)
    user: Line | None = None
    password: Annotated[Secret | None, Derived()] = None
    password_file: FilePath | None = None
    credentials_file: FilePath | None = None
    tls: bool = False
    ca_file: FilePath | None = None
    cert_file: FilePath | None = None
    key_file: FilePath | None = None
    stream: NatsName = "asterisk-sip"

    @field_validator("password_file")
    @classmethod
    def _only_with_user(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        return without(value, lacking=info.data.get("user", "") is None, what="user")

    @field_validator("credentials_file")
    @classmethod
    def _one_of_two(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if value is not None and info.data.get("user") is not None:
            raise ValueError("has no effect beside user; keep one")
        return value

    @field_validator("ca_file", "cert_file")
    @classmethod
    def _only_with_tls(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        return without(value, lacking=info.data.get("tls") is False, what="tls = true")

    @field_validator("key_file")
    @classmethod
    def _only_with_certificate(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        return without(value, lacking=info.data.get("cert_file", "") is None, what="cert_file")


class CollectorConfig(NatsKeys):
    """Reads what companions publish, and writes it into the store."""

    durable: NatsName = "collector"
    max_ack_pending: int = Field(5_000, ge=1, le=1_000_000)
    ack_wait_s: int = Field(30, ge=5, le=3_600)
