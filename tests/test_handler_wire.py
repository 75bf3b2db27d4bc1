"""The line of the hangup handler, read back whatever stands in it."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asterisk_sip.calls import events as ev
from asterisk_sip.sources import ami_wire, handler_wire


def b64(text: str | bytes) -> str:
    data = text if isinstance(text, bytes) else text.encode()
    return base64.b64encode(b"=" + data).decode()


def line(**fields: str) -> str:
    """A line as the dialplan writes it; a field given replaces the usual one."""
    usual = {"v": "1", "at": "1795520249.098080", "channel": b64("PJSIP/caller-00000000"), "uniqueid": "1795520249.0"}
    usual |= {"linkedid": "1795520249.0", "state": "Ring", "cause": "17"}
    return " ".join(f"{key}={value}" for key, value in (usual | fields).items())


def report(text: str) -> ev.HandlerReport:
    told = handler_wire.report_of(text, "AGI", 5.0)
    assert told is not None
    return told


def test_a_caller_tells_of_every_leg_it_dialled() -> None:
    heard = f"heard={b64('PJSIP/acme-1')}:{b64('SIP 486 Busy Here')} heard={b64('PJSIP/b-2')}:{b64('SIP 180 Ringing')}"
    told = report(
        line(
            began="1795520249.091383",
            dialstatus="BUSY",
            dialled=b64("5551234"),
            context=b64("from-internal"),
            number=b64("100"),
            name=b64("Ann"),
            callid=b64("abc@lab"),
            source=b64("dialplan/builtin"),
        )
        + f"  {heard}"
    )
    assert told.heard == (("PJSIP/acme-1", "SIP 486 Busy Here"), ("PJSIP/b-2", "SIP 180 Ringing"))
    assert (told.at, told.began_at, told.answered_at) == (1795520249.09808, 1795520249.091383, None)
    assert (told.dial_status, told.cause, told.requested) == ("BUSY", 17, False)
    channel = told.channel
    assert (channel.name, channel.uniqueid, channel.linkedid) == (
        "PJSIP/caller-00000000",
        "1795520249.0",
        "1795520249.0",
    )
    assert (channel.exten, channel.context, channel.caller_number, channel.caller_name) == (
        *("5551234", "from-internal"),
        *("100", "Ann"),
    )
    assert channel.call_id == "abc@lab"


def test_a_dialled_leg_tells_of_itself() -> None:
    name = b64("PJSIP/acme-1")
    told = report(line(kind="leg", channel=name, source=name, dialled=b64("486@acme"), caller="1795520249.0"))
    assert told.is_dialled_leg
    assert told.requested, "the far end is the source of the hangup"
    assert (told.dialled, told.caller) == ("486@acme", "1795520249.0")
    assert (told.channel.exten, told.channel.context) == (None, None)


def test_an_answer_is_told_of_a_channel_that_is_up_only() -> None:
    assert report(line(state="Up", answered="1795520249.106994")).answered_at == 1795520249.106994
    assert report(line(state="Up", answered="0.000000")).answered_at is None
    assert report(line(state="Ring", answered="1795520249.106994")).answered_at is None


def test_without_a_time_it_is_when_the_line_came() -> None:
    assert report(line(at="")).at == 5.0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "v=1",
        line(v="2"),
        line(uniqueid=""),
        line(channel="not base64!"),
        line(channel=""),
        "x" * (handler_wire.MAX_LINE + 1),
    ],
)
def test_what_is_no_report_is_none(text: str) -> None:
    assert handler_wire.report_of(text, "AGI", 5.0) is None


def test_a_field_that_cannot_be_read_is_left_out() -> None:
    told = report(line(at="noon", began="-1", cause="999", number="%%%", answeredms="1" * 40) + " heard=x heard=:")
    assert (told.at, told.began_at, told.cause, told.channel.caller_number, told.answered_ms) == (5.0, *[None] * 4)
    assert told.heard == ()


def test_bytes_that_are_not_text_are_shown() -> None:
    assert report(line(name=b64(b"Occup\xe9"))).channel.caller_name == "Occup\\xe9"


def test_of_a_key_that_comes_twice_the_first_counts() -> None:
    assert report(line() + " uniqueid=other").channel.uniqueid == "1795520249.0"


def test_a_recorded_line_is_read_as_it_was() -> None:
    assert handler_wire.recorded(handler_wire.record(line(at=""), 7.5), 0.0) == handler_wire.report_of(
        line(at=""), "AGI", 7.5
    )


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"{}", b'{"report":1}', b'{"report":"v=2"}', b"[" * 100_000, b"\xff"]
)
def test_what_is_no_recorded_line_is_none(data: bytes) -> None:
    assert handler_wire.recorded(data, 0.0) is None


@given(st.text())
def test_any_line_is_read_or_refused(text: str) -> None:
    handler_wire.report_of(text, "AGI", 5.0)


@given(st.text(min_size=1, max_size=100), st.text(min_size=1, max_size=100))
def test_any_phrase_and_name_come_through_to_the_letter(name: str, phrase: str) -> None:
    phrase = phrase.encode("utf-8", "replace").decode()
    name = name.encode("utf-8", "replace").decode()
    told = report(
        line(name=b64(name)) + f" heard={b64('PJSIP/a-1')}:{b64(phrase.replace('%', '%25').replace(':', '%3A'))}"
    )
    assert (told.channel.caller_name, told.heard) == (name, (("PJSIP/a-1", phrase),))


def user_event(name: str, text: str) -> bytes:
    return f"Event: UserEvent\r\nTimestamp: 7.5\r\nUserEvent: {name}\r\nReport: {text}\r\n\r\n".encode()


def test_ami_gives_our_user_event_and_no_other() -> None:
    reader = ami_wire.Reader(ami_wire.RecordedClock())
    reader.feed(b"Asterisk Call Manager/11.0.0\r\n")
    assert reader.feed(user_event("Other", line())) == []
    assert reader.feed(user_event("AsteriskSip", "nonsense")) == []
    [told] = reader.feed(user_event("AsteriskSip", line(at="")))
    assert isinstance(told, ev.HandlerReport)
    assert (told.at, told.source, told.channel.uniqueid) == (7.5, "UserEvent", "1795520249.0")
