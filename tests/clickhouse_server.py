"""ClickHouse for the tests: the engine itself, as PyPI has it (chDB), behind as much of its HTTP interface as is used.

The engine is ClickHouse's own code; what is ours is the door: users and passwords, one statement a request, errors with
their codes. It runs in a process of its own, so that it can be killed.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from tests.postgres_server import free_port

DEADLINE_S = 60.0
USER = "asterisk_sip"
_PASSWORD = "CLICKHOUSE_PASSWORD"
_CODE_HEADER = "X-ClickHouse-Exception-Code"
_LARGEST = 64 << 20
_CODE = re.compile(r"Code: (\d+)\.")
_NOT_SETTINGS = {"query", "database", "default_format", "user", "password", "wait_end_of_query", "compress", "query_id"}


class ClickHouseServer:
    """Starts and stops the server. Only this machine reaches it, and only by password."""

    def __init__(self, folder: Path) -> None:
        self.password = secrets.token_urlsafe(16)
        self._folder = folder
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = count(1)

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(self._folder / "data"), str(self._port)],
                env=os.environ | {_PASSWORD: self.password},
                stdout=log,
                stderr=log,
            )
        asyncio.run(self._answers())

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Stop the server: connections are cut, what was written is kept."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(DEADLINE_S)
            self._process = None

    def kill(self) -> None:
        """Stop the server as a loss of power would, as far as a process can."""
        self.stop(signal.SIGKILL)

    def url(self, database: str = "default", user: str = USER) -> str:
        """Return where a database is."""
        return f"clickhouse://{user}@127.0.0.1:{self._port}/{database}"

    async def database(self) -> str:
        """Make a new, empty database, and return its URL."""
        name = f"calls_{next(self._numbers)}"
        await self.run(f"CREATE DATABASE {name}", self.url())
        return self.url(name)

    async def run(self, sql: str, url: str) -> list[dict[str, Any]]:
        """Run a statement by itself, and return its rows. Raises LookupError when there is no such table."""
        parameters = {
            "database": url.rpartition("/")[2],
            "default_format": "JSONEachRow",
            "output_format_json_quote_64bit_integers": "0",
        }
        async with (
            aiohttp.ClientSession(headers={"Authorization": _basic(self.password)}) as session,
            session.post(f"http://127.0.0.1:{self._port}/", params=parameters, data=sql.encode()) as answer,
        ):
            text = await answer.text()
            if answer.headers.get(_CODE_HEADER) == "60":
                raise LookupError(text)
            assert answer.status == 200, text
            return [json.loads(line) for line in text.split("\n") if line]

    async def _answers(self) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while True:
            try:
                await self.run("SELECT 1", self.url())
            except OSError:
                assert self._process is not None
                assert self._process.poll() is None, (self._folder / "log").read_text()
                assert time.monotonic() < deadline, (self._folder / "log").read_text()
                await asyncio.sleep(0.05)
            else:
                return


@contextmanager
def running() -> Iterator[ClickHouseServer]:
    """Run a server while the context lasts."""
    with tempfile.TemporaryDirectory(prefix="asterisk-sip-clickhouse-", ignore_cleanup_errors=True) as folder:
        server = ClickHouseServer(Path(folder))
        try:
            server.start()
            yield server
        finally:
            server.kill()


def _basic(password: str) -> str:
    return f"Basic {base64.b64encode(f'{USER}:{password}'.encode()).decode()}"


# What runs in the process


class _Engine:
    """The one engine of a process. Statements come one after the other, each with the settings of its request."""

    def __init__(self, folder: str) -> None:
        import chdb  # noqa: PLC0415  # large: the tests themselves need none of it

        self._connection = chdb.connect(folder)

    def answer(self, sql: str, format_: str, database: str, settings: dict[str, str]) -> bytes:
        """Run a statement. Raises RuntimeError with the engine's own words."""
        try:
            self._connection.query(f"USE {database}")
            for name, value in settings.items():
                self._connection.query(f"SET {name} = '{value}'")
            result = self._connection.query(sql, format_)
            return bytes(result.bytes() or b"")
        finally:
            for name in settings:
                self._connection.query(f"SET {name} = DEFAULT")


def _refused(code: int, text: str, status: int = 500) -> web.Response:
    said = f"Code: {code}. DB::Exception: {text}"
    return web.Response(status=status, text=said, headers={_CODE_HEADER: str(code)})


def _application(folder: str, password: str) -> web.Application:
    engine = _Engine(folder)
    turn = asyncio.Lock()

    async def answer(request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != _basic(password):
            return _refused(516, "Authentication failed: password is incorrect. (AUTHENTICATION_FAILED)", 403)
        asked = request.query
        sql = f"{asked.get('query', '')}\n{(await request.read()).decode()}".strip()
        settings = {name: value for name, value in asked.items() if name not in _NOT_SETTINGS}
        where = asked.get("database", "default")
        async with turn:
            try:
                body = await asyncio.to_thread(
                    engine.answer, sql, asked.get("default_format", "TabSeparated"), where, settings
                )
            except RuntimeError as error:
                found = _CODE.search(str(error))
                return _refused(int(found[1]) if found else 1, str(error).partition("DB::Exception: ")[2])
        return web.Response(body=body, headers={"X-ClickHouse-Summary": "{}"})

    application = web.Application(client_max_size=_LARGEST)
    application.router.add_route("*", "/", answer)
    application.cleanup_ctx.append(_as_long_as_its_parent)
    return application


async def _as_long_as_its_parent(_: web.Application) -> AsyncIterator[None]:
    """End with the tests, also when they are killed."""
    parent = os.getppid()

    async def watch() -> None:
        while os.getppid() == parent:  # noqa: ASYNC110  # nobody tells of it
            await asyncio.sleep(1.0)
        os.kill(os.getpid(), signal.SIGTERM)

    watching = asyncio.create_task(watch())
    yield
    watching.cancel()


if __name__ == "__main__":
    web.run_app(
        _application(sys.argv[1], os.environ[_PASSWORD]), host="127.0.0.1", port=int(sys.argv[2]), print=lambda *_: None
    )
