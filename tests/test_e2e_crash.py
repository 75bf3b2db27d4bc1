"""Nothing lost, nothing twice: whatever is killed while calls go on, the companion or the PBX."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from tests.cable import Cable
from tests.e2e import Companion, Record, Truth, Witness, by_linkedid, command
from tests.lab.asterisk import Asterisk
from tests.lab.errors import NotYetError
from tests.lab.fixtures import need_roots
from tests.lab.lab import Lab
from tests.lab.options import PbxOptions
from tests.lab.sip_script import Reply, Script
from tests.lab.wait import until

pytestmark = pytest.mark.lab

PER_SECOND = 40
CUT_S = 8
CUT_PER_SECOND = 20
CALL_S = (0.1, 0.3, 0.6, 1.0, 1.6, 2.4, 4.0)  # how long calls take
RECORDED_S = 2.0  # a call that ended so long before a crash is in the store
ON_THE_WAY_S = 0.5  # for so long the news of an end may be on its way to the companion
REMEMBERED_S = 1.0  # a call that began so long before a crash is not forgotten
IMPATIENT = "ping_interval_s = 0.5\nping_timeout_s = 1.0"


@pytest.fixture
def own_pbx() -> Iterator[Asterisk]:
    """A PBX that a test may kill or freeze."""
    need_roots("22")
    with Asterisk(PbxOptions("22")) as pbx:
        yield pbx


def teach(lab: Lab) -> list[str]:
    """Teach the trunk calls of every length, refused and answered; give what to dial for each."""
    extens = []
    for length_s in CALL_S:
        name = f"{length_s * 1000:.0f}"
        lab.acme.scripts[f"busy{name}"] = Script((Reply(180), Reply(486, after_s=length_s)))
        lab.acme.scripts[f"talk{name}"] = Script((Reply(180), Reply(200)), bye_after_s=length_s)
        extens += [f"trunk.acme.busy{name}", f"trunk.acme.talk{name}"]
    return extens


def load(lab: Lab, seconds: float, per_second: int = PER_SECOND) -> asyncio.Task[object]:
    """Place calls for so many seconds, in the background."""
    count = int(seconds * per_second)
    extens = list(itertools.islice(itertools.cycle(teach(lab)), count))
    return asyncio.create_task(lab.caller.burst(extens, per_second, bye_after_s=60.0))


def assert_right(record: Record) -> None:
    """A call seen from beginning to end, told as the trunk ended it."""
    assert record["partial"] is False
    assert record["gap_ids"] == []
    told = (record["outcome"], record["sip"]["code"], record["evidence"]["grade"])
    assert told == (("failed", 486, "wire") if ".busy" in record["dialled"] else ("answered", 200, "wire"))


def at_once(entry: Record) -> float:
    """When a line was logged, in seconds since 1970."""
    return datetime.fromisoformat(entry["timestamp"]).timestamp()


def ended_before(truth: dict[str, Truth], at: float) -> set[str]:
    """The calls that ended before a moment."""
    return {linkedid for linkedid, call in truth.items() if not call.alive and call.ended_at < at}


def up_at(truth: dict[str, Truth], at: float) -> set[str]:
    """The calls that were up at a moment, and had been for long enough to be remembered."""
    since = at - REMEMBERED_S
    return {
        linkedid for linkedid, call in truth.items() if call.began_at < since and (call.alive or call.ended_at > at)
    }


async def all_stored(companion: Companion, wanted: set[str], truth: dict[str, Truth]) -> None:
    """Wait until these calls are in the store; say which are not."""
    try:
        await until(lambda: wanted <= {*companion.linkedids()}, "every call in the store")
    except NotYetError as error:
        missing = sorted(wanted.difference(companion.linkedids()))
        log = companion.log.read_text()
        raise AssertionError(f"{error}; {[truth[each] for each in missing]} are not\n{log}") from None


async def test_a_companion_killed_under_load_loses_no_call_and_tells_none_twice(
    pbx22: Asterisk, tmp_path: Path
) -> None:
    async with Lab(pbx22) as lab, Witness(pbx22) as witness, Companion(tmp_path, pbx22) as companion:
        calling = load(lab, 9)
        lab.acme.scripts["talklong"] = Script((Reply(180), Reply(200)), bye_after_s=14.0)
        talking = asyncio.create_task(lab.caller.call("trunk.acme.talklong"))
        await until(lambda: companion.count() >= 4 * PER_SECOND, "many calls in the store")
        killed_at = await companion.kill()
        unheard_of = witness.counts["Hangup"] + 2 * PER_SECOND
        await until(lambda: witness.counts["Hangup"] > unheard_of, "many calls end while nobody listens")
        await companion.start()
        back_at = at_once(companion.logged("listening")[-1])
        await load(lab, 3)
        await asyncio.gather(calling, talking)
        truth = await witness.quiet()
        before, during = ended_before(truth, killed_at - RECORDED_S), up_at(truth, killed_at)
        after = {linkedid for linkedid, call in truth.items() if call.began_at > back_at}
        every = before | during | after
        await all_stored(companion, every, truth)
        assert await companion.stop() == 0
        records = by_linkedid(await companion.calls())
    unheard = ended_before(truth, back_at) & during
    assert len(before) > PER_SECOND
    assert len(after) > PER_SECOND
    assert unheard
    assert during - unheard
    assert records.keys() <= truth.keys()
    for linkedid in before | after:
        assert_right(records[linkedid])
    for linkedid in during:
        assert records[linkedid]["partial"] is True
        assert len(records[linkedid]["gap_ids"]) == 1
    assert ("the companion was not running", True) in companion.gaps()


async def test_a_companion_killed_while_no_call_was_up_leaves_a_gap_too(pbx22: Asterisk, tmp_path: Path) -> None:
    async with Companion(tmp_path, pbx22) as companion:
        await until(lambda: companion.listened_until() is not None, "a sign of life in the store")
        lived_until = companion.listened_until()
        killed_at = await companion.kill()
        await companion.start()
        back_at = at_once(companion.logged("listening")[-1])
        await until(lambda: ("the companion was not running", True) in companion.gaps(), "the gap is over")
        assert await companion.stop() == 0
        said = await command("gaps", "--config", str(companion.config), "--format", "json")
    [gap, _] = [json.loads(line) for line in said.out.splitlines()]
    assert lived_until is not None
    assert lived_until <= datetime.fromisoformat(gap["began_at"]).timestamp() <= killed_at
    assert datetime.fromisoformat(gap["ended_at"]).timestamp() == pytest.approx(back_at, abs=0.5)
    assert (gap["source"], gap["blind"]) == ("companion", True)


async def test_a_companion_that_is_asked_to_end_under_load_writes_what_it_knows(
    pbx22: Asterisk, tmp_path: Path
) -> None:
    async with Lab(pbx22) as lab, Witness(pbx22) as witness, Companion(tmp_path, pbx22) as companion:
        calling = load(lab, 6)
        await until(lambda: companion.count() >= 2 * PER_SECOND, "many calls in the store")
        asked_at = time.time()
        assert await companion.stop() == 0
        in_store = {*companion.linkedids()}
        await companion.start()
        await calling
        truth = await witness.quiet()
        during = up_at(truth, asked_at)
        await all_stored(companion, during, truth)
        assert await companion.stop() == 0
        records = by_linkedid(await companion.calls())
    before = ended_before(truth, asked_at - ON_THE_WAY_S)
    assert len(before) > PER_SECOND
    assert before <= in_store
    for linkedid in before:
        assert_right(records[linkedid])
    assert during
    assert all(records[linkedid]["partial"] for linkedid in during - in_store)
    [(_, over), (_, over_now)] = companion.gaps()
    assert over
    assert not over_now  # it ended again, just now


async def test_a_link_cut_under_load_leaves_a_gap_and_tells_no_call_twice(pbx22: Asterisk, tmp_path: Path) -> None:
    async with Cable(pbx22.host, pbx22.ports.ami) as cable, Lab(pbx22) as lab, Witness(pbx22) as witness:
        companion = Companion(tmp_path, pbx22, IMPATIENT)
        text = companion.config.read_text()
        companion.config.write_text(text.replace(f"port = {pbx22.ports.ami}", f"port = {cable.port}"))
        async with companion:
            calling = load(lab, 4 + CUT_S + 4, CUT_PER_SECOND)
            await until(lambda: companion.count() >= 2 * CUT_PER_SECOND, "many calls in the store")
            cut_at = time.time()
            await cable.cut()
            await until(lambda: companion.logged("not listening"), "the companion noticed")
            unheard_of = witness.counts["Hangup"] + CUT_S * CUT_PER_SECOND
            await until(lambda: witness.counts["Hangup"] > unheard_of, "many calls end unheard", 60)
            await cable.plug()
            await until(lambda: len(companion.logged("listening")) == 2, "the companion listens again")
            back_at = at_once(companion.logged("listening")[-1])
            await calling
            truth = await witness.quiet()
            before = ended_before(truth, cut_at - ON_THE_WAY_S)
            after = {linkedid for linkedid, call in truth.items() if call.began_at > back_at}
            spanning = up_at(truth, cut_at)
            await all_stored(companion, before | after | spanning, truth)
            assert await companion.stop() == 0
            records = by_linkedid(await companion.calls())
    assert before
    assert after
    for linkedid in before | after:
        assert_right(records[linkedid])
    [gap_id] = {gap_id for linkedid in spanning for gap_id in records[linkedid]["gap_ids"]}
    assert all(records[linkedid]["partial"] for linkedid in spanning)
    assert records.keys() <= truth.keys()
    said = await command("gaps", "--config", str(companion.config), "--format", "json")
    [gap, _] = [json.loads(line) for line in said.out.splitlines()]
    assert (gap["id"], gap["source"], gap["blind"]) == (gap_id, "ami", True)
    assert datetime.fromisoformat(gap["began_at"]).timestamp() == pytest.approx(cut_at, abs=1.0)
    assert datetime.fromisoformat(gap["ended_at"]).timestamp() == pytest.approx(back_at, abs=0.5)


async def test_a_pbx_that_crashes_leaves_partial_records_and_is_heard_again(own_pbx: Asterisk, tmp_path: Path) -> None:
    async with Companion(tmp_path, own_pbx, IMPATIENT) as companion:
        async with Lab(own_pbx) as lab, Witness(own_pbx) as witness:
            calling = load(lab, 20)
            await until(lambda: companion.count() >= 2 * PER_SECOND, "many calls in the store")
            own_pbx.kill()
            crashed_at = time.time()
            await until(lambda: witness.closed, "the witness noticed")
            calling.cancel()
            await asyncio.gather(calling, return_exceptions=True)
        truth = witness.truth()
        await asyncio.sleep(0)  # asyncio closes sockets one round after it was asked to
        own_pbx.stop()
        own_pbx.start()
        await until(lambda: len(companion.logged("listening")) == 2, "the companion listens again")
        async with Lab(own_pbx) as lab, Witness(own_pbx) as witness:
            await load(lab, 1)
            later = await witness.quiet()
        during = {linkedid for linkedid, call in truth.items() if call.alive}
        before = ended_before(truth, crashed_at - ON_THE_WAY_S)
        every = during | before | later.keys()
        await all_stored(companion, every, truth | later)
        assert await companion.stop() == 0
        records = by_linkedid(await companion.calls())
    assert len(companion.logged("not listening")) == 1
    assert during
    assert all(records[linkedid]["partial"] for linkedid in during)
    for linkedid in before | later.keys():
        assert_right(records[linkedid])
    assert {*records} == {*truth} | {*later}


async def test_a_pbx_that_hangs_is_noticed_and_told_once(own_pbx: Asterisk, tmp_path: Path) -> None:
    timers = f"{IMPATIENT}\nconnect_timeout_s = 0.5\nlogin_timeout_s = 0.5"
    async with Companion(tmp_path, own_pbx, timers) as companion:
        own_pbx.freeze()
        try:
            await until(lambda: companion.logged("not listening"), "the companion noticed")
            await until(lambda: connections(own_pbx) >= 4, "it tries again and again")
        finally:
            own_pbx.freeze(frozen=False)
        await until(lambda: len(companion.logged("listening")) == 2, "the companion listens again")
        async with Lab(own_pbx) as lab:
            await lab.caller.call("486")
        [record] = await companion.recorded(1)
        assert await companion.stop() == 0
    [told] = companion.logged("not listening")
    assert "answer" in told["reason"]
    assert (record["sip"]["code"], record["partial"]) == (486, False)


def connections(pbx: Asterisk) -> int:
    """How many connections to AMI the PBX's machine has, also those that the frozen PBX did not let go."""
    address = "".join(f"{int(part):02X}" for part in reversed(pbx.host.split(".")))
    here = f" {address}:{pbx.ports.ami:04X} "
    return sum(here in line[:24] for line in Path("/proc/net/tcp").read_text().splitlines())
