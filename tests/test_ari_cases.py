"""ARI alone says the same as AMI alone: pairs of recordings of the very same calls, made by ``tests.lab record``."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from asterisk_sip.calls import enrich
from asterisk_sip.calls import events as ev
from asterisk_sip.calls.enrich import Surroundings, TrunkRule
from asterisk_sip.calls.model import CallRecord, to_json
from asterisk_sip.calls.switchboard import Switchboard
from asterisk_sip.sources import ari_wire
from asterisk_sip.sources.decoders import DECODERS
from asterisk_sip.sources.recording import Replay
from tests.cases import TRUNKS

PAIRS = sorted(path.name.removesuffix(".ari.gz") for path in (Path(__file__).parent / "ari").glob("*.ari.gz"))
TIMES = ("started_at", "ended_at", "answered_at", "began_at")
MEASURES = ("duration_ms", "pdd_ms", "ring_ms")
SLACK_MS = 25  # AMI tells when it wrote an event, ARI when it happened

KNOWS_MORE = {"queue-abandon-waiting-deaf"}
"""AMI was not asked for the events of queues here: it cannot tell that the caller gave up. ARI shows it by itself."""

NOT_UTF8 = {"odd-phrases": "Occup\\xe9 \\xff\\xfe", "odd-phrases-chansip": "Occup\\xe9 \\xff\\xfe"}
"""A phrase that JSON cannot hold: Asterisk leaves the channel's variables out, and the status comes from elsewhere."""


def surroundings(version: str | None = None) -> Surroundings:
    return Surroundings("pbx", version, tuple(TrunkRule(None, (pattern,)) for pattern in TRUNKS))


def recorded(name: str, kind: str) -> Path:
    return Path(__file__).parent / "ari" / f"{name}.{kind}.gz"


def over_ami(name: str) -> list[CallRecord]:
    return list(Replay(surroundings()).read([recorded(name, "ami")]))


def over_ari(name: str, version: str | None) -> list[CallRecord]:
    reader, board = ari_wire.Reader(), Switchboard()
    stream = gzip.decompress(recorded(name, "ari").read_bytes())
    events = [event for start in range(0, len(stream), 4096) for event in reader.feed(stream[start : start + 4096])]
    calls = [call for event in events for call in board.feed(event, event.at)]
    assert reader.missed == 0
    calls += board.correlator.drop_all(events[-1].at)  # ARI does not tell that the PBX stops
    return [enrich.record(call, surroundings(version)) for call in calls]


def by_linkedid(records: Iterable[CallRecord]) -> dict[str, dict[str, Any]]:
    known: dict[str, dict[str, Any]] = {}
    for record in records:
        assert record.linkedid not in known
        known[record.linkedid] = to_json(record)
    return known


def differences(path: str, over_ami: Any, over_ari: Any, slack_ms: int = SLACK_MS) -> Iterable[str]:
    """What two records say differently; times may differ a little, and only ARI knows the Call-ID."""
    key = path.rpartition(".")[2]
    if isinstance(over_ami, dict) and isinstance(over_ari, dict):
        for name in over_ami:
            yield from differences(f"{path}.{name}", over_ami[name], over_ari[name], slack_ms)
    elif isinstance(over_ami, list) and isinstance(over_ari, list) and len(over_ami) == len(over_ari):
        for number, (one, other) in enumerate(zip(over_ami, over_ari, strict=True)):
            yield from differences(f"{path}[{number}]", one, other, slack_ms)
    elif not _same(key, over_ami, over_ari, slack_ms):
        yield f"{path}: {over_ami!r} over AMI, {over_ari!r} over ARI"


def _same(key: str, over_ami: Any, over_ari: Any, slack_ms: int) -> bool:
    if key == "sip_call_id":
        return over_ami is None
    if over_ami is None or over_ari is None:
        return bool(over_ami == over_ari)
    if key in TIMES:
        apart = datetime.fromisoformat(over_ami) - datetime.fromisoformat(over_ari)
        return abs(apart) <= timedelta(milliseconds=slack_ms)
    return bool(abs(over_ami - over_ari) <= 2 * slack_ms if key in MEASURES else over_ami == over_ari)


@pytest.mark.parametrize("name", PAIRS)
def test_the_records_are_those_of_ami(name: str) -> None:
    shape = name.rpartition("-")[0]
    told = over_ami(name)
    ami, ari = by_linkedid(told), by_linkedid(over_ari(name, told[0].asterisk_version))
    assert ari.keys() == ami.keys()
    if shape in KNOWS_MORE:
        assert {record["outcome"] for record in ari.values()} == {"abandoned"}
        return
    odd = NOT_UTF8.get(shape)
    for linkedid, record in ami.items():
        if odd is None or record["sip"]["phrase"] != odd:
            assert not list(differences("call", record, ari[linkedid]))


ORDERS: dict[str, Callable[[list[ev.Event], list[ev.Event]], list[ev.Event]]] = {
    "AMI first": lambda ami, ari: ami + ari,
    "ARI first": lambda ami, ari: ari + ami,
    "by time": lambda ami, ari: sorted(ami + ari, key=lambda event: event.at),
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", PAIRS)
def test_both_together_record_each_call_once_whichever_tells_first(name: str, order: str) -> None:
    told = over_ami(name)
    shape = name.rpartition("-")[0]
    both = DECODERS["ami"](), DECODERS["ari"]()
    streams = (gzip.decompress(recorded(name, kind).read_bytes()) for kind in ("ami", "ari"))
    ami, ari = ([*decoder.feed(stream, 0.0)] for decoder, stream in zip(both, streams, strict=True))
    board = Switchboard(settle_s=1.0)
    calls = [call for event in ORDERS[order](ami, ari) for call in board.feed(event, 0.0)] + board.finish()
    calls += board.ended(board.correlator.drop_all(ami[-1].at), 0.0) + board.finish()
    records = [enrich.record(call, surroundings(told[0].asterisk_version)) for call in calls]
    ami_records, both_records = by_linkedid(told), by_linkedid(records)
    assert both_records.keys() == ami_records.keys()
    if shape not in KNOWS_MORE:
        for linkedid, record in ami_records.items():
            assert not list(differences("call", record, both_records[linkedid]))
    dialled = [attempt for record in records for attempt in record.attempts]
    assert all(attempt.sip_call_id for attempt in dialled if attempt.channel.startswith(("PJSIP/", "SIP/")))


@pytest.mark.parametrize(("release", "grade", "code"), [("22", "reported", 486), ("16", "candidates", None)])
def test_a_phrase_that_is_not_utf8_costs_no_more_than_its_grade(release: str, grade: str, code: int | None) -> None:
    name = f"odd-phrases-{release}"
    [odd] = [call.linkedid for call in over_ami(name) if call.sip.phrase == NOT_UTF8["odd-phrases"]]
    record = by_linkedid(over_ari(name, over_ami(name)[0].asterisk_version))[odd]
    assert record["outcome"] == "failed"
    assert record["disposition"] == "busy"
    assert record["evidence"]["grade"] == grade
    assert record["sip"]["code"] == code


@pytest.mark.parametrize("release", ["22", "16"])
def test_the_call_id_of_every_sip_leg_that_was_dialled_is_known(release: str) -> None:
    """Release 16 shows it while the leg lives, and no more when it has ended."""
    attempts = [
        attempt
        for name in PAIRS
        if name.endswith(release)
        for call in over_ari(name, None)
        for attempt in call.attempts
        if attempt.channel.startswith(("PJSIP/", "SIP/"))
    ]
    assert len(attempts) > 200
    assert all(attempt.sip_call_id for attempt in attempts)
