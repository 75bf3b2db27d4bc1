"""Recordings in every form give the same records: raw AMI, journals, JSON as other tools save it, ARI lines."""

from __future__ import annotations

import base64
import gzip
import json
import random
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from asterisk_sip.calls.enrich import Surroundings, TrunkRule
from asterisk_sip.calls.model import CallRecord, to_json
from asterisk_sip.errors import SourceError
from asterisk_sip.sources import handler_wire, hep_wire
from asterisk_sip.sources.forms import Recording, files
from asterisk_sip.sources.journal_wire import Frame, Kind, encode, first_line
from asterisk_sip.sources.pseudonyms_wire import Pseudonyms
from asterisk_sip.sources.recording import Replay
from asterisk_sip.sources.veil_wire import veil
from tests.cases import TRUNKS, all_cases
from tests.hep_packets import CALLER, PBX, packet, request, response

END = b"\r\n\r\n"
CASES = all_cases()
PAIRS = sorted((Path(__file__).parent / "ari").glob("*.ami.gz"))
ARI_HEARS_MORE = ("-deaf", "iax2")  # no queue events over AMI there; a progress that AMI does not tell
AROUND = Surroundings("pbx1", trunks=tuple(TrunkRule(None, (pattern,)) for pattern in TRUNKS))


def replayed(*paths: Path, **options: Any) -> list[CallRecord]:
    """What comes of some files, of which not a byte may be unreadable."""
    reader = Replay(AROUND, **options)
    records = list(reader.read(paths))
    assert (reader.unreadable, reader.torn, reader.unknown) == (0, 0, 0)
    return records


def messages(data: bytes) -> list[dict[str, Any]]:
    """AMI messages as another tool would save them: headers as keys, repeated ones as lists, numbers as numbers."""
    found = []
    for block in data.split(END)[:-1]:
        message: dict[str, Any] = {}
        for line in block.split(b"\r\n"):
            key, colon, value = line.decode("utf-8", "backslashreplace").partition(": ")
            if not colon:
                continue  # the banner
            shown: str | int = int(value) if value.isdigit() and str(int(value)) == value else value
            if key in message:
                before = message[key]
                message[key] = [*before, shown] if isinstance(before, list) else [before, shown]
            else:
                message[key] = shown
        if message:
            found.append(message)
    return found


def small(message: dict[str, Any]) -> dict[str, Any]:
    return {key.lower(): value for key, value in message.items()}


def json_forms(data: bytes) -> Iterator[tuple[str, str]]:
    found = messages(data)
    yield "lines", "".join(json.dumps(message) + "\n" for message in found)
    yield "array", json.dumps(found)
    yield "pretty array", json.dumps(found, indent=2, ensure_ascii=False)
    yield "one behind the other", "".join(map(json.dumps, found))
    yield "small letters", "\ufeff" + "\n".join(json.dumps(small(message)) for message in found)


def journal(*frames: tuple[float, str, str, Kind, bytes]) -> bytes:
    return first_line(1.0) + b"".join(encode(Frame(*frame)) for frame in frames)


def chunks(data: bytes, seed: int = 1) -> Iterator[bytes]:
    dice = random.Random(seed)
    at = 0
    while at < len(data):
        size = dice.randint(1, 4_000)
        yield data[at : at + size]
        at += size


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_form_of_json_gives_the_records_of_the_raw_bytes(case: Any, tmp_path: Path) -> None:
    wanted = replayed(case.recording)
    for form, text in json_forms(gzip.decompress(case.recording.read_bytes())):
        path = tmp_path / "events.json"
        path.write_text(text)
        assert replayed(path) == wanted, form


@pytest.mark.parametrize("case", CASES[::7], ids=str)
def test_a_journal_gives_the_records_of_the_raw_bytes_in_it(case: Any, tmp_path: Path) -> None:
    data = gzip.decompress(case.recording.read_bytes())
    frames = [(1.0, "pbx1", "ami", "data", chunk) for chunk in chunks(data)]
    path = tmp_path / "x.journal.gz"
    path.write_bytes(gzip.compress(journal((1.0, "pbx1", "ami", "run", b""), *frames)))  # type: ignore[arg-type]  # a tuple of five
    assert replayed(path) == replayed(case.recording)


def test_the_journal_of_several_pbxs_gives_the_records_of_each(tmp_path: Path) -> None:
    cases = [case for case in CASES if case.release == "22"][:6]
    streams = [
        [(1.0, f"pbx{number}", "ami", "data", chunk) for chunk in chunks(gzip.decompress(case.recording.read_bytes()))]
        for number, case in enumerate(cases)
    ]
    frames = []
    dice = random.Random(3)
    while any(streams):
        frames.append(dice.choice([stream for stream in streams if stream]).pop(0))
    path = tmp_path / "x.journal"
    path.write_bytes(journal(*frames))  # type: ignore[arg-type]  # a tuple of five
    records = replayed(path)
    for number, case in enumerate(cases):
        wanted = list(Replay(Surroundings(f"pbx{number}", trunks=AROUND.trunks)).read([case.recording]))
        assert [record for record in records if record.pbx == f"pbx{number}"] == wanted
        assert replayed(path, only=f"pbx{number}") == wanted


