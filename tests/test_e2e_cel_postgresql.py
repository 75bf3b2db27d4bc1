"""CEL in PostgreSQL, as Asterisk's own cel_pgsql writes it into tables as different installations have them."""

from __future__ import annotations

import asyncio
import time
from urllib.parse import urlsplit

import pytest

from asterisk_sip.check import Doors, look_at
from asterisk_sip.check_remark import Level
from asterisk_sip.config_files import shipped
from asterisk_sip.errors import LinkLostError, WireError
from asterisk_sip.sources.backfill import CelSettings, newest_rows, read_rows
from asterisk_sip.sources.cel_calls_wire import calls_from_cel
from tests.lab.asterisk import Asterisk
from tests.lab.fixtures import need_roots
from tests.lab.lab import Lab
from tests.lab.options import PbxOptions, Release
from tests.postgres_server import USER, PostgresServer

pytestmark = pytest.mark.lab

TABLE = """CREATE TABLE cel (id bigserial PRIMARY KEY, eventtype {kind}, eventtime {time}, userdeftype varchar(255),
cid_name varchar(80), cid_num varchar(80), cid_ani varchar(80), cid_rdnis varchar(80), cid_dnid varchar(80),
exten varchar(80), context varchar(80), channame varchar(80), appname varchar(80), appdata varchar(80), amaflags int,
accountcode varchar(20), peeraccount varchar(20), uniqueid varchar(150), linkedid varchar(150), userfield varchar(255),
peer varchar(80), extra text)"""

CEL_PGSQL = """
[global]
hostname = 127.0.0.1
port = {port}
dbname = {database}
user = {user}
password = {password}
table = cel
"""


@pytest.mark.parametrize(
    ("release", "kind", "moment"),
    [("22", "varchar(30)", "timestamp"), ("22", "integer", "timestamptz"), ("16", "varchar(30)", "timestamptz")],
)
async def test_calls_are_read_as_cel_pgsql_writes_them(
    postgres_server: PostgresServer, release: Release, kind: str, moment: str
) -> None:
    need_roots(release)
    server = postgres_server
    url = await server.database()
    await server.run(TABLE.format(kind=kind, time=moment), url)
    parts = urlsplit(url)
    conf = CEL_PGSQL.format(port=parts.port, database=parts.path[1:], user=USER, password=server.password)
    extra = {"cel.conf": shipped("asterisk/cel.conf").read_text(), "cel_pgsql.conf": conf}
    settings = CelSettings("postgresql", url=url, password=server.password)
    began = time.time()
    with Asterisk(PbxOptions(release, extra=extra, modules=("cel_pgsql.so",))) as pbx:
        async with Lab(pbx) as lab:
            await lab.caller.call("trunk.acme.608")
            await lab.caller.call("failover.503.486")
            await lab.idle()
            await all_there(server, url)
    rows = await read_rows(settings, began, time.time())
    assert rows == await newest_rows(settings)
    assert not await read_rows(settings, began - 100, began - 1)
    calls = calls_from_cel(rows, began, time.time())
    assert len(calls) == 2
    assert {row.cause for row in rows if row.kind == "HANGUP" and row.channel.startswith("PJSIP/acme")} == {127, 34}
    report = await look_at(Doors("pbx1", cel=settings), 0.1)
    assert [remark.level for remark in report.remarks] == [Level.OK]


async def all_there(server: PostgresServer, url: str) -> None:
    """Wait until the log has seen the end of both calls."""
    ended = 0
    async with asyncio.timeout(10):
        while ended < 2:
            [row] = await server.run("SELECT count(*) FROM cel WHERE eventtype::text IN ('LINKEDID_END', '14')", url)
            ended = row["count"]


async def test_what_hinders_reading_is_told_without_the_password(postgres_server: PostgresServer) -> None:
    async def told(settings: CelSettings) -> str:
        with pytest.raises((LinkLostError, WireError)) as error:
            await read_rows(settings, 0.0, 1.0)
        assert "hush" not in str(error.value)
        return str(error.value)

    url, password = await postgres_server.database(), postgres_server.password
    assert "password authentication failed" in await told(CelSettings("postgresql", url=url, password="hush"))
    right = CelSettings("postgresql", url=url, password=password)
    assert 'relation "cel" does not exist' in await told(right)
    await postgres_server.run("CREATE TABLE cel (eventtype text, eventtime text, channame text, uniqueid text)", url)
    assert "has no column linkedid" in await told(right)
    nobody = CelSettings("postgresql", url="postgresql://a@127.0.0.1:1/b", password=password)
    assert "127.0.0.1:1/b" in await told(nobody)
