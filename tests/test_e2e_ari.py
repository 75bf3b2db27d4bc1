"""The ARI door of the real program beside a real Asterisk: alone it records what AMI records, both record it once."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from pathlib import Path

import pytest

from tests.cable import Cable
from tests.e2e import Companion, by_linkedid
from tests.lab.asterisk import Asterisk
from tests.lab.fixtures import need_roots
from tests.lab.lab import Lab
from tests.lab.options import PbxOptions, Release
from tests.lab.scenarios import SCENARIOS
from tests.lab.sip_script import rejecting
from tests.lab.wait import until
from tests.report_lab import reporting
from tests.test_ari_cases import differences

CONFIGS = Path(__file__).parent.parent / "configs" / "asterisk"
SECRET = "only-for-tests"
STAMPED_LATE_MS = 500  # AMI stamps an event when it is written: on a busy machine long after it happened

pytestmark = pytest.mark.lab

SHAPES = (
    *("rejected-486", "rejected-608", "rejected-603-blocked", "failover-rescued", "failover-failed", "fork-answered"),
    *("fork-failed", "cancel", "no-answer", "redirect-302", "local-answered", "local-rejected", "originate-failed"),
    *("originate-local", "queue-answered", "queue-abandon-waiting", "queue-timeout", "transfer-attended", "pickup"),
    *("transfer-blind-answered", "parked-retrieved", "answered-b-bye", "hangup-21", "endpoint-missing", "tcp-refused"),
)


class Beside(Companion):
    """A companion with the doors that a test names."""

    def __init__(self, folder: Path, pbx: Asterisk, *doors: str, port: int | None = None) -> None:
        super().__init__(folder, pbx, doors=len(doors))
        text = self.config.read_text()
        (folder / "ari.password").write_text(pbx.companion.secret)
        (folder / "ari.password").chmod(0o600)
        if "ari" in doors:
            ari = {
                "host": pbx.host,
                "port": port or pbx.ports.http,
                "username": "companion",
                "password_file": "ari.password",
                "app": folder.name,
                "retry_min_s": 0.1,
                "retry_max_s": 0.5,
            }
            lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in ari.items())
            text = text.replace("[[trunk]]", f"[pbx.ari]\n{lines}\n[[trunk]]", 1)
        if "ami" not in doors:
            text = text[: text.index("[pbx.ami]")] + text[text.index("[pbx.ari]") :]
        self.config.write_text(text)


async def test_ari_alone_ami_alone_and_both_record_the_same_calls_once(lab: Lab, tmp_path: Path) -> None:
    pbx = lab.pbx
    async with (
        Beside(tmp_path / "ami", pbx, "ami") as ami,
        Beside(tmp_path / "ari", pbx, "ari") as ari,
        Beside(tmp_path / "both", pbx, "ami", "ari") as both,
    ):
        for scenario in SCENARIOS:
            if scenario.name in SHAPES:
                lab.forget()
                await scenario.play(lab, "")
                await lab.idle()
        companions = (ami, ari, both)
        await until(lambda: len({one.count() for one in companions}) == 1, "the same number of calls in each store")
        found = [by_linkedid(await one.calls()) for one in companions]
        assert [one.gaps() for one in companions] == [[], [], []]
    over_ami, over_ari, over_both = found
    assert over_ami.keys() == over_ari.keys() == over_both.keys()
    assert len(over_ami) >= len(SHAPES)
    for linkedid, record in over_ami.items():
        assert list(differences("over ARI", record, over_ari[linkedid], STAMPED_LATE_MS)) == [], linkedid
        assert list(differences("over both", record, over_both[linkedid], STAMPED_LATE_MS)) == [], linkedid
    for records in (over_ari, over_both):
        dialled = [attempt for record in records.values() for attempt in record["attempts"]]
        assert all(attempt["sip_call_id"] for attempt in dialled if attempt["channel"].startswith("PJSIP/"))


async def test_an_outage_of_the_link_is_a_gap_and_what_lives_is_found_again(lab: Lab, tmp_path: Path) -> None:
    async with (
        Cable(lab.pbx.host, lab.pbx.ports.http) as cable,
        Beside(tmp_path / "ari", lab.pbx, "ari", port=cable.port) as companion,
    ):
        over_now = asyncio.Event()
        before = asyncio.create_task(lab.caller.call("trunk.acme.ok", hang_up=over_now))
        await until(lambda: companion.in_flight() == 1, "a call before the outage")
        await cable.cut()
        await until(companion.gaps, "the gap")
        unseen = await lab.caller.call("trunk.acme.486")
        during = asyncio.create_task(lab.caller.call("trunk.globex.ok", hang_up=over_now))
        await until(lambda: lab.globex.calls, "a call that begins unseen")
        await cable.plug()
        await until(lambda: len(companion.logged("listening")) == 2, "the link is back")
        await lab.caller.call("trunk.acme.608")
        await until(lambda: companion.in_flight() == 2, "both calls that live were found")
        over_now.set()
        await asyncio.gather(before, during)
        records = await companion.recorded(3)
        [(_, over)] = companion.gaps()
        assert over
    assert unseen.status == 486
    assert len(records) == 3
    told = {record["attempts"][0]["dialled"]: record for record in records if record["attempts"]}
    assert told["ok"]["outcome"] == "answered"
    assert {record["outcome"] for record in records} == {"answered", "failed"}
    assert [record["partial"] for record in records if record["outcome"] == "answered"] == [True, True]
    assert (told["608"]["sip"]["code"], told["608"]["partial"]) == (608, False)


def connecting_out(port: int, name: str) -> PbxOptions:
    """An Asterisk with the snippets of configs/asterisk as they are, and passwords."""
    client = (CONFIGS / "websocket_client.conf").read_text()
    client = client.replace("127.0.0.1:8099/pbx1", f"127.0.0.1:{port}/{name}").replace(
        ";password =", f"password = {SECRET}"
    )
    snippet = (CONFIGS / "ari.conf").read_text().replace(";password =", f"password = {SECRET}-of-the-user")
    user = snippet[snippet.index("[asterisk-sip]") :]
    return PbxOptions("22", extra={"websocket_client.conf": client, "ari.conf": re.sub(r"(?m)^;(?=[a-z\[])", "", user)})


async def test_an_asterisk_that_connects_to_us_is_heard_over_a_restart_of_either(tmp_path: Path) -> None:
    need_roots("22")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with Asterisk(connecting_out(port, "pbx1")) as pbx:
        companion = Beside(tmp_path / "out", pbx, "ari")
        (tmp_path / "out" / "ari.password").write_text(SECRET)
        listens = f'outbound = true\nlisten_port = {port}\nusername = "asterisk-sip"\n'
        lines = companion.config.read_text().replace('username = "companion"\n', listens)
        companion.config.write_text(lines)
        async with Lab(pbx) as lab, companion:
            await lab.caller.call("608")
            await companion.recorded(1)
            assert await companion.stop() == 0
            await companion.start()
            await lab.caller.call("failover.503.ok", bye_after_s=0.2)
            records = await companion.recorded(2)
    assert [record["outcome"] for record in records] == ["failed", "rescued"]
    assert records[0]["sip"]["code"] == 608
    assert records[0]["evidence"] == records[0]["attempts"][0]["evidence"]
    assert records[0]["evidence"]["grade"] == "wire"
    assert records[0]["asterisk_version"] == "22.10.1"
    assert not any(record["partial"] for record in records)
    assert all(attempt["sip_call_id"] for record in records for attempt in record["attempts"])


@pytest.mark.parametrize("release", ["22", "16"])
async def test_what_a_hangup_handler_tells_by_userevent_is_heard_over_ari_too(release: Release, tmp_path: Path) -> None:
    """No channelvars line here: without the handler nobody knew more than a set of codes."""
    with reporting(release, "userevent") as reported:
        async with Lab(reported.pbx) as lab, Beside(tmp_path / "ari", reported.pbx, "ari") as companion:
            lab.acme.scripts["odd"] = rejecting(486, b"Occup\xe9")
            for number, exten in enumerate(("trunk.acme.608", "failover.503.486", "trunk.acme.odd"), 1):
                await lab.caller.call(exten)
                records = await companion.recorded(number)
    told = [[attempt["sip"]["code"] for attempt in record["attempts"]] for record in records]
    assert told == [[608], [503, 486], [486]]
    assert {attempt["evidence"]["source"] for record in records for attempt in record["attempts"]} == {"UserEvent"}
    assert records[2]["sip"]["phrase"] == "Occup\\xe9"
