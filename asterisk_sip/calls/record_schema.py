"""The JSON Schema of a record, read off the dataclasses of `calls.model`: what `to_json` gives, described. Pure."""

from __future__ import annotations

import types
import typing
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from .model import SCHEMA, CallRecord

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_PLAIN: dict[Any, dict[str, Any]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    datetime: {"type": "string", "format": "date-time"},
    dict[str, str]: {"type": "object", "additionalProperties": {"type": "string"}},
}


def record_schema() -> dict[str, Any]:
    """Return the schema of a whole record, by itself. Every key is there; a later version may add keys."""
    parts = definitions(CallRecord, "#/$defs/")
    top = parts.pop(CallRecord.__name__)
    return {"$schema": DIALECT, "$id": "urn:" + SCHEMA.replace("/", ":"), "title": SCHEMA, **top, "$defs": parts}


def definitions(kind: type, prefix: str) -> dict[str, dict[str, Any]]:
    """Return the schemas of a dataclass and of all it is made of, by name, with references below ``prefix``."""
    found: dict[str, dict[str, Any]] = {}
    _define(kind, prefix, found)
    return dict(sorted(found.items()))


def _define(kind: Any, prefix: str, found: dict[str, dict[str, Any]]) -> None:
    if kind.__name__ in found:
        return
    about = " ".join((kind.__doc__ or "").split("\n\n")[0].split())
    schema: dict[str, Any] = {"type": "object", "description": about}
    found[kind.__name__] = schema
    hints = typing.get_type_hints(kind)
    schema["properties"] = {field.name.rstrip("_"): _schema(hints[field.name], prefix, found) for field in fields(kind)}
    schema["required"] = list(schema["properties"])


def _schema(hint: Any, prefix: str, found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return {"anyOf": [_schema(next(arg for arg in args if arg is not type(None)), prefix, found), {"type": "null"}]}
    if origin is tuple:
        return {"type": "array", "items": _schema(args[0], prefix, found)}
    if is_dataclass(hint) and isinstance(hint, type):
        _define(hint, prefix, found)
        return {"$ref": prefix + hint.__name__}
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return {"type": "string", "enum": [member.value for member in hint]}
    return dict(_PLAIN[hint])
