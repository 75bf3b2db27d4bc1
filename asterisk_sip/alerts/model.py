"""What a rule asks for, and what the engine tells of it. Frozen data, the seam between engine and notices. Pure.

A rule watches groups (one for each trunk, say). An *alert* is one group of one rule from the moment its condition held
until it holds no more: it is told as two `Change`s of one ``alert_id``, ``fired`` and ``cleared``. A rule of kind
``hook`` has no condition over time: each record that matches is one Change of its own, ``hook``.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime, time, tzinfo
from enum import StrEnum
from typing import Literal

from asterisk_sip.calls.model import from_json, to_json

Value = str | int | bool
Filter = dict[str, tuple[Value, ...]]
"""Which records: each field must have one of its values. Texts are patterns (``*``, ``?``); ``not.FIELD`` excludes.

Fields are those of the record (``sip.code``, ``caller.endpoint``), of the attempt where attempts are counted, and the
names of `rules_fields`: code, class, cause, prefix, country, e425 and so on.
"""


class Kind(StrEnum):
    """What a rule compares with its threshold, over its window."""

    COUNT = "count"  # how many records match
    RATE = "rate"  # how many match a minute
    SHARE = "share"  # matching / all of the group, 0 to 1
    RATIO = "ratio"  # ASR, NER, SER, SEER, ISA or rescue rate, 0 to 1
    PDD = "pdd"  # a percentile of the post-dial delay, ms
    CONSECUTIVE = "consecutive"  # matching attempts in a row
    NEW_CODE = "new_code"  # matching records with a code never seen in the group
    BURST = "burst"  # matching / what the same hour of past weeks had (its median)
    SILENCE = "silence"  # records in the window, where past weeks had some
    GAP = "gap"  # a PBX, or one door to it, is not heard
    SINK = "sink"  # a sink takes nothing
    HOOK = "hook"  # every record that matches goes out at once


class Severity(StrEnum):
    """How urgent it is."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class State(StrEnum):
    """What a Change tells."""

    FIRED = "fired"
    CLEARED = "cleared"
    HOOK = "hook"


@dataclass(frozen=True, slots=True)
class QuietHours:
    """A time of each day when a rule is only recorded, not told: from ``begin`` to ``end``, over midnight if need be.

    What still holds at the end is told then. Critical rules have none unless they ask for it.
    """

    begin: time
    end: time
    zone: tzinfo


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. ``threshold`` is compared as ``when`` says; an alert clears at ``clear``, on the safe side of it.

    ``of`` says among which records a share or a row is counted, ``ratio`` which ratio, ``percentile`` (0 to 1) which of
    the delays. ``weeks``, ``expected`` (the least number that counts as usual) and ``learn_s`` are for the kinds that
    compare with the past. ``min_samples`` is the least denominator. ``for_s``: the condition must have held so long.
    ``cooldown_s``: a group that cleared is not told again for so long. ``targets`` are names; none means all of them.
    ``meaning`` and ``hint`` replace the catalogue's words in the notice.
    """

    name: str
    kind: Kind
    threshold: float = 1.0
    clear: float = 1.0
    when: Literal["above", "below"] = "above"
    filter: Filter = field(default_factory=dict)
    of: Filter = field(default_factory=dict)
    group_by: tuple[str, ...] = ()
    counted: Literal["calls", "attempts"] = "calls"
    window_s: int = 300
    min_samples: int = 1
    for_s: int = 0
    ratio: str | None = None
    percentile: float = 0.95
    weeks: int = 4
    expected: float = 1.0
    learn_s: int = 86_400
    severity: Severity = Severity.WARNING
    cooldown_s: int = 0
    quiet: QuietHours | None = None
    targets: tuple[str, ...] = ()
    max_groups: int = 10_000
    meaning: str | None = None
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One thing to tell. ``id`` is the same whenever it is computed: who gets it twice can drop the second.

    ``alert_id`` is shared by what fired and what cleared of one alert. ``since`` is when the condition began, ``at``
    when it was judged; times are aware UTC. ``value`` is compared with ``threshold``, in ``unit`` (calls, attempts,
    per_minute, share, ms, in_a_row, times, s); ``numerator`` and ``denominator`` are what it was computed from, None
    where there is none. ``window_since`` to ``window_until`` is the time that was counted. ``query`` holds the
    parameters of ``/api/v1/calls`` and of the page of failures, as texts, that find these records. ``samples`` are
    ids of up to three of them, newest first. ``completeness`` (0 to 1) is which share of the window was listened to.
    ``detail`` is what a gap or a sink said. ``muted`` says why it is only recorded and not told (quiet hours,
    silenced), None when it is told. ``test`` marks a sample that `alerts test` made up.
    """

    id: str
    alert_id: str
    rule: str
    kind: Kind
    severity: Severity
    state: State
    group: dict[str, str]
    since: datetime
    at: datetime
    value: float | None
    threshold: float
    clear: float
    when: str
    unit: str
    numerator: int | None
    denominator: int | None
    window_since: datetime
    window_until: datetime
    query: dict[str, str]
    samples: tuple[str, ...] = ()
    completeness: float = 1.0
    detail: str | None = None
    targets: tuple[str, ...] = ()
    muted: str | None = None
    test: bool = False


def alert_id(rule: str, group: dict[str, str], began_s: float) -> str:
    """Return the id of an alert: 32 hex digits, the same for what began at the same time in the same group."""
    text = json.dumps([rule, sorted(group.items()), round(began_s * 1000)])
    return hashlib.blake2b(text.encode(errors="replace"), digest_size=16).hexdigest()


def change_text(change: Change) -> str:
    """Return a change as one line of JSON: what stands in the queue of notices."""
    return json.dumps(to_json(change), separators=(",", ":"))


def change_of(text: str) -> Change:
    """Rebuild a change from what `change_text` gave. Raises KeyError, TypeError or ValueError when it is none."""
    return from_json(Change, json.loads(text))
