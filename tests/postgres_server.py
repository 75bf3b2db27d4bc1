"""A real PostgreSQL for the tests: its own cluster in a folder of its own, on a free port of this machine."""

from __future__ import annotations

import asyncio
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg

from asterisk_sip.stores.postgres import PostgresStore
from tests.call_records import fill

DEADLINE_S = 60.0
USER = "asterisk_sip"
INSTALLED = Path("/usr/lib/postgresql")  # where Debian puts each release


class PostgresServer:
    """Starts and stops PostgreSQL. Only this machine reaches it, and only by password."""

    def __init__(self, folder: Path) -> None:
        self.password = secrets.token_urlsafe(16)
        self._folder = folder
        self._as_user = _unprivileged()
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = count(1)

    def make(self) -> None:
        """Make the cluster."""
        if self._as_user is not None:
            shutil.chown(self._folder, self._as_user, pwd.getpwnam(self._as_user).pw_gid)
        password = self._folder / "password"
        password.write_text(self.password)
        if self._as_user is not None:
            shutil.chown(password, self._as_user)
        password.chmod(0o600)
        options = ["--no-sync", "--auth=scram-sha-256", f"--pwfile={password}", f"--username={USER}", "--encoding=UTF8"]
        self._run("initdb", "-D", str(self._folder / "data"), *options, "--locale=C.UTF-8").wait(DEADLINE_S)
        password.unlink()

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "port": str(self._port),
            "max_connections": "50",
        }
        options = [text for key, value in settings.items() for text in ("-c", f"{key}={value}")]
        self._process = self._run("postgres", "-D", str(self._folder / "data"), *options)
        asyncio.run(self._answers())

    def stop(self) -> None:
        """Stop the server: connections are cut, what was committed is kept."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(DEADLINE_S)
            self._process = None

    def kill(self) -> None:
        """Stop the server as a loss of power would, as far as a process can."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(DEADLINE_S)
            self._process = None

    def url(self, database: str = "postgres", user: str = USER) -> str:
        """Return where a database is."""
        return f"postgresql://{user}@127.0.0.1:{self._port}/{database}"

    async def database(self) -> str:
        """Make a new, empty database, and return its URL."""
        name = f"calls_{next(self._numbers)}"
        await self.run(f"CREATE DATABASE {name}", self.url())
        return self.url(name)

    async def run(self, sql: str, url: str) -> list[dict[str, Any]]:
        """Run a statement in a connection of its own, and return its rows."""
        connection = await asyncpg.connect(url, password=self.password)
        try:
            return [dict(row) for row in await connection.fetch(sql)]
        finally:
            await connection.close()

    async def restore(self, dump: str, url: str) -> None:
        """Make what ``dump`` returned in an empty database."""
        connection = await asyncpg.connect(url, password=self.password)
        try:
            await connection.execute(dump)
        finally:
            await connection.close()

    def dump(self, url: str) -> str:
        """Return a database as SQL that makes it anew."""
        options = ["--no-owner", "--no-privileges", "--inserts", "--no-comments", url]
        environ = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "PGPASSWORD": self.password}
        command = [str(_programs() / "pg_dump"), *options]
        text = subprocess.run(command, env=environ, capture_output=True, text=True, check=True).stdout
        # What is left out is for psql alone, or not known to every release.
        lines = [
            line for line in text.splitlines() if not line.startswith(("\\", "--", "SET ", "SELECT pg_catalog.set_c"))
        ]
        return "\n".join(line for line in lines if line) + "\n"

    async def _answers(self) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while True:
            try:
                await self.run("SELECT 1", self.url())
            except (OSError, asyncpg.CannotConnectNowError):
                assert self._process is not None
                assert self._process.poll() is None, (self._folder / "log").read_text()
                assert time.monotonic() < deadline, (self._folder / "log").read_text()
                await asyncio.sleep(0.05)
            else:
                return

    def _run(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(
                [_programs() / program, *arguments],
                user=self._as_user,
                group=None if self._as_user is None else pwd.getpwnam(self._as_user).pw_gid,
                extra_groups=None if self._as_user is None else [],
                cwd=self._folder,
                env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
                stdout=log,
                stderr=log,
            )


@contextmanager
def running() -> Iterator[PostgresServer]:
    """Run a server while the context lasts."""
    with tempfile.TemporaryDirectory(prefix="asterisk-sip-postgres-", ignore_cleanup_errors=True) as folder:
        server = PostgresServer(Path(folder))
        server.make()
        try:
            server.start()
            yield server
        finally:
            server.stop()


def _programs() -> Path:
    releases = sorted((path for path in INSTALLED.glob("*/bin") if path.parent.name.isdigit()), key=_release)
    assert releases, "PostgreSQL is not installed: scripts/debian-packages.sh test"
    return releases[-1]


def _release(programs: Path) -> int:
    return int(programs.parent.name)


def _unprivileged() -> str | None:
    """Return the user to run as: PostgreSQL refuses to run as root."""
    return "nobody" if os.getuid() == 0 else None


def free_port() -> int:
    """Return a port of this machine that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _write_database(path: Path) -> None:
    """Write what tests/databases holds of PostgreSQL: as ``call_records`` does for SQLite."""
    with running() as server:
        url = asyncio.run(server.database())
        asyncio.run(fill(PostgresStore(url, server.password)))
        path.write_text(server.dump(url))


if __name__ == "__main__":
    _write_database(Path(sys.argv[1]))
