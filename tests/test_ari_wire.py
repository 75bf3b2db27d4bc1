"""ARI messages to events: what a real PBX does not send often, or never should."""

from __future__ import annotations

import json
from typing import Any

import pytest

from asterisk_sip.calls import events as ev
from asterisk_sip.sources import ari_wire
from asterisk_sip.sources.ari_wire import MAX_WAITING, Reader, frame_line, info_line, list_lines

AT = "2026-11-24T11:50:45.110+0000"
SECONDS = 1_795_521_045.110


def channel(uniqueid: str = "1.1", name: str = "PJSIP/acme-00000001", **changes: Any) -> dict[str, Any]:
    usual = {
        "id": uniqueid,
        "name": name,
        "state": "Down",
        "protocol_id": "abc@example.org",
        "caller": {"name": "Zoë ☎", "number": "100"},
        "connected": {"name": "", "number": ""},
        "accountcode": "",
        "dialplan": {"context": "lab", "exten": "486", "priority": 1, "app_name": "", "app_data": ""},
        "channelvars": {'EVAL(${HANGUPCAUSE(${CHANNEL(name)},tech)}="x")': "SIP 486 Busy Here"},
    }
    return usual | changes


def line(kind: str, **fields: Any) -> bytes:
    return json.dumps({"type": kind, "timestamp": AT, **fields}).encode() + b"\n"


def read(data: bytes, reader: Reader | None = None) -> list[Any]:
    return [*(reader or Reader()).feed(data)]


def only(data: bytes, reader: Reader | None = None) -> Any:
    [event] = read(data, reader)
    return event


def test_the_end_of_a_channel_tells_cause_line_and_call_id() -> None:
    event = only(line("ChannelDestroyed", channel=channel(), cause=17, cause_txt="User busy", tech_cause=486))
    shown = ev.Channel(
        "PJSIP/acme-00000001",
        "1.1",
        "",
        caller_number="100",
        caller_name="Zoë ☎",
        context="lab",
        exten="486",
        heard="SIP 486 Busy Here",
        call_id="abc@example.org",
    )
    assert event == ev.HungUp(SECONDS, shown, 17, "User busy", 486)


def test_a_soft_request_to_hang_up_is_none_of_the_far_ends() -> None:
    assert Reader().feed(line("ChannelHangupRequest", channel=channel(), soft=True, cause=16)) == []
    event = only(line("ChannelHangupRequest", channel=channel(), cause=17, tech_cause=486))
    assert (event.cause, event.tech_cause) == (17, 486)


def test_only_the_end_of_a_dialling_and_of_a_channel_shows_the_line() -> None:
    """Of a channel in a bridge it may say "nothing" although something was received."""
    reader = Reader()
    caller, peer = channel("1.1"), channel("1.2")
    for status in ("", "RINGING", "PROGRESS", "PROCEEDING"):
        event = only(line("Dial", caller=caller, peer=peer, dialstatus=status, dialstring="x", forward=""), reader)
        assert event.dest.heard is None
    event = only(line("Dial", caller=caller, peer=peer, dialstatus="BUSY", dialstring="", forward=""), reader)
    assert (event.dest.heard, event.source.heard, event.forward) == ("SIP 486 Busy Here", None, None)
    assert only(line("ChannelStateChange", channel=channel(state="Up"))).channel.heard is None


@pytest.mark.parametrize("variables", [{}, None, {"OTHER": "x"}, "no object"])
def test_a_channel_without_the_line_says_so(variables: object) -> None:
    event = only(line("ChannelDestroyed", channel=channel(channelvars=variables), cause=0))
    assert event.channel.heard is None


def test_an_originated_call_has_nobody_who_dials() -> None:
    event = only(line("Dial", peer=channel("1.2"), dialstatus="", dialstring="486@acme", forward=""))
    assert (event.source, event.dial_string) == (None, "486@acme")


@pytest.mark.parametrize("second", [";1", ";2"])
def test_the_halves_of_a_local_channel_find_each_other_by_name(second: str) -> None:
    reader, first = Reader(), ";2" if second == ";1" else ";1"
    assert len(reader.feed(line("ChannelCreated", channel=channel(first, f"Local/100@lab-0000001{first}")))) == 1
    began, paired = read(line("ChannelCreated", channel=channel(second, f"Local/100@lab-0000001{second}")), reader)
    assert began.channel.uniqueid == second
    assert (paired.one.uniqueid, paired.two.uniqueid) == (";1", ";2")


