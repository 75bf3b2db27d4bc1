"""The FastAGI request, read whatever stands in it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asterisk_sip.sources.agi_wire import MAX_REQUEST_BYTES, AgiRequest, NotAgiError, RequestReader


def request(number: str = "100", argument: str = "v=1", path: str = "pbx1", uniqueid: str = "1.1") -> bytes:
    """A request as Asterisk 22.10.1 writes it."""
    lines = [
        *("agi_network: yes", f"agi_network_script: {path}", f"agi_request: agi://127.0.0.1:4573/{path}"),
        *("agi_channel: PJSIP/a-1", "agi_language: en", "agi_type: PJSIP", f"agi_uniqueid: {uniqueid}"),
        *("agi_version: 22.10.1", f"agi_callerid: {number}", "agi_calleridname: unknown", "agi_callingpres: 0"),
        *("agi_callingani2: 0", "agi_callington: 0", "agi_callingtns: 0", "agi_dnid: 486", "agi_rdnis: unknown"),
        *("agi_context: asterisk-sip", "agi_extension: hangup", "agi_priority: 37", "agi_enhanced: 0.0"),
        *("agi_accountcode: ", "agi_threadid: 139", f"agi_arg_1: {argument}"),
    ]
    return ("\n".join(lines) + "\n\n").encode()


def test_a_request_is_read_in_whatever_pieces_it_comes() -> None:
    data = request(argument="v=1 a=b")
    for size in (1, 7, 100, len(data)):
        reader = RequestReader()
        read = [reader.feed(data[at : at + size]) for at in range(0, len(data), size)]
        assert read[-1] == AgiRequest("pbx1", "1.1", "v=1 a=b")
        assert read[:-1] == [None] * (len(read) - 1)


def test_a_query_is_no_part_of_the_path() -> None:
    asked = RequestReader().feed(request(path="pbx1?x=1"))
    assert asked is not None
    assert asked.path == "pbx1"


@pytest.mark.parametrize(
    "number",
    [
        "55\nagi_arg_1: forged",
        "55\nagi_uniqueid: 9.9\nagi_network_script: other",
        "55\n\nagi_threadid: 1\nagi_arg_1: forged",
        "55\r\n\r\n",
        "55\n\n",
    ],
)
@pytest.mark.parametrize("size", [1, 5_000])
def test_lines_that_a_caller_puts_in_do_not_count(number: str, size: int) -> None:
    reader, data = RequestReader(), request(number, "the true one")
    read = [reader.feed(data[at : at + size]) for at in range(0, len(data), size)]
    assert read[-1] == AgiRequest("pbx1", "1.1", "the true one")


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01", b"agi_network: no\n", b"\n\n"])
def test_what_asterisk_does_not_send_is_refused_at_once(data: bytes) -> None:
    with pytest.raises(NotAgiError, match="no FastAGI"):
        RequestReader().feed(data)


def test_more_than_a_request_can_hold_is_refused() -> None:
    reader = RequestReader()
    reader.feed(b"agi_network: yes\n")
    with pytest.raises(NotAgiError, match="more than"):
        reader.feed(b"x" * MAX_REQUEST_BYTES)


@given(st.lists(st.binary(max_size=200), max_size=20), st.booleans())
def test_any_bytes_are_read_or_refused(pieces: list[bytes], begins_well: bool) -> None:
    reader = RequestReader()
    try:
        reader.feed(b"agi_network: yes\nagi_network_script: x\nagi_uniqueid: 1\n" if begins_well else b"")
        for piece in pieces:
            reader.feed(piece)
    except NotAgiError:
        pass


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=300))
def test_whatever_the_caller_is_called_the_argument_is_the_true_one(number: str) -> None:
    asked = RequestReader().feed(request(number, "v=1 true"))
    assert asked is not None
    assert (asked.path, asked.uniqueid, asked.argument) == ("pbx1", "1.1", "v=1 true")
