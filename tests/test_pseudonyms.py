"""Pseudonyms: numbers and names are gone, everything that decides a record is still there."""

from __future__ import annotations

import gzip
import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asterisk_sip.calls.model import to_json
from asterisk_sip.sources import handler_wire
from asterisk_sip.sources.masks_wire import sip_mask
from asterisk_sip.sources.pseudonyms_wire import Pseudonyms
from asterisk_sip.sources.veil_wire import veil
from tests.cases import Case, all_cases
from tests.test_recording import PAIRS, replayed

KEY = b"a key of the test's own"
MINE = Pseudonyms(KEY)
TEXTS = st.text(max_size=40)


def masked(source: str, data: bytes) -> bytes:
    return veil(source, KEY).feed(data)


def expected(record: dict[str, Any]) -> dict[str, Any]:
    """The record as it must come out: all the same, but for the numbers and names in it."""
    record["caller"]["number"] = opt("number", record["caller"]["number"])
    record["caller"]["name"] = opt("words", record["caller"]["name"])
    record["exten"] = opt("number", record["exten"])
    record["dialled"] = opt("number", record["dialled"])
    for attempt in record["attempts"]:
        attempt["channel"] = MINE.channel(attempt["channel"])
        attempt["dialled"] = opt("number", attempt["dialled"])
        attempt["forward"] = opt("forward", attempt["forward"])
    return record


def opt(rule: str, value: str | None) -> str | None:
    return None if value is None else str(getattr(MINE, rule)(value))


@pytest.mark.parametrize("case", all_cases(), ids=str)
def test_a_masked_recording_gives_the_same_records_but_for_numbers_and_names(case: Case, tmp_path: Path) -> None:
    path = tmp_path / "x.ami"
    path.write_bytes(masked("ami", gzip.decompress(case.recording.read_bytes())))
    wanted = [expected(to_json(record)) for record in replayed(case.recording)]
    assert [to_json(record) for record in replayed(path)] == wanted


@pytest.mark.parametrize("ami", PAIRS[::4], ids=lambda path: path.name)
def test_a_masked_recording_of_ari_does_too(ami: Path, tmp_path: Path) -> None:
    ari = ami.with_name(ami.name.replace(".ami.", ".ari."))
    path = tmp_path / "x.ari"
    path.write_bytes(masked("ari", gzip.decompress(ari.read_bytes())))
    wanted = [expected(to_json(record)) for record in replayed(ari)]
    assert [to_json(record) for record in replayed(path)] == wanted


def test_no_number_and_no_name_is_left_in_any_recording() -> None:
    fields = re.compile(rb"(?:CallerIDNum|ConnectedLineNum|Exten|CallerIDName|ConnectedLineName): ([^\r]+)")
    for case in all_cases():
        data = gzip.decompress(case.recording.read_bytes())
        out = masked("ami", data)
        assert len(out) == len(data)
        assert b"5550100" not in out
        told = {value for value in fields.findall(data) if len(value) > 3 and value != b"<unknown>"}
        assert not told & set(fields.findall(out)), case
        for number in (value for value in told if value.isdigit()):
            assert not re.search(rb"(?<![\w.])" + number + rb"(?![\w.])", out), (case, number)


def test_no_number_is_left_in_ari() -> None:
    for ami in PAIRS:
        ari = ami.with_name(ami.name.replace(".ami.", ".ari."))
        out = masked("ari", gzip.decompress(ari.read_bytes()))
        assert b"5550100" not in out, ari
        assert b'"name":"Caller"' not in out, ari


@given(TEXTS, TEXTS)
@settings(max_examples=200, deadline=None)
def test_two_texts_have_two_tokens_of_the_same_shape(one: str, other: str) -> None:
    for text in (one, other):
        token = MINE.words(text)
        assert len(token) == len(text)
        assert [letter.isdigit() for letter in token if letter.isascii()] == [
            letter.isdigit() for letter in text if letter.isascii()
        ]
        assert token == MINE.words(text)
    if one != other and one.isascii() and other.isascii():
        assert MINE.words(one) != MINE.words(other)


def test_short_extensions_do_not_fall_together() -> None:
    for digits in (1, 2, 3, 4):
        numbers = [f"{number:0{digits}}" for number in range(10**digits)]
        assert len({MINE.words(number) for number in numbers}) == len(numbers)


def test_another_key_gives_other_tokens() -> None:
    assert Pseudonyms(b"1").number("5550100") != Pseudonyms(b"2").number("5550100")
    assert "key" not in repr(MINE)


