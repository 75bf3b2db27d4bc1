"""Where OpenTelemetry is sent, as types."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from asterisk_sip.config_sinks import Wants
from asterisk_sip.config_types import Derived, FilePath, HeaderName, Seconds, Secret, Section, WebUrl


class OtlpConfig(Section):
    """A receiver of OTLP over HTTP: an OpenTelemetry Collector, or a vendor's address that speaks it."""

    endpoint: WebUrl
    metrics: bool = True
    logs: bool = True
    traces: bool = True
    wants: Wants = ("failure",)
    interval_s: Annotated[float, Field(ge=1, le=3_600, allow_inf_nan=False)] = 60.0
    timeout_s: Seconds = 10.0
    header: HeaderName = "Authorization"
    credential: Annotated[Secret | None, Derived()] = None
    credential_file: FilePath | None = None
    ca_file: FilePath | None = None

    @model_validator(mode="after")
    def _sends_something(self) -> Self:
        if not (self.metrics or self.logs or self.traces):
            raise ValueError("sends nothing; set metrics, logs or traces to true, or leave the table out")
        return self
