"""AMI bytes to messages: the same whatever the reads, in bounded memory, and never an exception."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asterisk_sip.calls import events as ev
from asterisk_sip.sources import ami_wire
from tests.ami_client import hangup
from tests.ami_messages import BANNER, message

MAX_BYTES = 2_000
LONG = message(("Event", "Hangup"), Uniqueid="long", Filler="x" * MAX_BYTES)
SHORT_STREAM = b"".join(
    (
        BANNER,
        message(("Response", "Success"), ActionID="1", AsteriskVersion="22.10.1"),
        hangup("1.1"),
        b"\r\n",  # a stray empty line
        hangup("1.2", CallerIDName="Ünïcödé ☎ 电话"),
        message(("Event", "VarSet"), Variable="x", Value=""),
        message(("Event", "CoreShowChannel"), Channel="PJSIP/a-1", Uniqueid="1.3"),
        message(("Event", "CoreShowChannelsComplete"), ListItems="1"),
        hangup("1.4"),
    )
)
STREAM = SHORT_STREAM + LONG + hangup("1.5") + b"\r\n\r\n" + hangup("1.6") + b"Event: Hangup\r\nUniqueid: cut"

Seen = tuple[list[ev.Event], list[bytes], str | None, str | None, int, int]


def no_clock(_fields: ami_wire.Fields, _newest: float) -> float:
    return 0.0


def read(*pieces: bytes, max_bytes: int = MAX_BYTES) -> Seen:
    reader = ami_wire.Reader(no_clock, max_bytes)
    events = [event for piece in pieces for event in reader.feed(piece)]
    framer = reader.framer
    return events, reader.responses, framer.banner, reader.version, reader.unreadable, framer.oversized


def uniqueids(events: list[ev.Event]) -> list[str]:
    return [event.channel.uniqueid for event in events if isinstance(event, ev.HungUp)]


def test_the_stream_of_these_tests_holds_what_they_are_about() -> None:
    events, responses, banner, version, unreadable, oversized = read(STREAM)
    assert uniqueids(events) == ["1.1", "1.2", "1.4", "1.5", "1.6"]
    assert [type(event) for event in events].index(ev.ChannelsListed) == 2
    assert len(responses) == 1
    assert (banner, version) == ("Asterisk Call Manager/11.0.0", "22.10.1")
    assert (unreadable, oversized) == (0, 1)


def test_a_read_may_end_anywhere() -> None:
    """After every byte: inside a UTF-8 letter, inside CR LF CR LF, inside the banner."""
    whole = read(SHORT_STREAM)
    for cut in range(len(SHORT_STREAM) + 1):
        assert read(SHORT_STREAM[:cut], SHORT_STREAM[cut:]) == whole, cut


def test_every_byte_may_come_alone() -> None:
    assert read(*(STREAM[i : i + 1] for i in range(len(STREAM)))) == read(STREAM)


@settings(deadline=None)
@given(st.lists(st.integers(0, len(STREAM)), max_size=40))
def test_any_reads_of_a_stream_give_the_same(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    assert read(*(STREAM[start:end] for start, end in itertools.pairwise(edges))) == read(STREAM)


PIECES = st.sampled_from(
    [
        *(b"\r\n", b"\r\n\r\n", b"\r", b"\n", b": ", b"=", b"(", b")", b"\\", b"\xc3", b"\xff", b"\0"),
        *(name.encode() for name in ami_wire.WANTED),
        *(b"Event: ", b"Response: ", b"ChanVariable: ", b"DestChanVariable: ", b"HANGUPCAUSE(", b"Uniqueid: "),
        *(b"Cause: ", b"Timestamp: ", b"nan", b"-1", b"9" * 5_000, b"CoreShowChannel", b"CoreShowChannelsComplete"),
        *(BANNER, b"AsteriskVersion: ", hangup("1.1")),
    ]
)


@settings(deadline=None)
@given(st.lists(st.one_of(PIECES, st.binary(max_size=30)), max_size=60), st.integers(1, 200))
def test_whatever_comes_raises_nothing_and_reads_the_same_in_any_pieces(pieces: list[bytes], max_bytes: int) -> None:
    stream = b"".join(pieces)
    assert read(stream, max_bytes=max_bytes) == read(*pieces, max_bytes=max_bytes)


@pytest.mark.parametrize("over", range(-6, 7))
def test_whether_a_message_is_too_long_does_not_depend_on_the_reads(over: int) -> None:
    empty = message(("Event", "Hangup"), Uniqueid="")
    at_the_edge = message(("Event", "Hangup"), Uniqueid="x" * (MAX_BYTES + over - len(empty) + len(ami_wire.END)))
    stream = BANNER + at_the_edge + hangup("after")
    whole = read(stream)
    assert whole[-1] == (over > 0)
    for cut in range(len(stream)):
        assert read(stream[:cut], stream[cut:]) == whole, cut


def test_a_message_without_an_end_takes_no_more_memory_than_allowed_and_is_counted_once() -> None:
    framer = ami_wire.Framer(MAX_BYTES)
    framer.feed(BANNER + b"Event: Endless\r\n")
    piece = b"Filler: xxxxxxxx\r\n" * 64
    for _ in range(1_000):
        assert framer.feed(piece) == []
        assert len(framer._rest) < MAX_BYTES + len(ami_wire.END)
    assert framer.oversized == 1
    assert framer.feed(b"\r\nEvent: A\r\n\r\n") == [b"Event: A"]
    assert framer.oversized == 1


@pytest.mark.parametrize(
    ("reads", "banner"),
    [
        ([b""], None),
        ([b"Aste", b"risk Call"], None),
        ([b"Asterisk Call Manager/11.0.0\r"], None),
        ([b"Asterisk Call Manager/11.0.0\r", b"\n"], "Asterisk Call Manager/11.0.0"),
        ([b"Asterisk Call Manager/11.0.0\r\nResponse"], "Asterisk Call Manager/11.0.0"),
        ([b"Asterisk Call Manager/\xff\r\n"], "Asterisk Call Manager/\N{REPLACEMENT CHARACTER}"),
        ([b"SSH-2.0-OpenSSH_9.2"], ""),
        ([b"Asterisk", b" PBX\r\n"], ""),
        ([b"x" * (MAX_BYTES + 10)], ""),
    ],
)
def test_the_banner_is_known_when_it_is_whole_or_wrong(reads: list[bytes], banner: str | None) -> None:
    framer = ami_wire.Framer(MAX_BYTES)
    for data in reads:
        framer.feed(data)
    assert framer.banner == banner


def test_a_recording_without_a_banner_is_read_from_its_first_message() -> None:
    events, _, banner, *_ = read(hangup("1.1") + hangup("1.2"))
    assert uniqueids(events) == ["1.1", "1.2"]
    assert banner == ""


def test_a_message_that_cannot_be_read_costs_only_itself_and_is_counted() -> None:
    events, *_, unreadable, _ = read(hangup("1.1") + hangup("1.2", Cause="9" * 5_000) + hangup("1.3"), max_bytes=10_000)
    assert uniqueids(events) == ["1.1", "1.3"]
    assert unreadable == 1
