"""Numbers and names are hidden before a record is written: wherever they stand, and so that statistics survive."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import typing
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asterisk_sip.calls.bounded import Limits
from asterisk_sip.calls.enrich import Surroundings
from asterisk_sip.calls.model import (
    Caller,
    CallRecord,
    Evidence,
    Finding,
    Grade,
    LadderLine,
    SipStatus,
    from_json,
    to_json,
)
from asterisk_sip.calls.permutation import Permutation
from asterisk_sip.calls.privacy import KINDS, Privacy
from asterisk_sip.pipeline import Pipeline
from asterisk_sip.privacy_numbers import Plan, masked, pseudonymised
from asterisk_sip.sources.ami_wire import Reader, RecordedClock
from asterisk_sip.stores.base import CallQuery
from asterisk_sip.stores.sqlite import SqliteStore
from tests.call_records import failed
from tests.cases import all_cases

KEY = b"a key of the test's own"
HIDE = pseudonymised(KEY, "DE")
PSEUDONYMS = Privacy(HIDE, 5).private
STARS = Privacy(masked(4), 5).private
EACH = pytest.mark.parametrize("private", [PSEUDONYMS, STARS], ids=["pseudonymised", "masked"])

STAYS = {
    "id pbx asterisk_version linkedid uniqueid direction outcome disposition released_by hint gap_ids rule",
    "class_name class_meaning meaning reference grade source side reason trunk dial_status",
    "url tel email card",  # the contact that a blocked call names
}


def json_of(record: CallRecord) -> str:
    return json.dumps(to_json(record), ensure_ascii=False)


def spelled_everywhere(number: str) -> CallRecord:
    """A record with a number of ten digits or more wherever a record can hold one."""
    digits = re.sub(r"\D", "", number)
    record = failed(1)
    text = f'Q.850;cause=1;text="{digits} is not assigned, {number}"'
    at = datetime(2026, 11, 1, tzinfo=UTC)
    ladder = (
        LadderLine(at, "sent", f"INVITE sip:{number.replace(' ', '')}@acme;user=phone"),
        LadderLine(at, "received", f"404 No {digits} here", f'SIP;text="tel:{digits}"'),
    )
    sip = SipStatus(404, f"Number {digits} not assigned")
    evidence = Evidence(Grade.WIRE, "HEP", (Finding(Grade.REPORTED, "TechCause", 404, f"{number} unknown"),))
    attempt = replace(
        record.attempts[0],
        channel=f"Local/{digits}@out-00000001;2",
        endpoint=digits,
        dialled=number,
        sip_call_id=f"{digits}-7@192.0.2.1",
        forward=f"Local/{digits}@internal",
        sip=sip,
        evidence=evidence,
        remote_reason=(text,),
        early_reason=(text,),
        remote_warning=(f'399 acme "{digits}"',),
        ladder=ladder,
    )
    return replace(
        record,
        caller=Caller(number, f"Jo Doe {digits}", f"i1/{digits}"),
        dialled=digits,
        context=f"did-{digits}",
        exten=f"*21*{digits}#",
        account=digits,
        sip=sip,
        evidence=evidence,
        attempts=(attempt,),
        sip_call_id=f"x{digits}x",
        ladder=ladder,
    )


class TestWhereNumbersStand:
    @EACH
    @pytest.mark.parametrize("number", ["+49 30 12345678", "+493012345678", "004930 12345678", "493012345678"])
    def test_no_number_is_left_anywhere(self, private: Callable[[CallRecord], CallRecord], number: str) -> None:
        text = json_of(private(spelled_everywhere(number)))
        assert "12345678" not in re.sub(r"[ ]", "", text)
        assert "Doe" not in text

    @EACH
    @pytest.mark.parametrize("case", all_cases(), ids=str)
    def test_of_every_shape_of_record(self, case: Any, private: Callable[[CallRecord], CallRecord]) -> None:
        for line in case.expected.read_text().splitlines():
            record = from_json(CallRecord, {"hint": None, **json.loads(line.replace("5550100", "4930123456"))})
            before, after = to_json(record), to_json(private(record))
            assert "4930123456" not in json.dumps(after)
            assert '"Caller"' not in json.dumps(after)
            changed = {key for key in before if before[key] != after[key]}
            assert changed <= {"caller", "dialled", "exten", "attempts"}

    def test_every_text_of_the_record_was_thought_of(self) -> None:
        stays = set(" ".join(STAYS).split())
        for kind in self.parts(CallRecord, set()):
            for field in fields(kind):
                if "str" in str(field.type) or "Outcome" in str(field.type):
                    known = field.name in KINDS.get(kind, {})
                    assert known or field.name in stays or field.name == "direction", f"{kind.__name__}.{field.name}"

    def parts(self, kind: Any, seen: set[Any]) -> set[Any]:
        if is_dataclass(kind) and kind not in seen:
            seen.add(kind)
            for hint in typing.get_type_hints(kind).values():
                self.parts(hint, seen)
        for inner in typing.get_args(kind):
            self.parts(inner, seen)
        return seen

    @EACH
    def test_what_is_no_number_stays(self, private: Callable[[CallRecord], CallRecord]) -> None:
        record = replace(
            failed(1),
            caller=Caller("anonymous", "Anonymous", "192.0.2.10:5060"),
            dialled="608",
            exten="s",
            sip=SipStatus(486, "Busy Here 486 at 10.0.0.1, 1700000000.12"),
        )
        record = replace(record, attempts=(replace(record.attempts[0], dialled="112", channel="PJSIP/acme-00012345"),))
        assert private(record) == record

    def test_extensions_and_emergency_numbers_stay_unless_asked_otherwise(self) -> None:
        assert Privacy(HIDE, 5).number("20317") == "20317"
        assert Privacy(HIDE, 3).number("20317") != "20317"
        assert Privacy(HIDE, 3).channel("Local/2031@ctx-00000001;1") != "Local/2031@ctx-00000001;1"
        assert Privacy(HIDE, 3).number("112") == "112"

    def test_the_number_is_the_same_in_every_place_of_the_record(self) -> None:
        record = PSEUDONYMS(spelled_everywhere("+493012345678"))
        token = (record.dialled or "")[4:]
        everywhere = json_of(spelled_everywhere("+493012345678")).count("12345678")
        assert json_of(record).count(token) == everywhere - 1  # the name is gone, with the number in it

    @EACH
    @given(text=st.text(max_size=60))
    def test_any_text_is_taken(self, private: Callable[[CallRecord], CallRecord], text: str) -> None:
        record = failed(1)
        attempt = replace(record.attempts[0], channel=text, dialled=text, forward=text, remote_reason=(text,))
        record = replace(record, caller=Caller(text, text, text), exten=text, account=text, attempts=(attempt,))
        hidden = private(record)
        assert hidden.attempts[0].disposition == record.attempts[0].disposition
        assert len(hidden.attempts[0].channel) == len(text)


class TestTokens:
    def test_all_spellings_of_a_number_share_their_token(self) -> None:
        token = HIDE("+493012345678")[5:]
        for spelled in ("+49 30 12345678", "00493012345678", "493012345678", "03012345678", "(030) 123-456 78"):
            hidden = HIDE(spelled)
            assert re.sub(r"\D", "", hidden).endswith(token)
            assert len(hidden) == len(spelled)

    @pytest.mark.parametrize(
        ("number", "kept"),
        [
            ("+493012345678", "+4930"),
            ("+4915112345678", "+491511"),
            ("+33612345678", "+336"),
            ("0033612345678", "00336"),
            ("+12125550123", "+1212"),
            ("+442079460000", "+4420"),
            ("08001234567", "0800"),
        ],
    )
    def test_country_and_area_or_operator_stay(self, number: str, kept: str) -> None:
        hidden = HIDE(number)
        assert hidden.startswith(kept)
        assert hidden[len(kept) :] != number[len(kept) :]

    def test_another_key_and_another_area_give_other_tokens(self) -> None:
        other = pseudonymised(b"another key", "DE")
        assert HIDE("+493012345678") != other("+493012345678")
        assert HIDE("+493012345678")[-8:] != HIDE("+498912345678")[-8:]

    @given(st.from_regex(r"\+?[0-9]{1,17}", fullmatch=True))
    def test_a_token_has_the_form_of_its_number_and_is_always_the_same(self, number: str) -> None:
        hidden = HIDE(number)
        assert re.fullmatch(r"\+?[0-9]+", hidden)
        assert len(hidden) == len(number)
        assert hidden == pseudonymised(KEY, "DE")(number)

    @given(st.from_regex(r"\+?[0-9]{6,17}", fullmatch=True), st.integers(0, 10**13))
    def test_what_is_shown_depends_on_the_prefix_alone(self, number: str, other: int) -> None:
        found = Plan("DE").read(number)
        rest = found.rest if found else re.sub(r"\D", "", number)
        assert len(rest) >= min(4, len(re.sub(r"\D", "", number)))
        begin = number[: len(number) - len(rest)]
        assert HIDE(number).startswith(begin)
        alike = begin + str(other).zfill(len(rest))[-len(rest) :]
        same = Plan("DE").read(alike)
        if same and found and (same.country, same.area, len(same.rest)) == (found.country, found.area, len(rest)):
            assert (HIDE(alike) == HIDE(number)) == (alike == number)

    @pytest.mark.parametrize("size", [1, 2, 3, 4])
    def test_no_two_numbers_of_one_length_share_a_token(self, size: int) -> None:
        permutation = Permutation(KEY)
        tokens = {permutation.token(str(number).zfill(size), tweak="49 30") for number in range(10**size)}
        assert tokens == {str(number).zfill(size) for number in range(10**size)}

    def test_the_key_is_not_shown(self) -> None:
        assert repr(Permutation(KEY)) == "Permutation()"

    def test_a_region_that_does_not_exist_is_refused(self) -> None:
        with pytest.raises(ValueError, match="region"):
            pseudonymised(KEY, "XX")


def bytes_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


async def test_nothing_else_reaches_the_store_or_who_listens(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "calls.db")
    await store.open()
    told: asyncio.Queue[list[CallRecord]] = asyncio.Queue()
    pipeline = Pipeline(store, private=PSEUDONYMS, on_stored=told.put_nowait)
    desk = await pipeline.add(Surroundings("pbx"), Limits())
    recording = next(case for case in all_cases() if case.name == "rejected-486").recording
    desk.door("ami").heard(Reader(RecordedClock()).feed(gzip.decompress(recording.read_bytes())))
    task = asyncio.create_task(pipeline.run())
    async with asyncio.timeout(20):
        heard = await told.get()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await store.calls(CallQuery()) == heard
    await store.close()
    assert [record.caller.number for record in heard] == [HIDE("5550100")]
    assert b"5550100" not in bytes_of(tmp_path)


def test_stars_take_the_last_digits() -> None:
    assert masked(4)("+49 30 12 34-56") == "+49 30 12 **-**"
    assert masked(15)("5550100") == "*******"
