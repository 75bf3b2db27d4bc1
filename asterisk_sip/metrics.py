"""Every metric there is, as one table; and the numbers behind them. Pure: what is counted is handed in.

The same numbers go to Prometheus (``web.exposition``) and over OTLP. Names are those of Prometheus; a counter's samples
end in ``_total``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from asterisk_sip.calls.tally import Labels, Spread, Tally
from asterisk_sip.health import Health, PbxHealth, not_ready

Kind = Literal["counter", "gauge", "histogram"]
Value = float | Spread
Samples = dict[str, Mapping[Labels, Value]]
"""The numbers of each metric by its label values, in the order of the labels in the table."""

_FAILURE = ("pbx", "trunk", "class", "code", "disposition", "fault")


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. ``about`` is the help text, one sentence; ``unit`` is empty for a plain count."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    about: str
    unit: str = ""


METRICS = (
    Metric("calls", "counter", ("pbx", "trunk", "direction", "outcome"), "Calls recorded, answered ones too."),
    Metric("failed_calls", "counter", _FAILURE, "Calls that failed: nobody answered, and the caller did not give up."),
    Metric("attempts", "counter", ("pbx", "trunk", "disposition"), "Attempts, however they ended."),
    Metric("failed_attempts", "counter", _FAILURE, "Attempts that failed; of a rescued call too."),
    Metric(
        "attempt_evidence", "counter", ("pbx", "trunk", "grade"), "Failed attempts by how their SIP status is known."
    ),
    Metric(
        "ratio_numerator", "counter", ("ratio", "pbx", "trunk"), "What counts into ASR, NER, SER, SEER, ISA or rescue."
    ),
    Metric("ratio_denominator", "counter", ("ratio", "pbx", "trunk"), "What the numerator is a share of."),
    Metric("pdd_seconds", "histogram", ("pbx", "trunk"), "Post-dial delay of attempts where it is known.", "seconds"),
    Metric("talk_seconds", "counter", ("pbx", "trunk"), "Time from answer to end of the call, summed.", "seconds"),
    Metric("disagreements", "counter", ("pbx",), "Calls of which two sources name different SIP codes."),
    Metric("partial_calls", "counter", ("pbx",), "Calls that were not seen from beginning to end."),
    Metric("backfilled_calls", "counter", ("pbx",), "Calls read from Asterisk's own log after a gap."),
    Metric("record_lag_seconds", "histogram", ("pbx",), "From the last event of a call to its record.", "seconds"),
    Metric("pbx_heard", "gauge", ("pbx",), "1 while a door tells of the calls of the PBX, else 0."),
    Metric("pbx_info", "gauge", ("pbx", "asterisk_version"), "Always 1; the labels tell the release of Asterisk."),
    Metric("link_up", "gauge", ("pbx", "door"), "1 while the door is heard, else 0."),
    Metric("link_outages", "counter", ("pbx", "door"), "How often a door that was heard fell silent."),
    Metric("lost_messages", "counter", ("pbx", "door"), "Messages that a door could not read or take."),
    Metric("gaps", "counter", ("pbx", "source", "blind"), "Gaps begun; blind: nothing else told of the calls."),
    Metric("open_gaps", "gauge", ("pbx",), "Gaps that last."),
    Metric("completeness_ratio", "gauge", ("pbx",), "Share of the last 24 hours in which the PBX was heard.", "ratio"),
    Metric("open_calls", "gauge", ("pbx",), "Calls in flight."),
    Metric("clock_ahead_seconds", "gauge", ("pbx",), "How far the PBX's clock seems ahead of ours.", "seconds"),
    Metric("events", "counter", (), "Events worked on."),
    Metric("lost_events", "counter", (), "Events lost because the inbox was full."),
    Metric("inbox_events", "gauge", (), "Events that wait to be worked on."),
    Metric("inbox_limit_events", "gauge", (), "How many events may wait: pipeline.inbox_max_events."),
    Metric("records", "counter", (), "Records written, durable."),
    Metric("waiting_records", "gauge", (), "Records in memory that the store has not taken yet."),
    Metric("lost_records", "counter", (), "Records given up because the store did not take them for too long."),
    Metric(
        "store_up",
        "gauge",
        (),
        "1 while the store takes what is written (where nothing is written: can be read), else 0.",
    ),
    Metric(
        "store_write_seconds", "histogram", (), "How long the store took for a batch, until it was durable.", "seconds"
    ),
    Metric("sink_up", "gauge", ("sink",), "1 while the sink takes records, else 0."),
    Metric("sink_waiting", "gauge", ("sink",), "Records and gaps that wait for the sink, those it does not want too."),
    Metric("sink_lag_seconds", "gauge", ("sink",), "For how long the sink has held the batch in its hands.", "seconds"),
    Metric("sink_delivered", "counter", ("sink",), "Deliveries that the sink took."),
    Metric("sink_repeated", "counter", ("sink",), "Those of them that it may have had before."),
    Metric("sink_dead_letters", "counter", ("sink",), "Deliveries put aside: the sink will never take them."),
    Metric("sink_gone", "counter", ("sink",), "Calls deleted from the store before the sink had them."),
    Metric("sink_failures", "counter", ("sink",), "Tries that failed."),
    Metric("alerts_firing", "gauge", ("rule",), "Alerts that fire."),
    Metric("alert_changes", "counter", (), "Alerts that fired, changed or cleared."),
    Metric("ready", "gauge", (), "1 when /readyz says ready, else 0."),
    Metric("build_info", "gauge", ("version", "python"), "Always 1; the labels tell what runs."),
)
"""All of them, in the order in which they are shown. Each name stands behind ``asterisk_sip_``."""

PREFIX = "asterisk_sip_"


def of_tally(tally: Tally) -> Samples:
    """Return the numbers of what was recorded. The tally must not go on meanwhile: give a copy."""
    ratios = tally.ratios()
    return {
        "calls": tally.calls,
        "failed_calls": tally.failed_calls,
        "attempts": tally.attempts,
        "failed_attempts": tally.failed_attempts,
        "attempt_evidence": tally.evidence,
        "ratio_numerator": {(name, *key): count for name, sums in ratios.items() for key, count in sums[0].items()},
        "ratio_denominator": {(name, *key): count for name, sums in ratios.items() for key, count in sums[1].items()},
        "pdd_seconds": tally.pdd_s,
        "talk_seconds": {key: ms / 1000 for key, ms in tally.talk_ms.items()},
        "disagreements": tally.disagreements,
        "partial_calls": tally.partial,
        "backfilled_calls": tally.backfilled,
        "record_lag_seconds": tally.lag_s,
    }


def of_health(health: Health) -> Samples:
    """Return the numbers of how the program is."""
    found: dict[str, dict[Labels, Value]] = {"ready": {(): float(not not_ready(health))}}
    for pbx in health.pbxs:
        for name, labels, value in _of_pbx(pbx):
            found.setdefault(name, {})[labels] = value
    for sink in health.sinks:
        numbers: Mapping[str, float | None] = {
            "up": float(sink.trouble is None),
            "waiting": sink.waiting,
            "lag_seconds": sink.held_s,
            "delivered": sink.delivered,
            "repeated": sink.repeated,
            "dead_letters": sink.dead,
            "gone": sink.gone,
            "failures": sink.failures,
        }
        for name, number in numbers.items():
            if number is not None:
                found.setdefault(f"sink_{name}", {})[sink.name,] = number
    found["store_up"] = {(): float(health.store_trouble is None)}
    work = health.work
    if work is not None:
        found |= {
            "events": {(): work.events},
            "lost_events": {(): work.lost_events},
            "inbox_events": {(): work.inbox_events},
            "inbox_limit_events": {(): work.inbox_limit},
            "records": {(): work.records},
            "waiting_records": {(): work.waiting_records},
            "lost_records": {(): work.lost_records},
        }
    return {**found}


def _of_pbx(pbx: PbxHealth) -> Iterator[tuple[str, Labels, float]]:
    yield "pbx_heard", (pbx.name,), float(pbx.heard)
    if pbx.version is not None:
        yield "pbx_info", (pbx.name, pbx.version), 1
    for door in pbx.doors:
        yield "link_up", (pbx.name, door.door), float(door.up)
        yield "link_outages", (pbx.name, door.door), door.outages
        yield "lost_messages", (pbx.name, door.door), door.lost_messages
    for (source, blind), count in pbx.gaps_begun.items():
        yield "gaps", (pbx.name, source, "yes" if blind else "no"), count
    yield "open_gaps", (pbx.name,), pbx.gaps_open
    yield "open_calls", (pbx.name,), pbx.open_calls
    yield "clock_ahead_seconds", (pbx.name,), pbx.clock_ahead_s