def test_halves_whose_other_half_never_comes_are_forgotten() -> None:
    reader = Reader()
    for number in range(MAX_WAITING + 10):
        reader.feed(line("ChannelCreated", channel=channel(str(number), f"Local/100@lab-{number:08x};1")))
    assert len(reader._halves) == MAX_WAITING
    reader.feed(line("ChannelDestroyed", channel=channel("x", f"Local/100@lab-{number:08x};1")))
    assert len(reader._halves) == MAX_WAITING - 1


@pytest.mark.parametrize(
    ("bridge_class", "bridge_type", "together"),
    [("basic", "mixing", True), ("stasis", "mixing", True), ("base", "mixing", False), ("parking", "holding", False)],
)
def test_who_meets_in_a_bridge_shares_a_call_unless_it_is_a_conference_or_a_car_park(
    bridge_class: str, bridge_type: str, together: bool
) -> None:
    bridge = {"bridge_class": bridge_class, "bridge_type": bridge_type, "channels": ["1.1", "1.2"]}
    events = Reader().feed(line("ChannelEnteredBridge", channel=channel(), bridge=bridge))
    assert [type(event) for event in events] == [ev.ChannelSeen, *([ev.ChannelsMet] if together else [])]


def test_who_enters_a_bridge_alone_meets_nobody() -> None:
    bridge = {"bridge_class": "basic", "bridge_type": "mixing", "channels": ["1.1"]}
    event = only(line("ChannelEnteredBridge", channel=channel(), bridge=bridge))
    assert isinstance(event, ev.ChannelSeen)


def step(app: str, uniqueid: str = "1.1") -> bytes:
    return line("ChannelDialplan", channel=channel(uniqueid), dialplan_app=app, dialplan_app_data="")


def test_a_caller_waits_in_a_queue_until_the_dialplan_goes_on() -> None:
    reader = Reader()
    assert reader.feed(step("Answer")) == []
    assert [type(event) for event in reader.feed(step("Queue"))] == [ev.QueueJoined]
    assert reader.feed(step("Playback", "1.2")) == []
    assert [type(event) for event in reader.feed(step("Hangup"))] == [ev.QueueLeft]
    assert reader.feed(step("Hangup")) == []


def test_a_caller_who_meets_an_agent_waits_no_more() -> None:
    reader = Reader()
    reader.feed(step("Queue"))
    bridge = {"bridge_class": "basic", "bridge_type": "mixing", "channels": ["1.2", "1.1"]}
    events = reader.feed(line("ChannelEnteredBridge", channel=channel(), bridge=bridge))
    assert [type(event) for event in events] == [ev.QueueLeft, ev.ChannelSeen, ev.ChannelsMet]


def test_the_list_of_channels_tells_who_belongs_together() -> None:
    local = [channel("2.1", "Local/1@lab-1;1"), channel("2.2", "Local/1@lab-1;2")]
    bridges = [{"bridge_class": "basic", "bridge_type": "mixing", "channels": ["1.1", "2.1"]}]
    listed, paired, met = read(b"".join(list_lines([channel(), *local], bridges, SECONDS, SECONDS - 1)))
    assert [each.uniqueid for each in listed.channels] == ["1.1", "2.1", "2.2"]
    assert (listed.at, listed.since) == (pytest.approx(SECONDS), pytest.approx(SECONDS - 1))
    assert (paired.one.uniqueid, paired.two.uniqueid) == ("2.1", "2.2")
    assert met.uniqueids == ("1.1", "2.1")


def test_a_list_that_does_not_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ari_wire, "MAX_LISTED", 10)
    reader = Reader()
    endless = list(list_lines([channel(str(number)) for number in range(20)], [], SECONDS, SECONDS))
    listed = only(b"".join(endless), reader)
    assert len(listed.channels) == 10
    assert reader.unreadable == 10


