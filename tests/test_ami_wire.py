"""AMI messages to events: the SIP status among the channel variables, missing and odd headers, times, versions."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asterisk_sip.calls import events as ev
from asterisk_sip.sources import ami_wire
from tests.ami_client import hangup
from tests.ami_messages import message

PLAIN = "EVAL(${HANGUPCAUSE(${CHANNEL(name)},tech)})"
GUARDED = 'EVAL(${EVAL(${IF($["${HANGUPCAUSE_KEYS()}"="${CHANNEL(name)}"]?$:)}{HANGUPCAUSE(${CHANNEL(name)},tech)})})'
THE_LINE = r"EVAL(${${IF(${FIELDNUM(HANGUPCAUSE_KEYS(),\,,${CHANNEL(name)})}?HANGUPCAUSE:LEN)}(${CHANNEL(name)},tech)})"
NAMES = [THE_LINE, THE_LINE.replace("\\,", "|"), PLAIN, GUARDED, GUARDED.replace('"', '\\"')]
VALUES = [
    "SIP 608 Rejected",
    "SIP 100 Trying",
    "SIP 486 a=b=c",
    "SIP 603 )})})=SIP 200 OK",
    "SIP 500 ${SHELL(touch /tmp/x)}",
    f"SIP 500 {'x' * 2048}",
    "SIP 480 Vorübergehend nicht erreichbar ☎",
    "SIP 486 HANGUPCAUSE(x)=SIP 200 OK",
    "{HANGUPCAUSE(PJSIP/trunk-00000001,tech)}",
    "25",
    "",
]


def only(event: bytes) -> ev.Event:
    [read] = ami_wire.Reader(lambda *_: 0.0).feed(event)
    return read


def heard(*lines: tuple[str, str]) -> str | None:
    event = only(message(("Event", "Hangup"), ("Uniqueid", "1.1"), *lines, ("Cause", "21")))
    assert isinstance(event, ev.HungUp)
    assert event.cause == 21
    return event.channel.heard


# The line that tells the SIP status


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", VALUES)
def test_the_status_is_told_as_it_was_received(name: str, value: str) -> None:
    assert heard(("ChanVariable", f"{name}={value}")) == value


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None)
@given(value=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\\"), max_size=60))
def test_no_text_of_a_far_end_can_end_the_name_or_be_cut(name: str, value: str) -> None:
    assert heard(("ChanVariable", f"{name}={value}")) == value


def test_bytes_that_are_no_utf8_are_kept_visible() -> None:
    line = b"ChanVariable: " + PLAIN.encode() + b"=SIP 486 Occup\xe9\r\n"
    event = only(b"Event: Hangup\r\nUniqueid: 1.1\r\n" + line + b"Cause: 17\r\n\r\n")
    assert isinstance(event, ev.HungUp)
    assert event.channel.heard == r"SIP 486 Occup\xe9"
    assert event.cause == 17


def test_other_channel_variables_before_and_after_it_do_not_matter() -> None:
    others = [("ChanVariable", "TRUNK=a=b"), ("ChanVariable", "CALLERID(name)=x"), ("ChanVariable", "CDR(x)=")]
    assert heard(*others, ("ChanVariable", f"{GUARDED}=SIP 503 Busy"), *others) == "SIP 503 Busy"
    assert heard(*others) is None


@pytest.mark.parametrize(
    "assignment",
    [
        "CALLERID(name)=HANGUPCAUSE(x,tech)=SIP 200 OK",
        "SIPDOMAIN=HANGUPCAUSE(x,tech)=SIP 200 OK",
        f"SIPDOMAIN={PLAIN}=SIP 200 OK",
        f"x{PLAIN}x=SIP 200 OK",
        "HANGUPCAUSE(x,tech",
        "HANGUPCAUSE(x,tech)",
        ")HANGUPCAUSE(x,tech)=SIP 200 OK)",
        "HANGUPCAUSE=16",
        "",
    ],
)
def test_another_variable_that_holds_such_text_is_not_taken_for_it(assignment: str) -> None:
    assert ami_wire.status_variable(assignment) is None


def test_a_dial_end_tells_the_status_of_the_channel_dialled_not_of_the_one_that_dials() -> None:
    event = only(
        message(
            ("Event", "DialEnd"),
            ("Uniqueid", "1.1"),
            ("ChanVariable", f"{GUARDED}=SIP 100 Trying"),
            ("DestUniqueid", "1.2"),
            ("DestChanVariable", f"{GUARDED}=SIP 486 Busy Here"),
            ("DialStatus", "BUSY"),
        )
    )
    assert isinstance(event, ev.DialEnded)
    assert (event.dest.uniqueid, event.dest.heard, event.status) == ("1.2", "SIP 486 Busy Here", "BUSY")


# Headers


@pytest.mark.parametrize("name", [*ami_wire.WANTED, "CoreShowChannel", "CoreShowChannelsComplete"])
@pytest.mark.parametrize("rest", ["", "Privilege: call,all\r\n", "Cause\r\n: \r\n:\r\nCause:16\r\nCause: \r\n"])
def test_missing_and_odd_headers_never_raise(name: str, rest: str) -> None:
    reader = ami_wire.Reader(lambda *_: 0.0)
    events = reader.feed(f"Event: {name}\r\n{rest}\r\n".encode())
    assert len(events) == (name not in ("CoreShowChannel", "UserEvent"))
    assert reader.unreadable == 0


def test_an_event_takes_what_asterisk_told() -> None:
    event = only(hangup("pbx-1793520000.7", TechCause="608", AccountCode="acme", Context="out", Exten="0049"))
    assert isinstance(event, ev.HungUp)
    assert (event.cause, event.cause_text, event.tech_cause) == (16, "Normal Clearing", 608)
    channel = event.channel
    assert (channel.name, channel.uniqueid, channel.up) == ("PJSIP/träger-00000001", "pbx-1793520000.7", True)
    assert (channel.caller_number, channel.caller_name) == ("+4930123456", "Zoë Müller ☎")
    assert (channel.account, channel.context, channel.exten) == ("acme", "out", "0049")


@pytest.mark.parametrize("text", ["", "x", "-16", "16.0", " 16", "0x10", "\N{ARABIC-INDIC DIGIT ONE}"])
def test_a_cause_that_is_no_number_is_no_cause(text: str) -> None:
    event = only(hangup("1.1", Cause=text, TechCause=text))
    assert isinstance(event, ev.HungUp)
    assert (event.cause, event.tech_cause) == (None, None)


def test_absent_is_none_and_never_an_empty_text() -> None:
    event = only(hangup("1.1", CallerIDNum="<unknown>", CallerIDName="", AccountCode="", **{"Cause-txt": ""}))
    assert isinstance(event, ev.HungUp)
    channel = event.channel
    assert (channel.caller_number, channel.caller_name, channel.account, event.cause_text) == (None, None, None, None)


def test_the_first_of_a_repeated_header_counts() -> None:
    event = only(message(("Event", "Hangup"), ("Cause", "21"), ("Cause", "16")))
    assert isinstance(event, ev.HungUp)
    assert event.cause == 21


@pytest.mark.parametrize("name", ["SoftHangupRequest", "VarSet", "Newexten", "hangup", "Hangup2", ""])
def test_what_the_core_does_not_need_is_not_read(name: str) -> None:
    """SoftHangupRequest above all: its Cause is a mask of flags, and 16 there is not Normal Clearing."""
    reader = ami_wire.Reader(lambda *_: pytest.fail("parsed"))
    assert reader.feed(message(("Event", name), Uniqueid="1.1", Cause="16", Response="Success")) == []
    assert reader.responses == []


def test_an_answer_is_kept_for_who_asked_and_an_event_is_not() -> None:
    reader = ami_wire.Reader(lambda *_: 0.0)
    answer = message(("Response", "Success"), ActionID="7")
    assert reader.feed(message(("Event", "OriginateResponse"), Response="Failure") + answer) == []
    assert reader.responses == [answer.removesuffix(ami_wire.END)]


def test_channels_listed_are_one_event() -> None:
    rows = [message(("Event", "CoreShowChannel"), Channel=f"PJSIP/a-{i}", Uniqueid=f"1.{i}") for i in range(3)]
    complete = message(("Event", "CoreShowChannelsComplete"), ListItems="3")
    reader = ami_wire.Reader(lambda *_: 5.0)
    first, listed, empty = reader.feed(hangup("1.9") + b"".join(rows) + complete + complete)
    assert isinstance(first, ev.HungUp)
    assert isinstance(listed, ev.ChannelsListed)
    assert listed.at == 5.0
    assert [channel.uniqueid for channel in listed.channels] == ["1.0", "1.1", "1.2"]
    assert empty == ev.ChannelsListed(5.0, ())


# Times and versions

NO_TIME = -1.0


def own_time(fields: ami_wire.Fields, _newest: float) -> float:
    at = ami_wire.timestamp(fields)
    return NO_TIME if at is None else at


def times(clock: ami_wire.Clock, *events: dict[str, str]) -> list[float]:
    """The time of each of these events, read one after the other."""
    reader = ami_wire.Reader(clock)
    return [event.at for headers in events for event in reader.feed(message(("Event", "Hangup"), **headers))]


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "-1", "1e300", "253402300800", "x", ""])
def test_a_timestamp_that_can_be_no_time_is_none(text: str) -> None:
    assert times(own_time, {"Timestamp": text}) == [NO_TIME]


def test_an_event_carries_asterisks_own_time() -> None:
    assert times(own_time, {"Timestamp": "1793520000.250000"}, {}) == [1793520000.25, NO_TIME]


def test_a_recording_without_timestamps_takes_its_time_from_the_newest_channel() -> None:
    heard_at = {
        "": 0.0,
        "Uniqueid: 1793520000.1": 1793520000.0,
        "Uniqueid: pbx-7-1793520005.2": 1793520005.0,
        "Uniqueid: 1793520001.3, DestUniqueid: 1793520009.4": 1793520009.0,
        "Uniqueid: 1793520001.3": 1793520009.0,
        "Timestamp: 1793520004.5, Uniqueid: 1793520001.3": 1793520004.5,
        "Uniqueid: none": 1793520009.0,
    }
    events = [dict(pair.split(": ") for pair in text.split(", ") if pair) for text in heard_at]
    assert times(ami_wire.RecordedClock(), *events) == [*heard_at.values()]


@pytest.mark.parametrize(
    "uniqueid", ["1793520000123", "20261103123456.1", "9" * 400 + ".1", "x-2026", "pbx", "17935200001.1", "-.", ""]
)
def test_a_uniqueid_chosen_by_who_originated_the_call_is_not_taken_for_a_time(uniqueid: str) -> None:
    chosen = {"Uniqueid": uniqueid, "DestUniqueid": uniqueid}
    assert times(ami_wire.RecordedClock(), {"Uniqueid": "1793520000.1"}, chosen) == [1793520000.0] * 2


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["Timestamp", "Uniqueid", "DestUniqueid"]), st.text(max_size=30)))
def test_a_recording_has_a_time_that_can_be_shown(headers: dict[str, str]) -> None:
    [at, *_] = times(ami_wire.RecordedClock(), headers)
    assert math.isfinite(at)
    assert 0.0 <= at < 253_402_300_800


@pytest.mark.parametrize(
    ("told", "version"),
    [
        ("22.10.1~dfsg+~cs6.15-1", "22.10.1"),
        ("22.10.1", "22.10.1"),
        ("16.28.0~dfsg-0+deb11u4", "16.28.0"),
        ("certified/18.9-cert5", "certified/18.9-cert5"),
        ("GIT-master-0a1b2c3", "GIT-master-0a1b2c3"),
        ("", None),
    ],
)
def test_the_version_is_told_without_its_packaging(told: str, version: str | None) -> None:
    reader = ami_wire.Reader(lambda *_: 0.0)
    reader.feed(message(("Response", "Success"), ActionID="1", AMIversion="11.0.0", AsteriskVersion=told))
    assert reader.version == version


def test_a_refused_question_does_not_unlearn_the_version() -> None:
    reader = ami_wire.Reader(lambda *_: 0.0)
    reader.feed(message(("Response", "Success"), AsteriskVersion="22.10.1"))
    reader.feed(message(("Response", "Error"), Message="Permission denied"))
    assert reader.version == "22.10.1"


@pytest.mark.parametrize(
    ("banner", "release"),
    [
        ("Asterisk Call Manager/11.0.0", "22"),
        ("Asterisk Call Manager/5.0.4", "16"),
        ("Asterisk Call Manager/99.0.0", None),
        ("Asterisk Call Manager/", None),
        ("", None),
        (None, None),
    ],
)
def test_the_banner_tells_the_release(banner: str | None, release: str | None) -> None:
    assert ami_wire.release_of_banner(banner) == release
