"""Nothing lost, nothing twice, nobody waits: the whole program under load, killed, and with sinks that fail."""

from __future__ import annotations

import asyncio
import json
import os
import random
import sqlite3
import time
from collections import Counter
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import nats
import pytest
from aiohttp import web

from asterisk_sip.stores.base import gap_from_json
from asterisk_sip.stores.outbox import gap_delivery_id

from .ami_load import calls_coming
from .ami_server import SECRET
from .companions import Program
from .lab.wait import until
from .nats_servers import NatsServers, nats_servers
from .postgres_server import PostgresServer
from .webhook_target import webhook_target

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(300)]

OUTAGE_S = float(os.environ.get("ASTERISK_SIP_TEST_OUTAGE_S", "5"))
PER_SECOND = 200
KILLS = 20
MEMORY_MB = 160  # a companion needs 90, see docs/performance.md

COMPANION = """
[[pbx]]
name = "pbx"

[pbx.ami]
port = {port}
retry_min_s = 0.05
retry_max_s = 0.2

[records]
keep = "all"

[store]
path = "calls.db"
url = "{url}"

[[sink.jsonl]]
name = "lines"
wants = ["failure", "answered", "gap"]
path = "lines.jsonl"

[delivery]
retry_min_s = 0.05
retry_max_s = 0.5
dead_letters = "dead"
"""
STREAM = """
[[sink.nats]]
name = "stream"
wants = ["failure", "answered", "gap"]
servers = {servers}
create = true
replicas = 1
"""
HOOK = """
[[sink.webhook]]
name = "hook"
url = "{url}"
parallel = 16
timeout_s = 1.0
"""


