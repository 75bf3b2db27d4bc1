"""`make run`: the recording of a real Asterisk that is played to those who have none."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import re
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from asterisk_sip import demo
from asterisk_sip.calls import events as ev
from asterisk_sip.calls.bounded import Limits
from asterisk_sip.calls.enrich import Surroundings
from asterisk_sip.calls.model import CallRecord
from asterisk_sip.errors import AuthError
from asterisk_sip.pipeline import Pipeline
from asterisk_sip.sources.ami import AmiLink, AmiSettings, AmiSource
from asterisk_sip.sources.recording import Replay
from asterisk_sip.stores.sqlite import SqliteStore
from tests.ami_client import Recorder
from tests.lab.wait import until

ID = re.compile(rb"(?:Uniqueid|Linkedid): (\d+\.\d+)")
RECORDED = Path(demo.__file__).parent / "data" / "demo.ami.gz"


@pytest.fixture(scope="module")
def recording() -> demo.Recording:
    return demo.load()


def told(record: CallRecord) -> tuple[object, ...]:
    """What a record says, without its times and ids."""
    attempts = tuple((a.endpoint, a.dialled, a.stage, a.disposition, a.sip.code, a.sip.phrase) for a in record.attempts)
    return (
        record.caller,
        record.dialled,
        record.outcome,
        record.disposition,
        record.evidence,
        record.partial,
        attempts,
    )


def replayed() -> list[CallRecord]:
    return list(Replay(Surroundings("demo")).read([RECORDED]))


def ids_in(block: bytes) -> list[bytes]:
    return [found[1] for found in ID.finditer(block)]


def headers(block: bytes) -> dict[bytes, bytes]:
    return dict(line.split(b": ", 1) for line in block.split(b"\r\n") if b": " in line)


async def first_call(pbx: demo.DemoPbx) -> str:
    """Connect anew; give the linkedid of the first call that is played."""
    listener = Recorder()
    link = AmiLink(settings(pbx), listener)
    await link.open()
    await link.ask({"Action": "CoreShowChannels"})
    await until(lambda: any(isinstance(event, ev.ChannelBegan) for event in listener.told), "the first call")
    await link.close()
    return next(event.channel.linkedid for event in listener.told if isinstance(event, ev.ChannelBegan))


def settings(pbx: demo.DemoPbx, secret: str | None = None) -> AmiSettings:
    return AmiSettings("127.0.0.1", pbx.port, pbx.username, secret or pbx.secret)


def test_the_recording_is_small_and_shows_what_can_go_wrong() -> None:
    records = replayed()
    assert RECORDED.stat().st_size < 60_000
    assert 30 <= len(records) <= 45
    assert {record.outcome for record in records} == {"answered", "failed", "rescued", "abandoned"}
    assert {record.evidence.grade for record in records} == {"wire", "local", "sent"}
    codes = {attempt.sip.code for record in records for attempt in record.attempts}
    assert codes >= {100, 180, 200, 302, 403, 404, 407, 408, 480, 484, 486, 488, 500, 502, 503, 600, 603, 607, 608}
    assert not any(record.partial for record in records)


def test_within_a_round_ids_and_times_fit_each_other(recording: demo.Recording) -> None:
    moved: dict[bytes, bytes] = {}
    last_at = 0.0
    for at_s, block in recording.messages:
        shown = demo.shifted(block, 1_800_000_000 + at_s, 1_800_000_000)
        moved |= dict(zip(ids_in(block), ids_in(shown), strict=True))
        at = float(headers(shown)[b"Timestamp"])
        assert at == pytest.approx(1_800_000_000 + at_s, abs=1e-5)
        assert at >= last_at
        last_at = at
    assert len(set(moved.values())) == len(moved) > 80
    assert all(new.startswith(b"1800000000.") for new in moved.values())


def test_nothing_but_ids_and_times_is_changed(recording: demo.Recording) -> None:
    for _, block in recording.messages:
        before, after = headers(block), headers(demo.shifted(block, 1.0, 1_800_000_000))
        changed = {key for key in before if before[key] != after[key]}
        assert {key for key in changed if not key.endswith((b"Uniqueid", b"Linkedid"))} == {b"Timestamp"}


async def test_every_call_of_every_round_becomes_a_record_with_an_id_of_its_own(
    recording: demo.Recording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "PAUSE_S", 0.05)
    fast = dataclasses.replace(recording, messages=tuple((at_s / 40, block) for at_s, block in recording.messages))
    expected = sorted(map(str, map(told, replayed())))
    stored: list[CallRecord] = []
    pbx = demo.DemoPbx(fast)
    await pbx.start()
    store = SqliteStore(tmp_path / "demo.db", keep="all")
    await store.open()
    pipeline = Pipeline(store, on_stored=stored.extend)
    desk = await pipeline.add(Surroundings("demo"), Limits())
    async with asyncio.TaskGroup() as tasks:
        working = tasks.create_task(pipeline.run())
        listening = tasks.create_task(AmiSource("demo", settings(pbx), desk.door("ami")).run())
        await until(lambda: len(stored) >= 2 * len(expected), "two rounds recorded")
        listening.cancel()
        working.cancel()
    await store.close()
    await pbx.stop()
    for number in (0, 1):
        of_round = stored[number * len(expected) : (number + 1) * len(expected)]
        assert sorted(map(str, map(told, of_round))) == expected
    assert len({record.id for record in stored}) == len(stored)


async def test_rounds_that_begin_within_one_second_do_not_share_ids(recording: demo.Recording) -> None:
    pbx = demo.DemoPbx(dataclasses.replace(recording, messages=recording.messages[:3]), clock=lambda: 1_800_000_000.5)
    await pbx.start()
    rounds = [await first_call(pbx) for _ in range(3)]
    await pbx.stop()
    assert len(set(rounds)) == 3


async def test_who_does_not_know_the_secret_hears_nothing(recording: demo.Recording) -> None:
    pbx = demo.DemoPbx(recording)
    await pbx.start()
    listener = Recorder()
    link = AmiLink(settings(pbx, "not the secret"), listener)
    with pytest.raises(AuthError):
        await link.open()
    await link.close()
    await pbx.stop()
    assert listener.told == []


async def test_the_verb_shows_and_stores_its_first_call_within_seconds(tmp_path: Path) -> None:
    path = tmp_path / "not yet there" / "demo.db"
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "asterisk_sip", "demo", "--store", str(path)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "ASTERISK_SIP__STORE__PATH": "/nowhere"},  # not for the demo
    )
    assert running.stdout is not None
    async with asyncio.timeout(20):
        shown = await running.stdout.readuntil(b"486 Busy Here")
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            [stored] = database.execute("select count(*) from calls").fetchone()
        running.send_signal(signal.SIGTERM)
        _, errors = await running.communicate()
    assert b"Anna Schmidt" in shown
    assert stored >= 1
    assert running.returncode == 0, errors.decode()
