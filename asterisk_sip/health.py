"""How the program is: plain data, and what of it means that somebody should look. Pure; it imports nothing of ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

STUCK_S = 60.0
"""A sink that has taken nothing for so long, while something waits for it, is stuck."""


@dataclass(frozen=True, slots=True)
class DoorHealth:
    """One door of a PBX. ``trouble`` says why it is not heard, when that is known."""

    door: str
    up: bool
    trouble: str | None = None
    outages: int = 0
    lost_messages: int = 0


@dataclass(frozen=True, slots=True)
class PbxHealth:
    """One PBX: whether anything tells of its calls, its doors, what is in flight, its gaps since the start."""

    name: str
    heard: bool
    version: str | None
    doors: tuple[DoorHealth, ...]
    open_calls: int
    clock_ahead_s: float
    gaps_begun: Mapping[tuple[str, bool], int]  # by source, and whether nothing else told of the calls
    gaps_open: int


@dataclass(frozen=True, slots=True)
class SinkHealth:
    """One sink: what waits for it (None: not known), for how long the batch in its hands has been there."""

    name: str
    trouble: str | None
    waiting: int | None
    held_s: float
    delivered: int
    repeated: int
    dead: int
    gone: int
    failures: int


@dataclass(frozen=True, slots=True)
class WorkHealth:
    """What passed through the program since it began, and what waits in it."""

    events: int
    lost_events: int
    records: int
    lost_records: int
    inbox_events: int
    inbox_limit: int
    waiting_records: int


@dataclass(frozen=True, slots=True)
class Health:
    """The program as a whole. ``work`` is None in one that listens to no PBX; ``store_trouble`` None when it writes.

    ``source_trouble`` says why a collector has no stream to collect from.
    """

    phase: str  # starting, running, stopping
    store_trouble: str | None = None
    store: str | None = None
    source_trouble: str | None = None
    pbxs: tuple[PbxHealth, ...] = ()
    sinks: tuple[SinkHealth, ...] = ()
    work: WorkHealth | None = None


@dataclass(frozen=True, slots=True)
class Reason:
    """Why the program is not ready, or not as well as it could be: which part, and in words."""

    part: str
    text: str


def not_ready(health: Health) -> list[Reason]:
    """Return what keeps the program from doing its work; nothing when it is ready."""
    reasons = []
    if health.phase != "running":
        reasons.append(Reason("program", f"it is {health.phase}"))
    if health.store_trouble is not None:
        reasons.append(Reason("store", health.store_trouble))
    if health.source_trouble is not None:
        reasons.append(Reason("collector", f"nothing is collected: {health.source_trouble}"))
    if health.pbxs and not any(pbx.heard for pbx in health.pbxs):
        reasons.append(Reason("pbx", f"no PBX is heard: {'; '.join(map(_unheard, health.pbxs))}"))
    reasons += [
        Reason(f"sink {sink.name}", f"it has taken nothing for {sink.held_s:.0f} s: {sink.trouble or 'no answer yet'}")
        for sink in health.sinks
        if sink.held_s >= STUCK_S
    ]
    work = health.work
    if work is not None and work.inbox_events >= work.inbox_limit:
        reasons.append(Reason("inbox", f"more than {work.inbox_limit} events wait; further ones are lost"))
    return reasons


def noteworthy(health: Health) -> list[Reason]:
    """Return what an operator should look at although the program does its work."""
    heard = [pbx for pbx in health.pbxs if pbx.heard]
    notes = [Reason(f"pbx {pbx.name}", _unheard(pbx)) for pbx in health.pbxs if heard and not pbx.heard]
    notes += [
        Reason(f"pbx {pbx.name}", f"{door.door}: {door.trouble or 'not connected'}")
        for pbx in heard
        for door in pbx.doors
        if not door.up
    ]
    notes += [
        Reason(f"sink {sink.name}", sink.trouble)
        for sink in health.sinks
        if sink.trouble is not None and sink.held_s < STUCK_S
    ]
    dead = [sink for sink in health.sinks if sink.dead]
    notes += [Reason(f"sink {sink.name}", f"{sink.dead} records are in the dead letters") for sink in dead]
    if health.work is not None and health.work.lost_records + health.work.lost_events:
        lost = f"{health.work.lost_records} records and {health.work.lost_events} events"
        notes.append(Reason("program", f"{lost} were lost since the start"))
    return notes


def told(health: Health) -> dict[str, Any]:
    """Return health as plain data for JSON."""
    reasons, notes = not_ready(health), noteworthy(health)
    return {
        "status": "not ready" if reasons else "degraded" if notes else "ready",
        "reasons": [asdict(reason) for reason in reasons],
        "notes": [asdict(note) for note in notes],
        "phase": health.phase,
        "store": health.store,
        "pbx": [
            {
                "name": pbx.name,
                "heard": pbx.heard,
                "asterisk_version": pbx.version,
                "doors": [{"door": door.door, "up": door.up, "trouble": door.trouble} for door in pbx.doors],
                "open_calls": pbx.open_calls,
                "open_gaps": pbx.gaps_open,
            }
            for pbx in health.pbxs
        ],
        "sinks": [asdict(sink) for sink in health.sinks],
        "work": None if health.work is None else asdict(health.work),
    }


def in_a_line(health: Health) -> str:
    """Return the state in one line, for systemctl status."""
    reasons = not_ready(health)
    heard = sum(pbx.heard for pbx in health.pbxs)
    listening = f"listening to {heard} of {len(health.pbxs)} PBX" if health.pbxs else health.phase
    if reasons:
        listening += "; " + "; ".join(f"{reason.part}: {reason.text}" for reason in reasons)
    if health.work is not None:
        listening += f"; {health.work.records} records written"
    return " ".join(listening.split())


def _unheard(pbx: PbxHealth) -> str:
    why = [f"{door.door}: {door.trouble or 'not connected'}" for door in pbx.doors if not door.up]
    return f"{pbx.name} ({', '.join(why)})"
