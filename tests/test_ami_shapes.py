"""What is read at a glance is what is read header by header."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asterisk_sip.sources import ami_shape_wire, ami_wire

CASES = Path(__file__).parent / "cases"
HANGUP = (
    b"Event: Hangup\r\nPrivilege: call,all\r\nTimestamp: 1793520000.250000\r\nChannel: PJSIP/acme-00000001\r\n"
    b"ChannelState: 6\r\nChannelStateDesc: Up\r\nCallerIDNum: 100\r\nCallerIDName: <unknown>\r\nConnectedLineNum: \r\n"
    b"ConnectedLineName: \r\nLanguage: en\r\nAccountCode: \r\nContext: in\r\nExten: 200\r\nPriority: 1\r\n"
    b"Uniqueid: 1793520000.1\r\nLinkedid: 1793520000.0"
)


def slowly(block: bytes) -> object:
    """The event in a message, by its headers."""
    headers = ami_wire.Headers(block)
    name = headers.get("Event")
    return ami_wire.WANTED[name](headers, ami_wire.timestamp(headers) or 0.0)


def shaped(recording: Path) -> Iterator[tuple[bytes, bytes]]:
    """First line and whole of each message of a recording that has a shape."""
    for block in ami_wire.Framer().feed(gzip.decompress(recording.read_bytes())):
        first_line = block.partition(b"\r\n")[0]
        if first_line in ami_shape_wire.SHAPES:
            yield first_line, block


@pytest.mark.parametrize("release", ["16", "22"])
def test_every_message_of_a_real_asterisk_is_read_at_a_glance_and_the_same(release: str) -> None:
    count = 0
    for recording in CASES.glob(f"*/{release}.ami.gz"):
        for first_line, block in shaped(recording):
            glance = ami_shape_wire.read(first_line, block.decode("utf-8", "backslashreplace"))
            if b"\r\nTimestamp: " in block and b"\r\nChannel: " in block:
                assert glance is not None, block
            if glance is not None:
                assert glance == slowly(block)
                count += 1
    assert count > 1_000


LINES = [
    b"ChanVariable: a=b",
    b'ChanVariable: EVAL(${HANGUPCAUSE(${CHANNEL(name)},tech)})=SIP 486 Busy \\"Here\\"',
    b"Cause: 17",
    b"Cause: 999",
    b"Cause: ",
    b"Cause-txt: User busy",
    b"TechCause: 486",
    b"TechCause: x",
    b"Tenantid: t",
    b"Exten: 7",
    b"\xff",
]


@given(st.lists(st.sampled_from(LINES), max_size=6))
def test_a_message_written_otherwise_is_read_all_the_same(lines: list[bytes]) -> None:
    block = b"\r\n".join([HANGUP, *lines])
    [event] = ami_wire.Reader(ami_wire.RecordedClock()).feed(ami_wire.BANNER + b"11.0.0\r\n" + block + ami_wire.END)
    assert event == slowly(block)