@pytest.mark.parametrize(
    ("line", "hidden", "kept"),
    [
        ("Channel: Local/5550100@out-00000001;1", "5550100", "@out-00000001;1"),
        ("Newname: AsyncGoto/Local/5550100@out-00000001;1", "5550100", "@out-00000001;1"),
        ("Channel: PJSIP/acme-00000042", "", "PJSIP/acme-00000042"),
        ("Channel: DAHDI/i1/5550100-2", "5550100", "DAHDI/i1/"),
        ("DialString: acme/sip:5550100@10.0.0.1:5060", "5550100", "@10.0.0.1:5060"),
        ("DialString: alice", "", "alice"),
        ("Forward: 5550100", "5550100", ""),
        ("AppData: PJSIP/5550100@acme,20,tT", "5550100", "@acme,20,tT"),
        ("AppData: out,608,1", "608", "out,"),
        ('CallerID: "Bob Smith" <5550100>', "5550100", '" <'),
        ('CallerID: "Bob Smith" <5550100>', "Smith", '" <'),
        ("Value: SIP 486 Busy Here", "", "SIP 486 Busy Here"),
        ("ChanVariable: DIALEDPEERNUMBER=5550100@acme", "5550100", "DIALEDPEERNUMBER="),
        ("ChanVariable: EVAL(${HANGUPCAUSE(x,tech)})=SIP 603 Call 5550100", "", "SIP 603 Call 5550100"),
        ("Anything: call +495550100 now", "5550100", "call +"),
        ("Uniqueid: 1795477621.66", "", "1795477621.66"),
        ("Anything: 1795477621.66", "", "1795477621.66"),
        ("Cause: 127", "", "127"),
        ("CallerIDNum: <unknown>", "", "<unknown>"),
        ("Exten: s", "", "s"),
    ],
)
def test_what_is_hidden_and_what_is_kept(line: str, hidden: str, kept: str) -> None:
    out = masked("ami", f"{line}\r\n".encode()).decode()
    assert not hidden or hidden not in out
    assert kept in out
    assert out.endswith("\r\n")


def test_what_a_hangup_handler_reports_is_masked_inside_its_base64() -> None:
    line = b"Report: v=1 uniqueid=1.2 number=PTU1NTAxMDA= dialled=PTYwOA== heard=PXg=:PVNJUCA0ODY=\r\n"
    out = masked("ami", line)
    assert b"PTU1NTAxMDA=" not in out
    assert b"uniqueid=1.2" in out
    assert b":PVNJUCA0ODY=" in out
    assert MINE.base64("PTU1NTAxMDA=", "number").encode() in out


def test_a_report_by_agi_is_masked_as_one_by_a_user_event() -> None:
    out = masked("agi", handler_wire.record("v=1 uniqueid=1.2 number=PTU1NTAxMDA=", 5.0))
    assert json.loads(out) == {
        "door": "agi",
        "at": 5.0,
        "report": f"v=1 uniqueid=1.2 number={MINE.base64('PTU1NTAxMDA=', 'number')}",
    }


MESSAGE = (
    "INVITE sip:5550100@acme.example;user=phone SIP/2.0\r\n"
    "Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK5550100\r\n"
    'From: "Bob Smith" <sip:+4930123456@10.0.0.1>;tag=5550100\r\n'
    "To: Jane <tel:5550100>\r\nCall-ID: abc-5550100@10.0.0.1\r\nCSeq: 1 INVITE\r\n"
    "P-Asserted-Identity: <sip:4930123456@example>, <tel:+4930123456>\r\n"
    "Contact: <sip:4930123456@10.0.0.1:5060>\r\nReason: Q.850;cause=17\r\n"
    "Identity: eyJhbGciOiJFUzI1NiJ9.eyJkZXN0Ijp7InRuIjpbIjU1NTAxMDAiXX19\r\n"
    "X-Anything: 5550100 said\r\nContent-Length: 61\r\n\r\n"
    "v=0\r\no=Smith 1 1 IN IP4 10.0.0.1\r\nc=IN IP4 10.0.0.1\r\nm=audio 4000 RTP/AVP 0\r\n"
)


def test_a_sip_message_keeps_what_joins_it_and_loses_who_it_is_about() -> None:
    out = sip_mask(MINE)(MESSAGE)
    for kept in (
        ("@acme.example;user=phone SIP/2.0", "Call-ID: abc-5550100@10.0.0.1", "branch=z9hG4bK5550100", "tag=5550100"),
        ("Reason: Q.850;cause=17", "@10.0.0.1:5060>", "m=audio 4000 RTP/AVP 0", "Content-Length: 61"),
    ):
        for part in kept:
            assert part in out
    for gone in ("Bob", "Smith", "Jane", "4930123456", "sip:5550100", "tel:5550100", "eyJ", "5550100 said"):
        assert gone not in out
    assert len(out) == len(MESSAGE)
    assert out.count(MINE.number("4930123456")) == 4


def test_hostile_text_breaks_nothing() -> None:
    for data in (b"\xff\xfe: \xff\r\n", b":\r\n", b": x\r\n", b"Channel: \r\n", b"CallerIDName: \\\r\n"):
        assert masked("ami", data).endswith(b"\r\n")
    for text in ('{"channel": {"name": 5, "caller": []}}', "[1, null]", '{"\\ud800": "\\ud800"}'):
        json.loads(masked("ari", text.encode() + b"\n"))
    assert masked("hep", b"HEP3\x00\xff\x00") == b""


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_a_veil_gives_the_same_however_the_reads_fall(data: st.DataObject) -> None:
    [case] = [case for case in all_cases() if str(case) == "local-rejected-22"]
    whole = gzip.decompress(case.recording.read_bytes())
    key = data.draw(st.sampled_from([KEY, None]))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=20)))
    taking = veil("ami", key)
    pieces = [taking.feed(whole[start:end]) for start, end in pairwise([0, *cuts, len(whole)])]
    assert b"".join(pieces) == veil("ami", key).feed(whole)
    assert all(piece.endswith(b"\n") for piece in pieces if piece)
