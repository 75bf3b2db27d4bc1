"""Real NATS servers for the tests: one, or a cluster of three, on free ports of this machine."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.lab.errors import NotYetError
from tests.lab.wait import until_blocking

PROGRAM = Path(sys.executable).with_name("nats-server")
READY_S = 60.0
"""Three of them first agree on a leader, each word of it on the disk, which other tests use meanwhile."""

PROGRAMS_S = 20.0


class NatsServer:
    """One server with JetStream. It can be started again after it ended: its files stay."""

    def __init__(self, folder: Path, name: str, ports: tuple[int, int, int], routes: Sequence[int], more: str) -> None:
        self.name = name
        self.address = f"127.0.0.1:{ports[0]}"
        self._monitor = f"http://127.0.0.1:{ports[1]}"
        self._folder = folder / name
        self._folder.mkdir()
        self._process: subprocess.Popen[bytes] | None = None
        self._config = self._folder / "nats.conf"
        cluster = ", ".join(f'"nats://127.0.0.1:{port}"' for port in routes)
        lines = [
            f"server_name: {name}",
            f'listen: "{self.address}"',
            f'http: "127.0.0.1:{ports[1]}"',
            f'jetstream {{ store_dir: "{self._folder}", sync_interval: always }}',
            f'cluster {{ name: lab, listen: "127.0.0.1:{ports[2]}", routes: [{cluster}] }}' if routes else "",
            more,
        ]
        self._config.write_text("\n".join(lines) + "\n")

    def start(self) -> None:
        """Start it; it may take a while until it answers."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen([PROGRAM, "-c", self._config], stdout=log, stderr=log)

    def await_ready(self) -> None:
        """Wait until its JetStream can be used."""
        try:
            until_blocking(self._is_ready, f"{self.name} is ready", READY_S)
        except NotYetError as error:
            raise NotYetError(f"{error}: {self.log()}") from error

    def kill(self) -> None:
        """End it as a loss of power would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it if it runs."""
        self._end(signal.SIGTERM)

    def ask(self, what: str) -> dict[str, Any]:
        """Return what its monitoring tells."""
        with urllib.request.urlopen(f"{self._monitor}/{what}", timeout=5) as answer:  # noqa: S310  our own server
            told: dict[str, Any] = json.loads(answer.read())
            return told

    def log(self) -> str:
        """Return what it logged."""
        path = self._folder / "log"
        return path.read_text() if path.exists() else ""

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log()
        try:
            return self.ask("healthz").get("status") == "ok"
        except OSError:
            return False

    def _end(self, sign: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(sign)
            self._process.wait(PROGRAMS_S)
            self._process = None


class NatsServers:
    """One server, or three that hold copies of what the others hold."""

    def __init__(self, folder: Path, count: int, more: str = "") -> None:
        ports = [(_free_port(), _free_port(), _free_port()) for _ in range(count)]
        routes = [cluster for _, _, cluster in ports] if count > 1 else []
        self.each = [NatsServer(folder, f"n{number}", of, routes, more) for number, of in enumerate(ports, 1)]

    @property
    def addresses(self) -> tuple[str, ...]:
        """Return where they listen."""
        return tuple(server.address for server in self.each)

    def leader_of(self, stream: str) -> NatsServer:
        """Return the server that leads a stream just now."""
        for server in self.each:
            try:
                told = server.ask("jsz?streams=true")
            except OSError:
                continue
            for account in told.get("account_details", []):
                for each in account.get("stream_detail", []):
                    if each["name"] == stream and each.get("cluster", {}).get("leader"):
                        name = each["cluster"]["leader"]
                        return next(one for one in self.each if one.name == name)
        raise AssertionError(f"nobody leads {stream}")


@contextmanager
def nats_servers(count: int = 1, more: str = "") -> Iterator[NatsServers]:
    """Run servers while the context lasts. ``more`` is added to the configuration of each."""
    with tempfile.TemporaryDirectory(prefix="asterisk-sip-nats-", ignore_cleanup_errors=True) as folder:
        servers = NatsServers(Path(folder), count, more)
        try:
            for server in servers.each:
                server.start()
            for server in servers.each:
                server.await_ready()
            yield servers
        finally:
            for server in servers.each:
                server.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