def test_the_version_is_that_of_the_release() -> None:
    reader = Reader()
    assert reader.feed(info_line({"system": {"version": "22.10.1+dfsg+~cs6.15.6"}}, SECONDS)) == []
    assert reader.version == "22.10.1"


def test_whoever_takes_our_application_over_is_noticed() -> None:
    reader = Reader()
    assert reader.feed(line("ApplicationReplaced", application="asterisk-sip")) == []
    assert reader.taken_over


def test_frames_written_for_people_are_read_too() -> None:
    frame = json.dumps(json.loads(line("ChannelDestroyed", channel=channel(), cause=16)), indent=2).encode()
    assert isinstance(only(frame_line(frame)), ev.HungUp)


def test_lines_are_found_however_the_bytes_come() -> None:
    stream = b"\n" + line("ChannelDestroyed", channel=channel(), cause=16) * 3
    reader = Reader()
    assert len([event for byte in stream for event in reader.feed(bytes([byte]))]) == 3
    assert reader.missed == 0


def test_a_line_that_is_too_long_is_dropped_and_no_other() -> None:
    good = line("ChannelDestroyed", channel=channel(), cause=16)
    reader = Reader(max_bytes=2_000)
    stream = good + b"x" * 5_000 + b"\n" + good + b"y" * 2_001 + b"\n" + good
    events = [event for start in range(0, len(stream), 700) for event in reader.feed(stream[start : start + 700])]
    assert len(events) == 3
    assert reader.lines.oversized == 2
    assert reader.missed == 2


GOOD = {"type": "ChannelDestroyed", "timestamp": AT, "channel": channel(), "cause": 16}


@pytest.mark.parametrize(
    "bad",
    [
        b"no JSON",
        b"<html><body>502 Bad Gateway</body></html>",
        b"[]",
        b"3",
        b"null",
        b"{}",
        b'{"type": 7}',
        b'{"type": ["Dial"]}',
        b"[" * 100_000,
        b'{"type": "Dial", "timestamp": ' + b"9" * 10_000 + b"}",
        *(
            json.dumps(GOOD | change).encode()
            for change in (
                {"timestamp": "yesterday"},
                {"timestamp": "9999-12-31T23:59:59.999-1200"},
                {"timestamp": "1969-12-31T23:59:59+0000"},
                {"timestamp": None},
                {"channel": None},
                {"channel": "PJSIP/acme"},
                {"channel": channel("")},
                {"channel": channel(uniqueid=7)},  # type: ignore[arg-type]  # wrong on purpose
                {"channel": channel(caller=None)},
                {"channel": channel(name=[])},  # type: ignore[arg-type]  # wrong on purpose
                {"cause_txt": 5},
            )
        ),
        json.dumps({"type": "ChannelEnteredBridge", "timestamp": AT, "channel": channel(), "bridge": None}).encode(),
        b'{"type": "ChannelUserevent", "timestamp": "'
        + AT.encode()
        + b'", "eventname": "AsteriskSip", "userevent": 1}',
    ],
)
def test_a_message_that_cannot_be_read_costs_only_itself(bad: bytes) -> None:
    reader = Reader()
    good = json.dumps(GOOD).encode()
    events = reader.feed(good + b"\n" + bad + b"\n" + good + b"\n")
    assert len(events) == 2
    assert reader.unreadable == 1


@pytest.mark.parametrize("cause", [-1, 128, 10**30, True, "16", None, 1.5])
def test_what_is_no_q850_cause_is_none(cause: object) -> None:
    assert only(line("ChannelDestroyed", channel=channel(), cause=cause)).cause is None
    if not isinstance(cause, int) or not 0 <= cause < 1_000:
        assert only(line("ChannelDestroyed", channel=channel(), cause=16, tech_cause=cause)).tech_cause is None


def test_text_that_cannot_be_stored_is_shown_escaped() -> None:
    event = only(line("ChannelCreated", channel=channel(caller={"name": "\ud800x", "number": "1"})))
    assert event.channel.caller_name == "\\ud800x"
    event = only(line("ChannelCreated", channel=channel(accountcode="ACC")).replace(b"ACC", b"A\xff"))
    assert event.channel.account == "A\N{REPLACEMENT CHARACTER}"
