"""Records to OpenTelemetry: as logs, as traces, or both, over OTLP/HTTP with protobuf."""

from __future__ import annotations

import asyncio
import gzip
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from asterisk_sip.calls.model import CallRecord, from_json
from asterisk_sip.errors import PermanentSinkError
from asterisk_sip.sinks.base import Delivery, Kind
from asterisk_sip.sinks.otlp_records import logs, traces
from asterisk_sip.sinks.otlp_values import MEDIA_TYPE, resource
from asterisk_sip.sinks.poster import Poster, PostSettings
from asterisk_sip.stores.base import Gap, gap_from_json

AT_MOST = 200


class Message(Protocol):
    """A protobuf message."""

    def SerializeToString(self) -> bytes:  # noqa: N802  protobuf's name
        """Return its bytes."""


@dataclass(frozen=True, slots=True)
class OtlpSettings:
    """Where to send: the base of the three addresses, ``/v1/logs``, ``/v1/traces`` and ``/v1/metrics``."""

    endpoint: str = field(repr=False)
    wants: frozenset[Kind] = frozenset({"failure"})
    logs: bool = True
    traces: bool = True
    timeout_s: float = 10.0
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    ca_file: Path | None = None


class Signal:
    """One of the three addresses. What is sent is packed beside the loop."""

    def __init__(self, settings: OtlpSettings, name: str) -> None:
        url = f"{settings.endpoint.rstrip('/')}/v1/{name}"
        self._poster = Poster(PostSettings(url, 2, settings.timeout_s, settings.ca_file, settings.headers), MEDIA_TYPE)

    async def open(self) -> None:
        """Make ready. Raises TransientSinkError."""
        await self._poster.open()

    async def send(self, message: Message) -> None:
        """Send one request. Raises as `Sink.write`."""
        body = await asyncio.to_thread(lambda: gzip.compress(message.SerializeToString(), 5))
        await self._poster.post(body, {"Content-Encoding": "gzip"})

    async def close(self) -> None:
        """Close the connections."""
        await self._poster.close()


class OtlpSink:
    """Delivers a batch as logs, then as traces. What went as logs is not sent so again when the traces fail."""

    at_most = AT_MOST

    def __init__(self, settings: OtlpSettings) -> None:
        self.wants = settings.wants
        self._logs = Signal(settings, "logs") if settings.logs else None
        self._traces = Signal(settings, "traces") if settings.traces else None
        self._who = resource(platform.node())
        self._logged = 0  # up to this position everything went as logs

    async def open(self) -> None:
        """Make ready; nothing is sent. Raises TransientSinkError when ``ca_file`` cannot be read."""
        for signal in filter(None, (self._logs, self._traces)):
            await signal.open()

    async def write(self, deliveries: Sequence[Delivery]) -> None:
        """Send a batch. Raises TransientSinkError, PermanentSinkError for what is no record or is refused for good."""
        if self._logs is not None:
            records, gaps = _read([each for each in deliveries if each.position > self._logged])
            if records or gaps:
                await self._logs.send(logs(records, gaps, self._who, datetime.now(UTC)))
            self._logged = max(self._logged, deliveries[-1].position)
        records, _ = _read(deliveries)
        if self._traces is not None and records:
            await self._traces.send(traces(records, self._who))

    async def close(self) -> None:
        """Close the connections."""
        for signal in filter(None, (self._logs, self._traces)):
            await signal.close()


def _read(deliveries: Sequence[Delivery]) -> tuple[list[CallRecord], list[Gap]]:
    try:
        records = [from_json(CallRecord, json.loads(each.text)) for each in deliveries if each.kind != "gap"]
        gaps = [gap_from_json(json.loads(each.text)) for each in deliveries if each.kind == "gap"]
    except (ValueError, KeyError, TypeError) as error:
        raise PermanentSinkError(f"not a record of this version: {error!r}") from error
    return records, gaps
