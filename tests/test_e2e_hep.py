"""HEP beside AMI, through real Asterisks and the real program: what only the wire shows reaches the record."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import Companion, Record
from tests.hep_lab import HepPbx, sending_hep
from tests.lab.lab import Lab
from tests.lab.scenarios import FINAL_CODES
from tests.lab.sip_phrases import PHRASES
from tests.lab.sip_script import Reply, Script, rejecting

pytestmark = pytest.mark.lab

BLOCKED = 'SIP;cause=603;text="v=analytics1;url=https://redress.example.net;tel=+15550199"'


@pytest.fixture(scope="module")
def hep22() -> Iterator[HepPbx]:
    with sending_hep("22") as hep:
        yield hep


@pytest.fixture(scope="module")
def hep16() -> Iterator[HepPbx]:
    with sending_hep("16") as hep:
        yield hep


@pytest.fixture(params=["22", "16"])
def hep(request: pytest.FixtureRequest) -> HepPbx:
    found: HepPbx = request.getfixturevalue(f"hep{request.param}")
    return found


def attempt_of(record: Record) -> Record:
    [attempt] = record["attempts"]
    return dict(attempt)


async def test_every_code_and_what_came_with_it(hep: HepPbx, tmp_path: Path) -> None:
    """No line in manager.conf: what the far end said is known from HEP alone."""
    async with Lab(hep.pbx) as lab, Companion(tmp_path, hep.pbx, hep.prepare(tmp_path), 2) as companion:
        for code in FINAL_CODES:
            headers = (
                ("Reason", f'Q.850;cause=21;text="carrier, {code}", SIP;cause={code}'),
                ("Warning", f'399 acme "warning {code}"'),
                ("Retry-After", f"{code} (later)"),
            )
            early = Reply(183, None, (("Reason", f'Q.850;cause=34;text="early {code}"'),))
            lab.acme.scripts[str(code)] = Script((Reply(100), early, Reply(code, None, headers, after_s=0.05)))
        await lab.caller.burst([f"trunk.acme.{code}.4" for code in FINAL_CODES], 20)
        records = await companion.recorded(len(FINAL_CODES))
        assert await companion.stop() == 0
    told = {attempt_of(record)["dialled"]: attempt_of(record) for record in records}
    for code in FINAL_CODES:
        attempt = told[str(code)]
        assert (attempt["sip"]["code"], attempt["sip"]["phrase"]) == (code, PHRASES[code])
        assert (attempt["evidence"]["grade"], attempt["evidence"]["source"]) == ("wire", "HEP")
        assert attempt["evidence"]["conflict"] is False
        assert attempt["remote_reason"] == [f'Q.850;cause=21;text="carrier, {code}"', f"SIP;cause={code}"]
        assert attempt["early_reason"] == [f'Q.850;cause=34;text="early {code}"']
        assert attempt["remote_warning"] == [f'399 acme "warning {code}"']
        assert attempt["retry_after_s"] == code
        assert [line["line"].split()[0] for line in attempt["ladder"]] == ["INVITE", "100", "183", str(code), "ACK"]
        assert [line["direction"] for line in attempt["ladder"]] == ["sent", *["received"] * 3, "sent"]
        assert attempt["sip_call_id"]
        assert attempt["pdd_ms"] is not None


async def test_who_blocked_a_call_is_told(hep: HepPbx, tmp_path: Path) -> None:
    async with Lab(hep.pbx) as lab, Companion(tmp_path, hep.pbx, hep.prepare(tmp_path), 2) as companion:
        lab.acme.scripts["plus"] = rejecting(603, b"Network Blocked", (("Reason", BLOCKED),))
        card = ("Call-Info", "<https://block.example/card.jws>;purpose=jwscard")
        lab.acme.scripts["card"] = rejecting(608, None, (card,))
        await lab.caller.call("trunk.acme.plus")
        await lab.caller.call("trunk.acme.card")
        plus, card_record = map(attempt_of, await companion.recorded(2))
        assert await companion.stop() == 0
    assert plus["disposition"] == card_record["disposition"] == "blocked"
    assert (plus["redress"]["url"], plus["redress"]["tel"]) == ("https://redress.example.net", "+15550199")
    assert card_record["redress"]["card"] == "https://block.example/card.jws"


async def test_a_call_that_the_caller_gave_up_keeps_what_was_heard_before(hep: HepPbx, tmp_path: Path) -> None:
    async with Lab(hep.pbx) as lab, Companion(tmp_path, hep.pbx, hep.prepare(tmp_path), 2) as companion:
        await lab.caller.call("trunk.acme.ring", cancel_on=180, cancel_after_s=0.2)
        [record] = await companion.recorded(1)
        assert await companion.stop() == 0
    attempt = attempt_of(record)
    assert (record["outcome"], attempt["sip"]["code"], attempt["sip"]["phrase"]) == ("abandoned", 180, "Ringing")
    assert [line["line"].split()[0] for line in attempt["ladder"]] == [
        *("INVITE", "100", "180", "CANCEL", "200", "487", "ACK"),
    ]


async def test_a_trunk_that_says_nothing_is_known_to_have_said_nothing(hep: HepPbx, tmp_path: Path) -> None:
    async with Lab(hep.pbx) as lab, Companion(tmp_path, hep.pbx, hep.prepare(tmp_path), 2) as companion:
        await lab.caller.call("trunk.silent.100")
        await lab.caller.call("trunk.refused.100")
        dead, refused = map(attempt_of, await companion.recorded(2))
        assert await companion.stop() == 0
    for attempt, code, disposition in ((dead, 408, "no_response"), (refused, 503, "unreachable")):
        assert (attempt["sip"]["code"], attempt["disposition"]) == (code, disposition)
        assert attempt["evidence"]["grade"] == "local"
        assert [line["line"].split()[0] for line in attempt["ladder"]] == ["INVITE"]


async def test_a_companion_that_hears_nothing_but_hep(hep: HepPbx, tmp_path: Path) -> None:
    async with Lab(hep.pbx) as lab:
        companion = Companion(tmp_path, hep.pbx, hep.prepare(tmp_path))
        text = companion.config.read_text()
        companion.config.write_text(re.sub(r"\[pbx\.ami\].*(?=\[pbx\.hep\])", "", text, flags=re.DOTALL))
        async with companion:
            lab.acme.scripts["plus"] = rejecting(603, b"Network Blocked", (("Reason", BLOCKED),))
            await lab.caller.call("trunk.acme.plus")
            await lab.caller.call("failover.503.200", bye_after_s=0.1)
            await lab.caller.call("nosuch")
            told = {record["dialled"]: record for record in await companion.recorded(3)}
            assert await companion.stop() == 0
        assert companion.gaps() == [("stopped listening", False)]
    blocked, rescued, refused = told["trunk.acme.plus"], told["failover.503.200"], told["nosuch"]
    assert (blocked["disposition"], attempt_of(blocked)["redress"]["tel"]) == ("blocked", "+15550199")
    assert [(each["stage"], each["sip"]["code"]) for each in rescued["attempts"]] == [(1, 503), (2, 200)]
    assert (rescued["outcome"], rescued["released_by"]) == ("rescued", "caller")
    assert (refused["disposition"], refused["dialled"], refused["attempts"]) == ("not_found", "nosuch", [])
    assert not any(record["partial"] for record in (blocked, rescued, refused))


async def test_a_telephone_of_the_house_tells_its_reason_too(hep: HepPbx, tmp_path: Path) -> None:
    async with Lab(hep.pbx) as lab, Companion(tmp_path, hep.pbx, hep.prepare(tmp_path), 2) as companion:
        lab.phones.scripts["alice"] = rejecting(486, b"Do Not Disturb", (("Reason", 'SIP;cause=486;text="DND"'),))
        await lab.caller.call("phone.alice")
        [record] = await companion.recorded(1)
        assert await companion.stop() == 0
    attempt = attempt_of(record)
    assert (attempt["sip"]["phrase"], attempt["remote_reason"]) == ("Do Not Disturb", ['SIP;cause=486;text="DND"'])
