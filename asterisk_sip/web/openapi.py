"""The API described for programs: OpenAPI 3.1, made of the table of endpoints and the dataclasses of the record."""

from __future__ import annotations

import re
from typing import Any

from asterisk_sip import __version__
from asterisk_sip.alerts.model import Change
from asterisk_sip.calls.kpi import Delays, Duration, Ratio
from asterisk_sip.calls.model import CallRecord
from asterisk_sip.calls.record_schema import DIALECT, definitions

from .api import ENDPOINTS, PREFIX, Endpoint
from .parameters import PARAMETERS
from .problems import MEDIA_TYPE

_REFS = "#/components/schemas/"
_TIME = {"type": "string", "format": "date-time"}
_TEXT = {"type": "string"}
_OPEN = {"type": "object", "additionalProperties": True}
_COUNTS = {"type": "object", "additionalProperties": {"type": "integer"}}
_SECONDS = {"type": "object", "additionalProperties": {"type": "number"}}
_SHARES = {"type": "object", "additionalProperties": {"type": "number", "minimum": 0, "maximum": 1}}


def document() -> dict[str, Any]:
    """Return the whole description."""
    schemas = {**_shapes()}
    for kind in (CallRecord, Ratio, Delays, Duration, Change):
        schemas |= definitions(kind, _REFS)
    return {
        "openapi": "3.1.0",
        "jsonSchemaDialect": DIALECT,
        "info": {"title": "asterisk-sip", "version": __version__, "description": "Why calls fail."},
        "paths": {PREFIX + endpoint.path: {"get": _operation(endpoint)} for endpoint in ENDPOINTS},
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": _TEXT}
        for name in re.findall(r"{(\w+)}", endpoint.path)
    ]
    in_query = [
        {"name": name, "in": "query", "description": PARAMETERS[name].about, "schema": dict(PARAMETERS[name].schema)}
        for name in endpoint.takes
    ]
    found: dict[str, Any] = {"description": endpoint.about, "content": _content(endpoint)}
    refused = {"description": "Not answered.", "content": {MEDIA_TYPE: {"schema": _ref("Problem")}}}
    return {
        "summary": endpoint.about,
        "operationId": re.sub(r"\W+", "_", endpoint.path).strip("_"),
        "parameters": [*in_path, *in_query],
        "responses": {"200": found, "304": {"description": "As If-None-Match has it."}, "default": refused},
    }


def _content(endpoint: Endpoint) -> dict[str, Any]:
    if endpoint.gives == "Stream":
        return {"text/event-stream": {"schema": _TEXT}}
    return {"application/json": {"schema": _ref(endpoint.gives)}}


def _shapes() -> dict[str, dict[str, Any]]:
    following = {"anyOf": [_TEXT, {"type": "null"}]}
    call_id = _object(call_id=_TEXT)
    gap = _object(
        id=_TEXT,
        pbx=_TEXT,
        source=_TEXT,
        began_at=_TIME,
        ended_at=_or_null(_TIME),
        reason=_TEXT,
        blind={"type": "boolean"},
    )
    failures = _object(
        total={"type": "integer"}, by_class=_COUNTS, by_code=_COUNTS, by_disposition=_COUNTS, by_fault=_COUNTS
    )
    group = _object(
        at=_or_null(_TIME),
        attempts={"type": "integer"},
        calls={"type": "integer"},
        ratios={"type": "object", "additionalProperties": _ref("Ratio")},
        pdd=_or_null(_ref("Delays")),
        acd=_ref("Duration"),
        failures=failures,
    )
    pbx = _object(
        name=_TEXT,
        listened_until=_or_null(_TIME),
        completeness_24h=_or_null({"type": "number"}),
        open_gaps=_list(_ref("Gap")),
    )
    alert = _object(
        id=_TEXT,
        rule=_TEXT,
        state={"type": "string", "enum": ["firing", "cleared"]},
        told={"type": "boolean"},
        fired=_ref("Change"),
        cleared=_or_null(_ref("Change")),
        acknowledged_at=_or_null(_TIME),
        acknowledged_by=_or_null(_TEXT),
        why=_or_null(_TEXT),
    )
    return {
        "Calls": _object(calls=_list(_ref("CallRecord")), next=following),
        "Attempts": _object(attempts=_list({"allOf": [call_id, _ref("Attempt")]}), next=following),
        "Numbers": _object(since=_TIME, until=_TIME, groups=_list(group), unheard_s=_SECONDS, completeness=_SHARES),
        "Codes": _object(codes=_list(_ref("Code"))),
        "Code": _OPEN,
        "Gap": gap,
        "Gaps": _object(since=_TIME, until=_TIME, gaps=_list(_ref("Gap")), unheard_s=_SECONDS, completeness=_SHARES),
        "Alert": alert,
        "Alerts": _object(since=_TIME, until=_TIME, firing=_list(_ref("Alert")), history=_list(_ref("Alert"))),
        "Health": _object(
            status={"type": "string", "enum": ["ok", "degraded"]},
            version=_TEXT,
            last_position={"type": "integer"},
            pbx=_list(pbx),
        ),
        "Problem": _object(type=_TEXT, title=_TEXT, status={"type": "integer"}, detail=_TEXT),
    }


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": _REFS + name}
