"""The journal beside real Asterisks: what it holds gives the records of the store; one call of it can be cut out."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path

import pytest

from asterisk_sip.calls.enrich import Surroundings
from asterisk_sip.sources.journal_files import files_of
from asterisk_sip.sources.recording import Replay
from tests.e2e import Companion, Record, by_linkedid, command
from tests.hep_lab import sending_hep
from tests.lab.asterisk import Asterisk
from tests.lab.lab import Lab
from tests.lab.wait import until
from tests.test_e2e_ari import Beside

pytestmark = pytest.mark.lab

EXTENS = ["486", "603", "608", "failover.503.200", "fork.2.486.ring", "local.486", "200", "trunk.acme.trying.1"]
OF_ANY_CALL = ("id", "started_at", "ended_at", "outcome", "disposition", "sip", "q850", "released_by", "partial")
OF_WHO_LISTENED = ("gap_ids",)


def keep_journal(config: Path, *lines: str) -> Path:
    """Let a companion keep a journal; give its folder."""
    (config.parent / "journal.key").write_text("a key of the test's own, long enough")
    (config.parent / "journal.key").chmod(0o600)
    config.write_text(config.read_text() + "\n".join(["", "[journal]", 'folder = "journal"', *lines, ""]))
    return config.parent / "journal"


def bare(record: Record) -> Record:
    return {key: value for key, value in record.items() if key not in OF_WHO_LISTENED}


async def in_the_journal(folder: Path, count: int) -> None:
    """Wait until the journal has so many whole calls."""
    await until(
        lambda: folder.is_dir() and files_of(folder) and ended_in(folder) >= count, f"{count} calls in the journal"
    )


def ended_in(folder: Path) -> int:
    return sum(1 for _ in Replay(Surroundings("pbx1")).read([folder]))


def begun_in(folder: Path) -> int:
    replay = Replay(Surroundings("pbx1"))
    for _ in replay.read([folder]):
        pass
    return replay.unfinished


async def replayed(companion: Companion, folder: Path) -> dict[str, Record]:
    said = await command("replay", str(folder), "--config", str(companion.config))
    assert said.code == 0, said.err
    return by_linkedid(map(json.loads, said.out.splitlines()))


async def test_after_a_kill_the_journal_gives_the_records_of_the_store(lab: Lab, tmp_path: Path) -> None:
    companion = Companion(tmp_path, lab.pbx)
    folder = keep_journal(companion.config, "max_file_mb = 1", "max_total_mb = 10")
    async with companion:
        for exten in EXTENS:
            await lab.caller.call(exten, bye_after_s=0.2)
        await lab.idle()
        await companion.recorded(len(EXTENS))
        await in_the_journal(folder, len(EXTENS))
        await until(lambda: companion.in_flight() == 0, "the calls before forgotten")
        talking = asyncio.create_task(lab.caller.call("trunk.acme.ring.60", cancel_on=180, cancel_after_s=6.0))
        await until(lambda: companion.in_flight() == 1, "the call remembered")
        await until(lambda: begun_in(folder) == 1, "its beginning in the journal")
        await companion.kill()
        await companion.start()
        await talking
        await lab.caller.call("486")
        await lab.idle()
        stored = by_linkedid(await companion.recorded(len(EXTENS) + 2))
        assert await companion.stop() == 0
    again = await replayed(companion, folder)
    assert again.keys() == stored.keys()
    for linkedid, record in stored.items():
        now = again[linkedid]
        if record["partial"]:  # in flight at the kill: of its last moments the journal knows more than the store
            assert [now[field] for field in OF_ANY_CALL] == [record[field] for field in OF_ANY_CALL]
        else:
            assert bare(now) == bare(record)
    assert sum(record["partial"] for record in again.values()) == 1
    said = await command("replay", str(folder), "--config", str(companion.config), "--against-store")
    assert f"{len(stored)} calls replayed: " in said.err
    assert {line.split("  ")[0] for line in said.out.splitlines()} <= {
        record["id"] for record in stored.values() if record["partial"]
    }


async def test_two_doors_in_one_journal_are_one_core(pbx: Asterisk, tmp_path: Path) -> None:
    companion = Beside(tmp_path, pbx, "ami", "ari")
    folder = keep_journal(companion.config)
    async with Lab(pbx) as lab, companion:
        for exten in EXTENS:
            await lab.caller.call(exten, bye_after_s=0.2)
        await lab.idle()
        stored = by_linkedid(await companion.recorded(len(EXTENS)))
        await in_the_journal(folder, len(EXTENS))
        assert await companion.stop() == 0
    again = await replayed(companion, folder)
    assert {linkedid: bare(record) for linkedid, record in again.items()} == {
        linkedid: bare(record) for linkedid, record in stored.items()
    }


async def test_what_only_hep_shows_is_in_the_journal_too(tmp_path: Path) -> None:
    with sending_hep("22") as hep:
        companion = Companion(tmp_path, hep.pbx, hep.prepare(tmp_path), 2)
        folder = keep_journal(companion.config, "pseudonymise = true", 'key_file = "journal.key"')
        async with Lab(hep.pbx) as lab, companion:
            for exten in ("trunk.acme.608", "trunk.acme.486", "nowhere.at.all"):
                await lab.caller.call(exten)
            await lab.idle()
            stored = await companion.recorded(3)
            assert await companion.stop() == 0
        said = await command("replay", str(folder), "--config", str(companion.config))
        out = tmp_path / "case"
        where = ("--journal", str(folder), "--out", str(out), "--config", str(companion.config))
        case = await command("export-case", stored[0]["linkedid"], *where)
    assert case.code == 0, case.err
    [cut] = map(json.loads, (out / "expected-22.jsonl").read_text().splitlines())
    assert (out / "22.journal.gz").exists()
    assert cut["attempts"][0]["sip"]["code"] == 608
    assert "608 Rejected" in [line["line"] for line in cut["attempts"][0]["ladder"]]
    data = b"".join(path.read_bytes() for path in files_of(folder))
    assert hep.password.encode() not in data
    assert b"5550100" not in data
    again = by_linkedid(map(json.loads, said.out.splitlines()))
    assert again.keys() == {record["linkedid"] for record in stored}
    for then in stored:
        now = again[then["linkedid"]]
        for field in ("id", "outcome", "disposition", "sip", "started_at", "sip_call_id"):
            assert now[field] == then[field], field
        assert now["evidence"]["grade"] == then["evidence"]["grade"]
        assert now["caller"]["number"] != then["caller"]["number"]
        assert [one["ladder"] is None for one in now["attempts"]] == [one["ladder"] is None for one in then["attempts"]]


async def test_a_call_of_a_journal_becomes_a_case_for_a_bug_report(lab22: Lab, tmp_path: Path) -> None:
    companion = Companion(tmp_path, lab22.pbx)
    folder = keep_journal(companion.config)
    async with companion:
        for exten in ("486", "failover.503.603", "608"):
            await lab22.caller.call(exten)
        await lab22.idle()
        stored = await companion.recorded(3)
        assert await companion.stop() == 0
    [wanted] = [record for record in stored if len(record["attempts"]) == 2]
    out = tmp_path / "case"
    where = ("--journal", str(folder), "--out", str(out), "--config", str(companion.config))
    said = await command("export-case", wanted["linkedid"], *where, "--sentence", "What we saw.")
    assert said.code == 0, said.err
    assert {path.name for path in out.iterdir()} == {"22.ami.gz", "expected-22.jsonl", "case.toml"}
    [record] = map(json.loads, (out / "expected-22.jsonl").read_text().splitlines())
    assert [one["sip"]["code"] for one in record["attempts"]] == [503, 603]
    assert (record["outcome"], record["disposition"]) == (wanted["outcome"], wanted["disposition"])
    assert record["caller"]["number"] != wanted["caller"]["number"]
    again = await command("replay", str(out / "22.ami.gz"), "--trunk", "acme*", "--trunk", "globex")
    assert json.loads(again.out)["disposition"] == wanted["disposition"]


@pytest.mark.parametrize("name", ["calls.journal", "calls.journal.gz"])
async def test_record_takes_down_what_the_doors_say_without_a_store(name: str, lab22: Lab, tmp_path: Path) -> None:
    companion = Companion(tmp_path, lab22.pbx)  # only for its configuration
    out = tmp_path / name
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "asterisk_sip", "record", "--config", str(companion.config), "--out", str(out)),
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    said = b""
    while b"ami up" not in said:
        said += await asyncio.wait_for(process.stderr.readline(), 30)
    for exten in ("486", "608"):
        await lab22.caller.call(exten)
    await lab22.idle()
    await lab22.caller.call("503")
    await lab22.idle()
    process.send_signal(signal.SIGINT)
    _, rest = await asyncio.wait_for(process.communicate(), 15)
    assert process.returncode == 0
    assert b" bytes" in rest.splitlines()[-1]
    records = list(Replay(Surroundings("pbx1")).read([out]))
    assert [record.sip.code for record in records][:2] == [486, 608]
    assert {record.asterisk_version for record in records} == {"22.10.1"}
    assert not companion.store.exists()
    again = await command("record", "--config", str(companion.config), "--out", str(out), "--for", "1")
    assert again.code == 1
    assert "File exists" in again.err


async def test_record_ends_by_itself_and_says_when_nothing_was_heard(lab22: Lab, tmp_path: Path) -> None:
    companion = Companion(tmp_path, lab22.pbx)
    where = ("--config", str(companion.config), "--for", "1.5")
    said = await command("record", *where, "--out", str(tmp_path / "quiet.journal"))
    assert (said.code, said.out) == (0, "")
    companion.config.write_text(companion.config.read_text().replace(f"port = {lab22.pbx.ports.ami}", "port = 1"))
    said = await command("record", *where, "--out", str(tmp_path / "deaf.journal"))
    assert said.code == 1
    assert "nothing was heard (pbx1 ami: not heard yet)" in said.err
