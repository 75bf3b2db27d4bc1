"""Where records go beside the store, as types: files, standard output, webhooks, streams, and what others add."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, Strict, ValidationInfo, field_validator

from asterisk_sip.config_nats import NatsKeys
from asterisk_sip.config_types import (
    Derived,
    FilePath,
    Line,
    Name,
    Seconds,
    Section,
    WebhookSecrets,
    WebUrl,
    filled,
    not_below,
)

Kind = Literal["failure", "answered", "gap"]
Wants = Annotated[tuple[Kind, ...], Strict(strict=False), AfterValidator(filled)]


class _Sink(Section):
    """What every sink has. The name is that of its cursor: renamed, it begins with what comes from then on."""

    name: Name
    wants: Wants = ("failure",)


class JsonlConfig(_Sink):
    """A file with one JSON line a record."""

    path: FilePath
    max_mb: int = Field(100, ge=1, le=1_048_576)
    max_hours: int = Field(24, ge=1, le=8_784)
    keep_files: int = Field(14, ge=0, le=100_000)
    fsync: Literal["always", "never"] = "always"


class StdoutConfig(_Sink):
    """One JSON line a record on standard output."""

    name: Name = "stdout"


class WebhookConfig(_Sink):
    """One POST a record. ``secret`` may be several, with a blank between: all of them sign."""

    url: WebUrl
    secret: Annotated[WebhookSecrets | None, Derived()] = None
    secret_file: FilePath | None = None
    ca_file: FilePath | None = None
    parallel: int = Field(8, ge=1, le=256)
    timeout_s: Seconds = 10.0


class NatsConfig(_Sink, NatsKeys):
    """A stream of NATS JetStream, made when it is not there if ``create`` says so."""

    create: bool = False
    replicas: int = Field(3, ge=1, le=5)
    dedupe_s: int = Field(120, ge=1, le=86_400)
    max_age_h: int = Field(168, ge=1, le=87_840)


class PluginConfig(_Sink):
    """A sink that another package adds by an entry point ``asterisk_sip.sinks``; ``options`` are its own."""

    entry: Line
    options: dict[str, Any] = Field(default={})


class SinksConfig(Section):
    """All sinks."""

    jsonl: Annotated[tuple[JsonlConfig, ...], Strict(strict=False)] = ()
    stdout: StdoutConfig | None = None
    webhook: Annotated[tuple[WebhookConfig, ...], Strict(strict=False)] = ()
    nats: Annotated[tuple[NatsConfig, ...], Strict(strict=False)] = ()
    plugin: Annotated[tuple[PluginConfig, ...], Strict(strict=False)] = ()

    @property
    def any(self) -> bool:
        """Whether there is a sink."""
        return bool(self.jsonl or self.stdout or self.webhook or self.nats or self.plugin)


class DeliveryConfig(Section):
    """How patiently the sinks are served."""

    timeout_s: Seconds = 30.0
    retry_min_s: Seconds = 0.5
    retry_max_s: Annotated[Seconds, Field(validate_default=True)] = 60.0
    drain_s: Annotated[float, Field(ge=0, le=3_600, allow_inf_nan=False)] = 10.0
    dead_letters: FilePath = Path("dead-letters")

    @field_validator("retry_max_s")
    @classmethod
    def _not_below_min(cls, value: float, info: ValidationInfo) -> float:
        return not_below(value, info.data.get("retry_min_s", 0), "retry_min_s")