class Kept:
    """What a companion has in its local store, looked at beside it."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "calls.db"

    def count(self) -> int:
        """How many calls."""
        return int(self._rows("SELECT count(*) FROM calls")[0][0]) if self._path.exists() else 0

    def has(self, number: int) -> bool:
        """Whether there are so many calls."""
        return self.count() >= number

    def ids(self, where: str = "TRUE") -> set[str]:
        """The ids of all calls."""
        return {row[0] for row in self._rows(f"SELECT id FROM calls WHERE {where}")}  # noqa: S608  written here

    def gaps(self) -> set[str]:
        """All gaps that are over, each with its end."""
        return {row[0] for row in self._rows("SELECT id || '-' || ended_us FROM gaps WHERE ended_us IS NOT NULL")}

    def known(self, sinks: int) -> bool:
        """Whether every sink has a cursor."""
        return self._path.exists() and len(self._rows("SELECT 1 FROM cursors")) == sinks

    def delivered(self, besides: str = "") -> bool:
        """Whether every sink has everything; ``besides`` is one that is passed over."""
        [(end,)] = self._rows("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'outbox'")
        return all(at == end for sink, at in self._rows("SELECT sink, position FROM cursors") if sink != besides)

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, timeout=30)) as database:
            try:
                return database.execute(query).fetchall()
            except sqlite3.OperationalError:  # it is just being made
                return [(0,)] if "count" in query else []


def lines_of(folder: Path) -> list[dict[str, Any]]:
    path = folder / "lines.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


async def rows_of(postgres: PostgresServer, url: str, query: str) -> list[str]:
    return [row["id"] for row in await postgres.run(query, url)]


async def stream_of(servers: NatsServers) -> list[str]:
    """Return the ids in the stream, in order."""
    client = await nats.connect(f"nats://{servers.addresses[0]}")
    try:
        context = client.jetstream()
        left = (await context.stream_info("asterisk-sip")).state.messages
        subscription = await context.pull_subscribe("asterisk-sip.>", stream="asterisk-sip")
        ids: list[str] = []
        while len(ids) < left:
            for message in await subscription.fetch(1_000, timeout=10):
                ids.append((message.headers or {})["Nats-Msg-Id"])
                await message.ack()
        return ids
    finally:
        await client.close()


def is_past(at: float) -> bool:
    return time.monotonic() >= at


def assert_once_or_marked(lines: list[dict[str, Any]], wanted: set[str]) -> int:
    """Every id is there, and every line behind its first says that it is repeated; return how many are.

    Gaps that a crash made longer are there with their shorter ends too.
    """
    seen: Counter[str] = Counter()
    for line in lines:
        id_ = gap_delivery_id(gap_from_json(line["gap"])) if "gap" in line else line["id"]
        assert not seen[id_] or line.get("repeated") is True, f"{id_} is there twice, not marked"
        seen[id_] += 1
    assert wanted <= {*seen}
    assert {id_.partition("-")[0] for id_ in seen} == {id_.partition("-")[0] for id_ in wanted}
    return sum(number - 1 for number in seen.values())


async def test_killed_twenty_times_under_load_each_sink_has_every_record(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    url = await postgres_server.database()
    kept, draw = Kept(tmp_path), random.Random(20)
    given = {"ASTERISK_SIP_AMI_SECRET": SECRET, "ASTERISK_SIP_STORE_PASSWORD": postgres_server.password}
    with nats_servers() as servers:
        async with calls_coming(PER_SECOND) as pbx:
            config = COMPANION.format(port=pbx.port, url=url) + STREAM.format(servers=json.dumps(servers.addresses))
            async with Program(tmp_path, config, **given) as companion:
                for _ in range(KILLS):
                    await until(lambda: kept.known(sinks=3), "every sink is known")
                    more = kept.count() + draw.randrange(20, 150)
                    await until(partial(kept.has, more), "calls are recorded")
                    await companion.kill()
                    await companion.start()
                await pbx.wait_for_login(KILLS + 1, within_s=60)
                await pbx.quiet()
                await until(kept.delivered, "all is delivered", 60)
                assert await companion.stop() == 0
        published = await stream_of(servers)
    calls, gaps = kept.ids(), kept.gaps()
    assert len(calls) > KILLS * 20
    assert gaps  # one that was not over yet at a kill goes on
    assert sorted(await rows_of(postgres_server, url, "SELECT id FROM calls")) == sorted(calls)
    assert sorted(await rows_of(postgres_server, url, "SELECT id || '-' || ended_us AS id FROM gaps")) == sorted(gaps)
    assert len(published) == len({*published})
    assert calls | gaps <= {*published}
    assert {each.partition("-")[0] for each in published} == calls | {each.partition("-")[0] for each in gaps}
    assert_once_or_marked(lines_of(tmp_path), calls | gaps)
    assert not (tmp_path / "dead").exists()


async def test_postgresql_down_and_a_webhook_that_fails_and_hangs_delay_only_themselves(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    url = await postgres_server.database()
    kept, phase = Kept(tmp_path), {"answer": 200}
    given = {"ASTERISK_SIP_AMI_SECRET": SECRET, "ASTERISK_SIP_STORE_PASSWORD": postgres_server.password}

    def answer(_: object) -> web.Response | None:
        return web.Response(status=phase["answer"]) if phase["answer"] else None

    async with webhook_target(answer) as target, calls_coming(PER_SECOND) as pbx:
        config = COMPANION.format(port=pbx.port, url=url) + HOOK.format(url=target.url)
        async with Program(tmp_path, config, **given) as companion:
            await until(lambda: kept.known(sinks=3), "every sink is known")
            await until(partial(kept.has, PER_SECOND), "calls are recorded")
            await asyncio.to_thread(postgres_server.stop)
            try:
                for phase["answer"] in (500, 0):  # it fails, then it hangs
                    over_at = time.monotonic() + OUTAGE_S / 2
                    lines, posts = len(lines_of(tmp_path)), len(target.posts)
                    await until(partial(is_past, over_at), "the outage lasts", OUTAGE_S + 5)
                    await until(partial(target.has, posts + 1), "the webhook is tried")
                    assert len(lines_of(tmp_path)) > lines  # nobody else waits
            finally:
                await asyncio.to_thread(postgres_server.start)
            phase["answer"] = 200
            await pbx.quiet()
            await until(kept.delivered, "all is delivered", 60 + OUTAGE_S)
            peak_mb = companion.peak_mb
            assert await companion.stop() == 0
    calls = kept.ids()
    assert sorted(await rows_of(postgres_server, url, "SELECT id FROM calls")) == sorted(calls)
    assert assert_once_or_marked(lines_of(tmp_path), calls | kept.gaps()) == 0
    arrived = Counter(post.event["id"] for post in target.posts)
    assert {*arrived} == kept.ids("outcome <> 'answered'")
    assert peak_mb < MEMORY_MB
    assert not (tmp_path / "dead").exists()
