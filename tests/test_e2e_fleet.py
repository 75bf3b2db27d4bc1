"""A fleet: companions publish to a cluster, collectors write into one database. Nothing lost, nothing twice."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import aiohttp
import asyncpg
import nats
import pytest

from asterisk_sip.nats_link import NatsSettings
from asterisk_sip.sinks.base import KINDS
from asterisk_sip.sinks.courier import Courier
from asterisk_sip.sinks.couriers import Couriers
from asterisk_sip.sinks.dead_letters import DeadLetters
from asterisk_sip.sinks.hand_over import Patience
from asterisk_sip.sinks.nats import NatsSink, NatsSinkSettings, StreamSettings
from asterisk_sip.stores.base import Batch, Gap
from asterisk_sip.stores.sqlite import SqliteStore

from .call_records import BEGAN, answered, batches, failed
from .clickhouse_server import ClickHouseServer
from .companions import Program
from .e2e import command
from .lab.errors import NotYetError
from .lab.wait import until
from .nats_servers import NatsServers, nats_servers
from .played import free_port
from .postgres_server import PostgresServer
from .store_engines import ENGINES

DatabaseServer = PostgresServer | ClickHouseServer

COLLECTOR = """
[collector]
servers = {servers}
ack_wait_s = 5

[store]
{store}

