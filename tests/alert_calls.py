"""Calls as the engine of alerts takes them: JSON of records, made from a few words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from asterisk_sip.alerts.engine import Engine
from asterisk_sip.alerts.model import Change, Kind, Rule
from asterisk_sip.calls.model import to_json

from .call_records import BEGAN, answered, failed

T0 = int(BEGAN.timestamp())
"""Seconds are told from here: noon."""


def call(
    at: float, code: int = 503, trunk: str = "acme", *, number: int = 0, dialled: str = "+4930123456", pdd_ms: int = 120
) -> dict[str, Any]:
    """Return a call that ended so many seconds after noon: answered when its code is 200."""
    ended = datetime.fromtimestamp(T0 + at, UTC)
    record = answered(number, trunk) if code == 200 else failed(number, trunk=trunk)
    sip = replace(record.sip, code=code, class_=code // 100)
    words = {403: "forbidden", 486: "busy", 404: "not_found"}
    disposition = words.get(code, record.disposition)
    (attempt,) = record.attempts
    attempt = replace(attempt, sip=sip, disposition=disposition, dialled=dialled, pdd_ms=pdd_ms)
    found: dict[str, Any] = to_json(
        replace(
            record,
            id=f"{number:08x}-{at:.3f}-{code}-{trunk}",
            ended_at=ended,
            sip=sip,
            disposition=disposition,
            dialled=dialled,
            attempts=(attempt,),
        )
    )
    return found


def told(changes: list[Change]) -> list[tuple[str, str, str, int]]:
    """Return changes as (state, rule, group, second since noon)."""
    return [
        (each.state.value, each.rule, ",".join(each.group.values()), int(each.at.timestamp()) - T0) for each in changes
    ]


def run(engine: Engine, calls: list[dict[str, Any]], until: float) -> list[Change]:
    """Feed calls to an engine, then let time pass; return what it tells."""
    changes = [change for each in calls for change in engine.feed(each)]
    return changes + engine.tick(T0 + until)


def share(**more: Any) -> Rule:
    """Return a rule over the share of 503 on each trunk."""
    given = {
        "name": "congestion",
        "kind": Kind.SHARE,
        "threshold": 0.5,
        "clear": 0.5,
        "filter": {"code": (503,)},
        "group_by": ("trunk",),
        "window_s": 60,
        "min_samples": 5,
        **more,
    }
    return Rule(**given)