@pytest.mark.parametrize(
    "ami",
    [path for path in PAIRS if not any(word in path.name for word in ARI_HEARS_MORE)][::6],
    ids=lambda path: path.name,
)
def test_two_doors_of_one_pbx_lead_to_one_core(ami: Path, tmp_path: Path) -> None:
    """The same calls through both doors, interleaved by time, are told once, and as well as through the better one."""
    ari = ami.with_name(ami.name.replace(".ami.", ".ari."))
    frames = [(at, "pbx1", "ami", "data", block) for at, block in timed_ami(ami)]
    frames += [(at, "pbx1", "ari", "data", line) for at, line in timed_ari(ari)]
    frames.sort(key=lambda frame: frame[0])
    doors = [(1.0, "pbx1", door, "run", b"") for door in ("ami", "ari")]
    path = tmp_path / "x.journal"
    path.write_bytes(journal(*doors, *frames))  # type: ignore[arg-type]  # a tuple of five
    both, one = replayed(path), replayed(ami)
    assert {record.linkedid for record in both} == {record.linkedid for record in one}
    wanted = {record.linkedid: record for record in one}
    assert len(both) == len(one)
    for record in both:
        alone = wanted[record.linkedid]
        assert (record.outcome, record.disposition, record.sip) == (alone.outcome, alone.disposition, alone.sip)


def timed_ami(path: Path) -> Iterator[tuple[float, bytes]]:
    at = 1.0
    for block in gzip.decompress(path.read_bytes()).split(END)[:-1]:
        _, found, rest = block.partition(b"\r\nTimestamp: ")
        at = float(rest.partition(b"\r\n")[0]) if found else at
        yield at, block + END


def timed_ari(path: Path) -> Iterator[tuple[float, bytes]]:
    for line in gzip.decompress(path.read_bytes()).splitlines(keepends=True):
        yield datetime.fromisoformat(json.loads(line)["timestamp"]).timestamp(), line


@pytest.mark.parametrize("ami", PAIRS[::6], ids=lambda path: path.name)
def test_ari_lines_are_read_as_they_are_and_as_an_array(ami: Path, tmp_path: Path) -> None:
    ari = ami.with_name(ami.name.replace(".ami.", ".ari."))
    wanted = replayed(ari)
    assert wanted
    lines = [json.loads(line) for line in gzip.decompress(ari.read_bytes()).splitlines()]
    array = tmp_path / "events.json"
    array.write_text(json.dumps(lines, indent=1))
    assert replayed(array) == wanted


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("key", [None, b"a key"])
def test_sip_messages_and_reports_are_read_from_a_journal_through_its_veil(
    packed: bool, key: bytes | None, tmp_path: Path
) -> None:
    """A call refused without a channel: only HEP tells of it. And one that only a hangup handler told of."""
    at = 1_790_000_000.25
    sent = [packet(request(), packed=packed), packet(response(404, "Not Found"), src=PBX, dst=CALLER, at=at + 0.1)]
    hep = [veil("hep", key).feed(hep_wire.with_sender(data, PBX[0])) for data in sent]
    line = (
        f"v=1 uniqueid=1.2 linkedid=1.2 channel={b64('PJSIP/x-00000001')} state=Ring number={b64('5550100')} cause=21"
    )
    report = veil("agi", key).feed(handler_wire.record(line, at))
    path = tmp_path / "x.journal"
    path.write_bytes(
        journal(
            (at, "pbx1", "hep", "run", b""),
            (at, "pbx1", "agi", "run", b""),
            *((at, "pbx1", "hep", "data", data) for data in hep),
            (at, "pbx1", "agi", "data", report),
        )
    )
    refused, reported = sorted(replayed(path), key=lambda record: record.sip.code != 404)
    assert (refused.sip.code, refused.sip_call_id) == (404, "a1")
    assert (reported.linkedid, reported.q850.cause) == ("1.2", 21)
    number = "5550100" if key is None else Pseudonyms(key).number("5550100")
    assert (refused.caller.number, reported.caller.number) == (number, number)


def b64(text: str) -> str:
    return base64.b64encode(b"=" + text.encode()).decode()


