"""What a stranger or a careless program does to the sockets of the pages: each is shown out, and others are served."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from asterisk_sip.calls.model import Caller, SipStatus
from asterisk_sip.stores.base import Batch
from asterisk_sip.stores.sqlite import SqliteStore
from asterisk_sip.web import live, server
from asterisk_sip.web.app import application
from asterisk_sip.web.server import listen
from asterisk_sip.web.shelf import Shelf
from tests.lab.wait import until

from .call_records import failed
from .web_site import lately

GET = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"


class Site:
    """The application at an address."""

    def __init__(self, app: web.Application, host: str, port: int, store: SqliteStore) -> None:
        self.app = app
        self.host = host
        self.port = port
        self.store = store

    async def raw(self, request: bytes) -> bytes:
        """Send bytes; return all that comes back until the connection is closed."""
        reader, writer = await asyncio.open_connection(self.host, self.port)
        writer.write(request)
        async with asyncio.timeout(20):
            answer = await reader.read()
        writer.close()
        return answer

    async def serves(self) -> bool:
        """Whether an honest reader is answered."""
        async with aiohttp.ClientSession() as session, session.get(f"http://{self.host}:{self.port}/healthz") as answer:
            return answer.status == 200


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    store = SqliteStore(tmp_path / "calls.db")
    await store.open()
    shelf = Shelf(lambda: SqliteStore(tmp_path / "calls.db", readonly=True))
    app = application(shelf)
    runner = await listen(app, "127.0.0.1", 0)
    host, port = runner.addresses[0]
    yield Site(app, host, port, store)
    await runner.cleanup()
    await shelf.close()
    await store.close()


@pytest.mark.parametrize("begun", [b"", GET, b"GET"], ids=["nothing", "a request without its end", "half a word"])
async def test_who_connects_and_asks_nothing_is_shown_out(
    site: Site, begun: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "FIRST_REQUEST_S", 0.2)
    assert await site.raw(begun) == b""
    assert server._silent == {}


async def test_who_comes_and_goes_at_once_is_not_remembered(site: Site) -> None:
    for _ in range(20):
        _, writer = await asyncio.open_connection(site.host, site.port)
        writer.close()
    await until(lambda: server._silent == {}, "nothing to be kept of them", server.FIRST_REQUEST_S / 2)


@pytest.mark.parametrize(
    "request_",
    [
        b"HELO pbx\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
    ids=["no HTTP", "no host", "too long"],
)
async def test_what_cannot_be_understood_is_answered_as_safely_as_anything(site: Site, request_: bytes) -> None:
    head, _, body = (await site.raw(request_)).partition(b"\r\n\r\n")
    assert head.splitlines()[0].split()[1] == b"400"
    for line in (
        b"X-Content-Type-Options: nosniff",
        b"Content-Security-Policy: default-src 'none'",
        b"Cache-Control: ",
    ):
        assert b"\r\n" + line in head
    assert b"aiohttp" not in head
    assert b"application/problem+json" in head
    assert json.loads(body)["status"] == 400
    assert await site.serves()


async def test_a_form_that_does_not_come_is_not_waited_for(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asterisk_sip.web.login._FORM_S", 0.2)
    head = b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
    kind = b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 50\r\n\r\nname="
    assert (await site.raw(head + kind)).startswith(b"HTTP/1.1 408 ")


async def test_one_connection_too_many_is_turned_away_and_the_next_is_served(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MOST_CONNECTIONS", 3)
    held = [await asyncio.open_connection(site.host, site.port) for _ in range(3)]
    assert await site.raw(GET + b"\r\n") == b""
    for _, writer in held:
        writer.close()
    for _ in range(100):
        if await site.raw(GET + b"Connection: close\r\n\r\n"):
            return
        await asyncio.sleep(0.05)
    pytest.fail("nobody is served any more")


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        GET + b"X: " + b"y" * 20_000 + b"\r\n\r\n",
        GET + b"\r\n".join(b"X-%d: y" % number for number in range(500)) + b"\r\n\r\n",
        GET + b"X: a\0b\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        GET + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
        GET + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    ],
    ids=["path", "header", "headers", "null", "tls", "lengths", "smuggled"],
)
async def test_what_is_no_request_is_refused_and_told_in_a_line(
    site: Site, request_: bytes, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "FIRST_REQUEST_S", 1.0)
    assert (await site.raw(request_)).startswith((b"HTTP/1.0 400", b"HTTP/1.1 400"))
    said = capsys.readouterr()
    assert "Traceback" not in said.out + said.err
    assert await site.serves()


@pytest.mark.parametrize("path", ["/static/../api.py", "/static/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "/%00"])
async def test_no_path_leads_to_another_file(site: Site, path: str) -> None:
    answer = await site.raw(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize("path", ["/calls/{id}", "/failures", "/failures.csv", "/live", "/api/v1/calls"])
async def test_half_a_character_breaks_no_answer(site: Site, path: str) -> None:
    odd = "\ud800 half \udcff \u202e \0"
    record = replace(lately(failed(1)), caller=Caller(odd, odd, odd), dialled=odd, account=odd)
    await site.store.write(Batch([record]))
    async with aiohttp.ClientSession() as session:
        url = f"http://{site.host}:{site.port}{path.format(id=record.id)}"
        async with session.get(url, headers={"Accept": "text/html"}) as answer:
            assert answer.status == 200
            assert "half" in await answer.text()


async def test_a_reader_of_the_stream_who_does_not_read_on_loses_its_place(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "WRITE_S", 0.3)
    long = replace(failed(), sip=SipStatus(500, "x" * 60_000, 5))
    for number in range(0, 200, 50):
        calls = [replace(long, id=f"{number + each}") for each in range(50)]
        await site.store.write(Batch(calls))
    with socket.create_connection((site.host, site.port)) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        slow.sendall(b"GET /api/v1/stream?after=0 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        readers = site.app[live.READERS]
        await until(lambda: bool(readers.sending), "the stream is sent")
        await until(lambda: not readers.sending, "the stream is ended")


async def test_one_reader_cannot_take_all_streams(site: Site) -> None:
    url = f"http://{site.host}:{site.port}/api/v1/stream"
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        held = [await session.get(url) for _ in range(live.MOST_OF_ONE)]
        async with session.get(url) as refused:
            assert (refused.status, refused.headers["Retry-After"]) == (503, "30")
        assert all(each.status == 200 for each in held)
        for each in held:
            each.close()
