"""Changes and facts for tests of notices: one carrier that begins to answer 503."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from asterisk_sip.alerts.model import Change, Kind, Rule, Severity, State
from asterisk_sip.alerts.notice import Facts, Notice, notice
from asterisk_sip.alerts.notice_moved import Spot

from .call_records import failed

SINCE = datetime(2026, 11, 27, 3, 12, tzinfo=UTC)
AT = SINCE + timedelta(minutes=3)
RULE = Rule(
    "carrier congestion", Kind.SHARE, 0.3, 0.2, filter={"code": (503,)}, group_by=("trunk",), severity=Severity.CRITICAL
)
FIRED = Change(
    id="c1",
    alert_id="a1",
    rule=RULE.name,
    kind=Kind.SHARE,
    severity=Severity.CRITICAL,
    state=State.FIRED,
    group={"trunk": "acme"},
    since=SINCE,
    at=AT,
    value=37 / 80,
    threshold=0.3,
    clear=0.2,
    when="above",
    unit="share",
    numerator=37,
    denominator=80,
    window_since=AT - timedelta(minutes=5),
    window_until=AT,
    query={"since": "2026-11-27T03:10:00Z", "until": "2026-11-27T03:15:00Z", "code": "503", "trunk": "acme"},
    samples=("s1", "s2", "s3"),
)
CLEARED = replace(
    FIRED, id="c2", state=State.CLEARED, at=SINCE + timedelta(minutes=12), value=2 / 80, numerator=2, samples=()
)
FACTS = Facts(
    Counter(
        {
            Spot("acme", 503, "congestion", "+4915"): 31,
            Spot("acme", 503, "congestion", "+4930"): 6,
            Spot("acme", 486, "busy", "+4930"): 3,
        }
    ),
    Counter({Spot("acme", 486, "busy", "+4930"): 4, Spot("acme", 503, "congestion", "+4930"): 1}),
    tuple(
        replace(failed(n, trunk="acme"), ended_at=AT - timedelta(seconds=7 * n + 1), dialled=f"+491512345{n}")
        for n in range(3)
    ),
)


class Pages:
    """Links to pages of a companion."""

    def failures(self, query: Mapping[str, str]) -> str | None:
        return "https://sip.example.net/failures?" + "&".join(f"{name}={value}" for name, value in query.items())

    def call(self, record_id: str) -> str | None:
        return f"https://sip.example.net/calls/{record_id}"


def change(**other: Any) -> Change:
    """Return the change that fired, with other values."""
    return replace(FIRED, **other)


def told(*changes: Change, facts: Facts = FACTS, rule: Rule = RULE, lang: str = "en", missed: int = 0) -> Notice:
    """Return the notice of changes, all with the same facts."""
    of = {each.id: facts for each in changes}
    return notice(changes, of, {rule.name: rule}, Pages(), lang=lang, missed=missed)