def test_the_sender_of_a_packet_is_kept_with_it() -> None:
    data = packet(request())
    kept = hep_wire.with_sender(data, "192.0.2.10")
    assert hep_wire.sender_of(kept) == "192.0.2.10"
    assert hep_wire.sender_of(data) is None
    assert hep_wire.parse(kept) == hep_wire.parse(data)
    assert hep_wire.with_sender(bytes(65_530), "192.0.2.10") == bytes(65_530)


def test_a_folder_is_read_file_after_file_and_an_empty_one_is_told(tmp_path: Path) -> None:
    data = gzip.decompress(CASES[0].recording.read_bytes())
    half = len(data) // 2
    first = journal((1.0, "pbx1", "ami", "run", b""), (1.0, "pbx1", "ami", "data", data[:half]))
    then = journal((1.0, "pbx1", "ami", "file", b"2 22.10.1"), (1.0, "pbx1", "ami", "data", data[half:]))
    (tmp_path / "20261124T100000.000000Z.journal.gz").write_bytes(gzip.compress(first))
    (tmp_path / "20261124T110000.000000Z.journal").write_bytes(then)
    assert replayed(tmp_path) == replayed(CASES[0].recording)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="no journal is in this folder"):
        replayed(tmp_path / "empty")


def test_a_file_that_the_daemon_packs_meanwhile_is_read_all_the_same(tmp_path: Path) -> None:
    data = gzip.decompress(CASES[0].recording.read_bytes())
    for hour in (10, 11):
        path = tmp_path / f"20261124T{hour}0000.000000Z.journal"
        path.write_bytes(journal((1.0, "pbx1", "ami", "run", b""), (1.0, "pbx1", "ami", "data", data)))
    frames = (frame for path in files([tmp_path]) for frame in Recording(path).frames())
    assert next(frames).kind == "run"
    (tmp_path / "20261124T110000.000000Z.journal.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    assert [frame.kind for frame in frames] == ["data", "run", "data"]


@pytest.mark.parametrize("hole", ["file", "lost", "down", "run"])
def test_a_call_with_a_hole_in_it_is_partial(hole: Kind, tmp_path: Path) -> None:
    [case] = [case for case in CASES if str(case) == "rejected-486-22"]
    data = gzip.decompress(case.recording.read_bytes())
    cut = data.index(b"Event: DialEnd")
    frames: list[tuple[float, str, str, Kind, bytes]] = [
        (1.0, "pbx1", "ami", "run", b""),
        (1.0, "pbx1", "ami", "up", b"22.10.1"),
        (1.0, "pbx1", "ami", "data", data[:cut]),
        (1.0, "pbx1", "ami", hole, b"3" if hole == "file" else b""),
        (1.0, "pbx1", "ami", "data", data[cut:]),
    ]
    path = tmp_path / "x.journal"
    path.write_bytes(journal(*frames))
    [record] = replayed(path)
    assert record.partial
    assert record.gap_ids


def test_a_torn_journal_gives_what_is_whole_and_tells_of_it(tmp_path: Path) -> None:
    data = gzip.decompress(CASES[0].recording.read_bytes())
    whole = journal((1.0, "pbx1", "ami", "data", data)) + encode(Frame(1.0, "pbx1", "ami", "data", data))[:-700]
    path = tmp_path / "x.journal"
    path.write_bytes(whole)
    reader = Replay(AROUND)
    assert list(reader.read([path])) == replayed(CASES[0].recording)
    assert reader.torn == 1


@pytest.mark.parametrize(
    "text",
    [
        '{"Event": "Hangup", "Uniqueid": "1.1"',
        '[{"a": 1}, 2, "x"]',
        "[[[[ x",
        "{" * 5_000,
        '{"Event": "Hangup\\r\\nEvent: Newchannel\\r\\nUniqueid: 7.7"}\n{"type": 5}\n{"type": "Dial"}',
        '{"event": {"a": 1}}\nnot json\n',
    ],
)
def test_json_of_no_use_is_counted_and_harms_nobody(text: str, tmp_path: Path) -> None:
    path = tmp_path / "events.json"
    path.write_text(text + '\n{"Event": "Newchannel", "Uniqueid": "1.1", "Linkedid": "1.1", "Channel": "PJSIP/a-1"}\n')
    reader = Replay(AROUND)
    assert list(reader.read([path])) == []
    assert reader.unreadable or "Newchannel" in text
    assert reader.unfinished <= 1


def test_a_value_with_line_breaks_is_one_header_of_one_message(tmp_path: Path) -> None:
    path = tmp_path / "events.json"
    path.write_text(json.dumps({"Event": "X\r\n\r\nEvent: Newchannel\r\nUniqueid: 7.7\r\nLinkedid: 7.7"}))
    reader = Replay(AROUND)
    list(reader.read([path]))
    assert (reader.events, reader.unfinished) == (0, 0)


def test_records_are_plain_data() -> None:
    assert json.dumps(to_json(replayed(CASES[0].recording)[0]))