[delivery]
retry_min_s = 0.05
retry_max_s = 0.5
dead_letters = "dead"
"""


async def readiness(port: int) -> list[str]:
    """The parts that keep a program from being ready, as soon as it answers."""
    async with asyncio.timeout(20), aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(f"http://127.0.0.1:{port}/readyz") as response:
                    told = await response.json()
            except aiohttp.ClientError:
                await asyncio.sleep(0.05)
            else:
                assert response.status == (503 if told["reasons"] else 200)
                return [reason["part"] for reason in told["reasons"]]


WAITING = "nothing is collected; companions keep what they record"


def collector(folder: Path, servers: NatsServers, store: str, name: str = "collector", **environ: str) -> Program:
    return Program(folder, COLLECTOR.format(servers=json.dumps(servers.addresses), store=store), name, **environ)


def publishing(servers: NatsServers, store: SqliteStore, replicas: int) -> Couriers:
    settings = NatsSinkSettings(
        NatsSettings(servers.addresses),
        frozenset(KINDS),
        StreamSettings(create=True, replicas=replicas),
        ack_timeout_s=3.0,
    )
    dead = DeadLetters(store.path.parent / "dead")
    return Couriers([Courier("fleet", NatsSink(settings), store, dead, Patience(20.0, 0.05, 0.5))], store)


@pytest.fixture(params=ENGINES[1:])
def database_server(request: pytest.FixtureRequest) -> DatabaseServer:
    server: DatabaseServer = request.getfixturevalue(f"{request.param}_server")
    return server


@pytest.fixture
def cluster() -> Iterator[NatsServers]:
    """Three servers of this test's own: a stream knows the ids of another's records again, and drops them."""
    with nats_servers(3) as servers:
        yield servers


async def counted(server: DatabaseServer, url: str, what: str) -> int:
    try:
        [row] = await server.run(f"SELECT {what}", url)
    except (asyncpg.UndefinedTableError, LookupError):  # no collector has made it yet
        return -1
    return int(row["n"])


async def collected(server: DatabaseServer, url: str, number: int, programs: list[Program]) -> None:
    """Wait until so many calls are in the database."""
    found, deadline = -1, time.monotonic() + 60
    while found < number:
        found = await counted(server, url, "count(DISTINCT id) AS n FROM calls")
        if time.monotonic() > deadline:
            logs = "\n".join(program.log.read_text() for program in programs)
            raise NotYetError(f"{found} calls of {number} are in the database\n{logs}")
        await asyncio.sleep(0.1)


async def test_the_leader_and_the_database_killed_under_load_every_record_is_there_once(
    cluster: NatsServers, database_server: DatabaseServer, tmp_path: Path
) -> None:
    url = await database_server.database()
    count = 100 if isinstance(database_server, PostgresServer) else 30  # batches of a hundred
    given = {"ASTERISK_SIP_STORE_PASSWORD": database_server.password}
    store = SqliteStore(tmp_path / "calls.db", delivers=True)
    await store.open()
    couriers = publishing(cluster, store, replicas=3)
    [courier] = couriers.couriers
    await store.move_cursor("fleet", await store.cursor("fleet"))
    programs = [collector(tmp_path, cluster, f'url = "{url}"', name, **given) for name in ("one", "two")]
    async with programs[0], programs[1]:
        couriers.start()
        for number, batch in enumerate(batches(count, 100)):
            await store.write(batch)
            couriers.wake()
            if number == count // 2:
                await until(lambda: courier.progress.delivered >= 1_000, "records are on their way")
                leader = await asyncio.to_thread(cluster.leader_of, "asterisk-sip")
                leader.kill()
        await asyncio.to_thread(database_server.kill)
        await until(lambda: courier.position >= count * 100, "all published, whatever the database does", 60)
        await asyncio.to_thread(database_server.start)
        await couriers.stop(10)
        await collected(database_server, url, count * 100, programs)
        leader.start()
        await asyncio.to_thread(leader.await_ready)
        assert await programs[0].stop() == 0
        assert await programs[1].stop() == 0
    await store.close()
    if isinstance(database_server, PostgresServer):
        assert await counted(database_server, url, "count(*) AS n FROM calls") == count * 100
    assert await counted(database_server, url, "count(DISTINCT id) AS n FROM calls") == count * 100
    assert await counted(database_server, url, "sum(total) AS n FROM totals WHERE counted = 'calls'") == count * 100
    assert await counted(database_server, url, "sum(total) AS n FROM totals WHERE counted = 'attempts'") == count * 100
    assert not (tmp_path / "dead").exists()


async def test_a_collector_killed_and_a_message_that_is_no_record(tmp_path: Path) -> None:
    with nats_servers() as servers:
        store = SqliteStore(tmp_path / "calls.db", delivers=True)
        await store.open()
        couriers = publishing(servers, store, replicas=1)
        await store.move_cursor("fleet", await store.cursor("fleet"))
        couriers.start()
        gap = Gap("gap-1", "pbx", "ami", BEGAN, BEGAN + timedelta(seconds=3), "reset")
        await store.write(Batch([failed(1), answered(2), failed(3)], gaps=[gap]))
        await couriers.stop(10)
        await store.close()
        client = await nats.connect(f"nats://{servers.addresses[0]}")
        await client.jetstream().publish("asterisk-sip.pbx.failed", b"\xff no record")
        await client.close()
        program = collector(tmp_path / "far", servers, 'path = "fleet.db"')
        for _ in range(3):  # it is killed at once, whatever it does just then
            await program.start()
            await until(lambda: program.log.exists() and (tmp_path / "far" / "fleet.db").exists(), "it runs")
            await program.kill()
        async with program:
            letters = tmp_path / "far" / "dead" / "store.jsonl"
            await until(letters.exists, "what is no record is put aside")
            await program.says("collecting")
            fleet = SqliteStore(tmp_path / "far" / "fleet.db", readonly=True)
            await fleet.open()
            assert [record.id for _, record in await fleet.after(0, 10)] == [failed(1).id, failed(3).id]
            assert [each.id for each in await fleet.gaps(BEGAN, BEGAN + timedelta(days=1))] == ["gap-1"]
            await fleet.close()
            assert await program.stop() == 0
        assert json.loads(letters.read_text().splitlines()[0])["record"] == "\N{REPLACEMENT CHARACTER} no record"


async def test_a_collector_waits_for_the_stream_and_says_so_once_whenever_it_is_not_there(tmp_path: Path) -> None:
    port = free_port()
    with nats_servers() as servers:
        environ = {"ASTERISK_SIP__WEB__PORT": str(port)}
        async with collector(tmp_path, servers, 'path = "fleet.db"', **environ) as program:
            client = await nats.connect(f"nats://{servers.addresses[0]}")
            context = client.jetstream()
            for times in (1, 2):
                await program.says(WAITING, times)
                assert await readiness(port) == ["collector"]
                await context.add_stream(name="asterisk-sip", subjects=["asterisk-sip.>"])
                await program.says("collecting", times)
                assert await readiness(port) == []
                await context.delete_stream("asterisk-sip")
            await client.close()
            assert await program.stop() == 0
        told = [each["reason"] for each in program.logged(WAITING)]
    assert len(told) in (2, 3)  # it may have noticed the end of the second one
    assert told[0] == "there is no stream asterisk-sip yet"
    assert not [reason for reason in told if "None" in reason or "Error" in reason]


async def test_check_looks_at_the_stream_of_a_collector(tmp_path: Path) -> None:
    config = tmp_path / "collector.toml"
    with nats_servers() as servers:
        config.write_text(COLLECTOR.format(servers=json.dumps(servers.addresses), store='path = "fleet.db"'))
        none = await command("check", "--config", str(config))
        client = await nats.connect(f"nats://{servers.addresses[0]}")
        await client.jetstream().add_stream(name="asterisk-sip", subjects=["asterisk-sip.>"])
        await client.close()
        there = await command("check", "--config", str(config), "--json")
    away = await command("check", "--config", str(config))
    assert (none.code, there.code, away.code) == (1, 0, 1)
    assert "there is no stream asterisk-sip" in none.out
    assert json.loads(there.out)["streams"] == [
        {"level": "ok", "text": "collector: the stream asterisk-sip is there; messages: 0, replicas: 1"}
    ]
    assert "NATS cannot be used" in away.out
