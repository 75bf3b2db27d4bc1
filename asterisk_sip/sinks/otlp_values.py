"""What every OTLP message needs: who we are, values with their kinds, times in nanoseconds. No I/O here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from asterisk_sip import __version__

MEDIA_TYPE = "application/x-protobuf"
SCOPE = InstrumentationScope(name="asterisk-sip", version=__version__)


def resource(host: str) -> Resource:
    """Return who we are, after OpenTelemetry's conventions for resources."""
    who = {"service.name": "asterisk-sip", "service.version": __version__, "host.name": host}
    return Resource(attributes=attributes(who))


def attributes(values: Mapping[str, object]) -> list[KeyValue]:
    """Return attributes; what is None is left out."""
    return [KeyValue(key=key, value=_any(value)) for key, value in values.items() if value is not None]


def nanoseconds(at: datetime | None) -> int:
    """Return a time as nanoseconds since 1970, exact to the microsecond; 0 for none."""
    if at is None:
        return 0
    return round(at.timestamp() * 1_000_000) * 1_000


def text(value: str) -> str:
    """Return a text that UTF-8 can hold: half a surrogate pair is replaced."""
    return value.encode("utf-8", "replace").decode()


def _any(value: object) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, str):
        return AnyValue(string_value=text(value))
    if isinstance(value, Iterable):
        return AnyValue(array_value=ArrayValue(values=[_any(item) for item in value]))
    return AnyValue(string_value=text(str(value)))
