"""Every status that a carrier can send, through a real Asterisk and the real program, into the store and back out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.catalog_facts import facts
from tests.e2e import Companion, Record
from tests.lab.asterisk import Asterisk
from tests.lab.fixtures import need_roots
from tests.lab.lab import Lab
from tests.lab.options import PbxOptions, Release
from tests.lab.scenarios import FINAL_CODES
from tests.lab.sip_phrases import PHRASES
from tests.lab.sip_script import rejecting

pytestmark = pytest.mark.lab

PER_SECOND = 40
EVERY_CODE = range(400, 700)
LISTED = {int(row["code"]) for row in facts("sip_response_codes") if row["code"].isdecimal()}
KNOWN_CODES = sorted({code for code in LISTED if code >= 400} | {*FINAL_CODES})

ODD = {
    "utf8": "Занято, ligne occupée, 話し中 🚫",
    "quotes": """Can't? "No" \\ never""",
    "equals": "a=b,c=d;e=SIP 200 OK",
    "shell": "${SHELL(touch /tmp/evaluated)}",
    "brackets": ")})})=SIP 200 OK",
    "line": 'EVAL(${IF($["x"="y"]?$:)}{HANGUPCAUSE(x,tech)})=SIP 200 OK',
    "long": "Busy " * 400,
}


@pytest.fixture(scope="module")
def bare22() -> Iterator[Asterisk]:
    yield from without_the_line("22")


@pytest.fixture(scope="module")
def bare16() -> Iterator[Asterisk]:
    yield from without_the_line("16")


def without_the_line(release: Release) -> Iterator[Asterisk]:
    """A PBX as it is before anybody read our README; it gives a silent trunk up after 6.4 s."""
    need_roots(release)
    with Asterisk(PbxOptions(release, channelvars=None, timer_t1_ms=100, timer_b_ms=6400)) as pbx:
        yield pbx


def attempt_of(record: Record) -> Record:
    """The only attempt of a call."""
    [attempt] = record["attempts"]
    return dict(attempt)


def by_user(records: list[Record]) -> dict[str, Record]:
    """The records by the user part that the trunk saw."""
    found = {attempt_of(record)["dialled"]: record for record in records}
    assert len(found) == len(records)
    return found


async def dial(lab: Lab, tmp_path: Path, extens: list[str]) -> list[Record]:
    """Place calls beside a companion; give their records once it has them all."""
    async with Companion(tmp_path, lab.pbx) as companion:
        await lab.caller.burst(extens, PER_SECOND, bye_after_s=0.05)
        records = await companion.recorded(len(extens))
        assert await companion.stop() == 0
    assert len(records) == len(extens)
    return records


def assert_exact(record: Record, code: int, phrase: str) -> None:
    """The status as the trunk sent it, for the attempt and for the call."""
    attempt = attempt_of(record)
    for told in (record, attempt):
        assert (told["sip"]["code"], told["sip"]["phrase"]) == (code, phrase)
        assert told["evidence"]["grade"] == "wire"
        assert told["sip"]["class"] == code // 100
    assert record["outcome"] == "failed"
    assert record["partial"] is False


@pytest.mark.parametrize(("pbx", "door"), [("pbx22", "trunk"), ("pbx16", "trunk"), ("pbx16", "sip")], ids=str)
async def test_every_code_is_told_as_the_trunk_sent_it(
    pbx: str, door: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    async with Lab(request.getfixturevalue(pbx)) as lab:
        for name, phrase in ODD.items():
            lab.acme.scripts[name] = rejecting(486, phrase.encode())
        # 4 seconds: chan_sip does nothing about 422 and 423, the call then ends by Dial's time-out
        users = [*map(str, EVERY_CODE), *ODD]
        records = by_user(await dial(lab, tmp_path, [f"{door}.acme.{user}.4" for user in users]))
        sent = {call.user: call.final for call in lab.acme.calls}
    for code in EVERY_CODE:
        assert sent[str(code)] == code
        assert_exact(records[str(code)], code, PHRASES.get(code, "Unknown"))
    for name, phrase in ODD.items():
        wire = " ".join(phrase.split()) if door == "sip" else phrase  # chan_sip squeezes blanks
        assert_exact(records[name], 486, wire)
    technology = "SIP/" if door == "sip" else "PJSIP/"
    assert all(attempt_of(record)["channel"].startswith(technology) for record in records.values())


async def test_without_the_line_asterisk_22_still_tells_the_number(bare22: Asterisk, tmp_path: Path) -> None:
    async with Lab(bare22) as lab:
        records = await dial(lab, tmp_path, ["trunk.acme.200", *(f"trunk.acme.{code}" for code in KNOWN_CODES)])
    of_code = by_user(records)
    for code in KNOWN_CODES:
        attempt = attempt_of(of_code[str(code)])
        assert (attempt["sip"]["code"], attempt["sip"]["phrase"]) == (code, None)
        assert (attempt["evidence"]["grade"], attempt["evidence"]["source"]) == ("reported", "TechCause")


async def test_without_the_line_asterisk_16_tells_which_codes_it_may_have_been(
    bare16: Asterisk, tmp_path: Path
) -> None:
    async with Lab(bare16) as lab:
        records = by_user(await dial(lab, tmp_path, [f"trunk.acme.{code}" for code in KNOWN_CODES]))
    for code in KNOWN_CODES:
        for told in (records[str(code)], attempt_of(records[str(code)])):
            assert told["sip"]["code"] is None
            assert told["evidence"]["grade"] == "candidates"
            assert code in told["sip"]["candidates"]


@pytest.mark.parametrize("pbx", ["pbx22", "bare22", "pbx16", "bare16"])
async def test_what_no_trunk_ever_said_is_never_told_as_if_it_had(
    pbx: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The caller gives up, an Originate times out, a trunk is dead, a port closed, a name unknown."""
    async with Lab(request.getfixturevalue(pbx)) as lab, Companion(tmp_path, lab.pbx) as companion:
        gave_up = await lab.caller.call("trunk.acme.ring", cancel_on=180, cancel_after_s=0.1)
        await lab.originate("PJSIP/ring@acme", "wait", timeout_s=1)
        for exten in ("trunk.refused.100", "trunk.lost.100", "trunk.silent.100.2"):
            await lab.caller.call(exten)
        if pbx.startswith("bare"):
            await lab.caller.call("trunk.silent.100")  # until timer B
        records = await companion.recorded(6 if pbx.startswith("bare") else 5)
        assert await companion.stop() == 0
    assert gave_up.status == 487
    for record in records:
        for told in (record, attempt_of(record)):
            assert told["sip"]["code"] is None or told["sip"]["code"] < 200 or told["evidence"]["grade"] == "local"
            assert told["evidence"]["grade"] != "reported"
    ring, timed_out, refused, lost, silent, *dead = records
    assert ring["outcome"] == "abandoned"
    assert ring["released_by"] == "caller"
    assert timed_out["disposition"] == "no_answer"
    assert silent["disposition"] == "no_response"
    if pbx != "bare16":  # it has nothing but the cause, which a 503 has too
        assert {refused["disposition"], lost["disposition"]} == {"unreachable"}
    assert all(record["disposition"] == "no_response" for record in dead)
