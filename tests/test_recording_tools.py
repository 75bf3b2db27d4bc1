"""Recordings as other tools save them: how they spell, wrap and time JSON events; raw bytes through other hands."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from asterisk_sip.calls.model import CallRecord, Grade
from asterisk_sip.sources.recording import Replay
from tests.ami_script import AmiScript
from tests.cases import all_cases
from tests.test_recording import AROUND, END, messages, small

CASES = all_cases()[::17]
Message = dict[str, Any]


def replayed(path: Path, data: bytes | str) -> list[CallRecord]:
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    reader = Replay(AROUND)
    records = list(reader.read([path]))
    assert (reader.unreadable, reader.unfinished) == (0, 0)
    return records


def timed(change: Callable[[float], Any]) -> Callable[[Message], Message]:
    """The event with its time written otherwise."""
    return lambda event: {name: change(float(value)) if name == "Timestamp" else value for name, value in event.items()}


def respelled(change: Callable[[str], str]) -> Callable[[Message], Message]:
    return lambda event: {change(name): value for name, value in event.items()}


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).replace("-", "_").lower()


def camel(name: str) -> str:
    return name[0].lower() + name[1:].replace("-t", "T")


def variables(event: Message) -> Message:
    """Channel variables as an object, cut at the first ``=``, though names hold one."""
    shown = dict(event)
    for name in [name for name in event if name.endswith("ChanVariable")]:
        lines = event[name] if isinstance(event[name], list) else [event[name]]
        shown[name] = {line.partition("=")[0]: line.partition("=")[2] for line in lines}
    return shown


def by_channel(event: Message) -> Message:
    shown = {name: value for name, value in event.items() if name != "ChanVariable"}
    lines = event.get("ChanVariable", [])
    named = [re.match(r"(.*tech\)[})]+)=", line) for line in (lines if isinstance(lines, list) else [lines])]
    values = {found[1]: found.string[found.end() :] for found in named if found is not None}
    return {**shown, "channelVariables": {"default": values}} if values else event


def named_outside(name_key: str, inner: str) -> Callable[[Message], Message]:
    def shape(event: Message) -> Message:
        headers = {name: value for name, value in event.items() if name not in ("Event", "Privilege")}
        return {name_key: event["Event"], "privilege": ["call", "all"], inner: headers} if "Event" in event else event

    return shape


def java(event: Message) -> Message:
    return {camel(name): f"{value}Event" if name == "Event" else value for name, value in event.items()}


def raw(event: Message) -> str:
    pairs = ((name, one) for name, value in event.items() for one in (value if isinstance(value, list) else [value]))
    return "".join(f"{name}: {value}\r\n" for name, value in pairs)


SHAPES: dict[str, Callable[[Message], Any]] = {
    "snake_case": respelled(snake),
    "camelCase": respelled(camel),
    "CAPITALS": respelled(str.upper),
    "only Event as it is": lambda event: {name if name == "Event" else name.lower(): event[name] for name in event},
    "all values in lists": lambda event: {
        name: value if isinstance(value, list) else [value] for name, value in event.items()
    },
    "nulls": lambda event: {name: value if value not in ("", "<unknown>") else None for name, value in event.items()},
    "Event last": lambda event: dict(reversed(event.items())) if "ChanVariable" not in event else event,
    "variables cut in two": variables,
    "variables by channel": by_channel,
    "one text for all variables": lambda event: {
        name: f"FOO=1\n{value}" if name.endswith("ChanVariable") and isinstance(value, str) else value
        for name, value in event.items()
    },
    "channel in the header's name": lambda event: {
        f"{name}(PJSIP/x-1)" if name.endswith("ChanVariable") else name: value for name, value in event.items()
    },
    "states in words alone": lambda event: {
        name: value for name, value in event.items() if not name.endswith("ChannelState")
    },
    "time as a number": timed(float),
    "time in milliseconds": timed(lambda at: at * 1_000),
    "time as ISO": timed(lambda at: datetime.fromtimestamp(at, UTC).isoformat()),
    "time with Z": timed(lambda at: f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%S.%f}Z"),
    "time as of a database": timed(lambda at: f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S.%f}"),
    "event wrapped": lambda event: {"event": event},
    "data wrapped": lambda event: {"pbx": 1, "data": event},
    "small letters wrapped": lambda event: {"channel": "log", "level": "INFO", "context": {"event": small(event)}},
    "one index": lambda event: {"_index": "ami", "_id": "1", "_source": event},
    "name and headers": named_outside("name", "headers"),
    "ID and Params": named_outside("ID", "Params"),
    "event and data": named_outside("event", "data"),
    "type event": lambda event: {"type": "event", **event},
    "pairs": lambda event: {"headers": [[name, value] for name, value in event.items()]},
    "names and values": lambda event: {"headers": [{"name": name, "value": event[name]} for name in event]},
    "classes of Java": java,
    "raw text as the event": lambda event: {"event": raw(event)},
    "raw text": lambda event: {"message": raw(event)},
    "JSON in JSON": lambda event: {"payload": json.dumps(event)},
    "several in one": lambda event: {"events": [event]},
    "with what the tool adds": lambda event: {**event, "content": "", "lines": raw(event).splitlines(), "EOL": "\r\n"},
}


@pytest.mark.parametrize("shape", SHAPES)
def test_whatever_shape_a_tool_gives_events_the_records_are_those_of_the_raw_bytes(shape: str, tmp_path: Path) -> None:
    for case in CASES:
        data = gzip.decompress(case.recording.read_bytes())
        lines = "".join(json.dumps(SHAPES[shape](event)) + "\n" for event in messages(data))
        assert replayed(tmp_path / "events.json", lines) == list(Replay(AROUND).read([case.recording])), case


@pytest.mark.parametrize("end", ["]}", ""], ids=["whole", "cut off"])
def test_a_list_in_an_object_is_read_however_long_it_is(end: str, tmp_path: Path) -> None:
    script = rejected()
    filler = json.dumps({"Event": "VarSet", "Value": "x" * 600_000})
    events = [json.dumps(event) for event in messages(script.stream())]
    text = '{"host":"a","events":[' + ",".join([events[0], filler, filler, *events[1:]])
    path = tmp_path / "events.json"
    path.write_text(text + end)
    [call] = Replay(AROUND).read([path])
    assert call.sip.code == 486


@pytest.mark.parametrize("spelled", [dict, small])
def test_an_event_that_somebody_wrote_into_a_variable_is_none(
    spelled: Callable[[Message], Message], tmp_path: Path
) -> None:
    ghost = {"Event": "Newchannel", "Channel": "PJSIP/ghost-1", "Uniqueid": "9.9", "Linkedid": "9.9"}
    inner = json.dumps(ghost), json.dumps({"type": "ChannelCreated", "timestamp": "x"}), raw(ghost)
    lines = [{"Event": "VarSet", "Uniqueid": "1.1", "Linkedid": "1.1", "Value": value} for value in inner]
    assert replayed(tmp_path / "events.json", json.dumps([spelled(line) for line in lines])) == []


def test_a_uniqueid_that_is_a_number_keeps_its_last_zero(tmp_path: Path) -> None:
    text = (
        '{"Event":"Newchannel","Channel":"PJSIP/a-1","Uniqueid":1795477621.10,"Linkedid":1795477621.10}\n'
        '{"Event":"Hangup","Channel":"PJSIP/a-1","Uniqueid":1795477621.10,"Linkedid":1795477621.10,"Cause":16}\n'
    )
    [call] = replayed(tmp_path / "events.json", text)
    assert call.linkedid == "1795477621.10"


def test_the_time_of_the_tool_counts_only_where_the_event_has_none(tmp_path: Path) -> None:
    chan = {"Channel": "PJSIP/a-1", "Uniqueid": "1795477621.1", "Linkedid": "1795477621.1"}
    began = {"time": "2026-11-23T23:47:02Z", "event": {"Event": "Newchannel", **chan}}
    ended = {
        "time": "2026-11-23T23:59:00Z",
        "event": {"Event": "Hangup", "Timestamp": 1795477623.5, "Cause": 16, **chan},
    }
    [call] = replayed(tmp_path / "events.json", json.dumps([began, ended]))
    assert (call.started_at, call.duration_ms) == (datetime(2026, 11, 23, 23, 47, 2, tzinfo=UTC), 1_500)


def test_a_time_counted_from_the_start_of_a_capture_is_none(tmp_path: Path) -> None:
    chan = {"Channel": "PJSIP/a-1", "Uniqueid": "1795477621.1", "Linkedid": "1795477621.1"}
    events = [{"time": 0.25, "Event": "Newchannel", **chan}, {"time": 3.5, "Event": "Hangup", "Cause": 16, **chan}]
    [call] = replayed(tmp_path / "events.json", json.dumps(events))
    assert call.started_at == datetime.fromtimestamp(1795477621, UTC)


def test_ari_events_are_found_in_what_is_around_them(tmp_path: Path) -> None:
    ari = Path(__file__).parent / "ari" / "rejected-486-22.ari.gz"
    events = [json.loads(line) for line in gzip.decompress(ari.read_bytes()).splitlines()]
    wanted = list(Replay(AROUND).read([ari]))
    assert wanted
    for shape in (lambda event: {"event": event}, lambda event: {"ari_body": json.dumps(event)}):
        assert (
            replayed(tmp_path / "events.json", "".join(json.dumps(shape(event)) + "\n" for event in events)) == wanted
        )


BYTES: dict[str, Callable[[bytes], bytes]] = {
    "LF": lambda data: data.replace(b"\r\n", b"\n"),
    "LF in the second half": lambda data: data[: len(data) // 2] + data[len(data) // 2 :].replace(b"\r\n", b"\n"),
    "put together of messages": lambda data: END.join(data.split(END)[:-1]),
    "one line end at the end": lambda data: data.rstrip(b"\r\n") + b"\r\n",
    "no banner": lambda data: data.partition(b"\r\n")[2],
    "from a terminal": lambda data: b"Trying 127.0.0.1...\r\nConnected to localhost.\r\n" + data,
    "more empty lines": lambda data: data.replace(END, END + b"\r\n"),
}


@pytest.mark.parametrize("change", BYTES)
def test_raw_bytes_that_went_through_other_hands_give_the_same_records(change: str, tmp_path: Path) -> None:
    for case in CASES:
        data = gzip.decompress(case.recording.read_bytes())
        assert replayed(tmp_path / "x.ami", BYTES[change](data)) == list(Replay(AROUND).read([case.recording])), case


def rejected() -> AmiScript:
    script = AmiScript()
    caller = script.incoming()
    script.reject(script.dial(caller, "PJSIP/acme", "1@acme"), "486 Busy Here")
    script.hangup(caller, 17, 486)
    return script


def test_a_recorder_that_connected_again_leaves_a_call_partial_and_makes_up_none(tmp_path: Path) -> None:
    script = rejected()
    cut = next(number for number, event in enumerate(script.events) if event.startswith(b"Event: DialEnd"))
    half = script.events[cut][: len(script.events[cut]) // 2]
    stream = script.greeting() + b"".join(script.events[:cut]) + half
    stream += script.greeting() + b"".join(script.events[cut + 1 :])
    [call] = replayed(tmp_path / "x.ami", stream)
    assert (call.sip.code, call.partial, len(call.gap_ids)) == (486, True, 1)


def test_a_hangup_that_was_cut_off_within_its_headers_is_none(tmp_path: Path) -> None:
    data = rejected().stream()
    path = tmp_path / "x.ami"
    for missing in (60, 200, 300):
        path.write_bytes(data[:-missing])
        reader = Replay(AROUND)
        assert list(reader.read([path])) == []
        assert reader.unfinished == 1


@pytest.mark.parametrize("timestamps", [True, False])
def test_without_times_nothing_is_concluded_from_how_long_an_attempt_took(*, timestamps: bool, tmp_path: Path) -> None:
    """Without the line a 408 that took long is Asterisk's own; when nobody tells how long, it may be."""
    script = AmiScript(line=False, timestamps=timestamps)
    caller = script.incoming()
    trunk = script.dial(caller, "PJSIP/acme", "1@acme")
    script.wait(32)
    script.fail_locally(trunk, 18, 408)
    script.hangup(caller, 18)
    [call] = replayed(tmp_path / "x.ami", script.stream())
    assert (call.sip.code, call.evidence.grade, call.disposition) == (408, Grade.LOCAL, "no_response")


def test_a_ringing_of_which_no_time_is_told_gives_no_delay(tmp_path: Path) -> None:
    script = AmiScript(timestamps=False)
    caller = script.incoming()
    trunk = script.dial(caller, "PJSIP/acme", "1@acme")
    script.ring(trunk)
    script.reject(trunk, "486 Busy Here")
    script.hangup(caller, 17, 486)
    [call] = replayed(tmp_path / "x.ami", script.stream())
    assert [attempt.pdd_ms for attempt in call.attempts] == [None]
