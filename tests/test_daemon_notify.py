"""What systemd hears of the real program, through a socket as systemd makes it."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from asterisk_sip import daemon_notify

from .ami_server import ScriptedAmi
from .lab.wait import until
from .played import hearing

NAMES = ["a path", "an abstract name"]


@dataclass
class Supervisor:
    """The end of NOTIFY_SOCKET that systemd holds."""

    address: str
    socket: socket.socket
    heard: list[str] = field(default_factory=list)

    def hears(self, line: str) -> bool:
        """Whether a line that begins so has come."""
        while True:
            try:
                self.heard += self.socket.recv(65_536).decode().splitlines()
            except BlockingIOError:
                return any(each.startswith(line) for each in self.heard)


@pytest.fixture(params=NAMES)
def supervisor(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Supervisor]:
    address = str(tmp_path / "notify") if request.param == "a path" else f"@asterisk-sip-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(address.replace("@", "\0") if address.startswith("@") else address)
        listening.setblocking(False)
        yield Supervisor(address, listening)


async def test_systemd_hears_that_it_is_ready_what_it_does_that_it_lives_and_that_it_stops(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    environ = {"NOTIFY_SOCKET": supervisor.address, "WATCHDOG_USEC": "600000"}
    async with ScriptedAmi() as pbx, hearing(pbx, tmp_path, **environ) as site:
        await until(lambda: supervisor.hears("READY=1"), "it is ready")
        await until(lambda: supervisor.hears("STATUS=listening to 1 of 1 PBX"), "what it does")
        await until(lambda: supervisor.hears("WATCHDOG=1") and supervisor.heard.count("WATCHDOG=1") >= 3, "it lives")
        os.kill(site.program.pid, signal.SIGHUP)
        await until(lambda: supervisor.hears("RELOADING=1"), "it reads its configuration again")
        await until(lambda: supervisor.hears("READY=1") and supervisor.heard.count("READY=1") == 2, "it has")
        await pbx.stop()
        await until(lambda: supervisor.hears("STATUS=listening to 0 of 1 PBX; pbx: no PBX is heard"), "the outage")
        assert await site.program.stop() == 0
        assert supervisor.hears("STOPPING=1")
    assert supervisor.heard.index("READY=1") < supervisor.heard.index("STOPPING=1")


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_is_that_of_this_process(
    environ: dict[str, str], expected: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert daemon_notify.watchdog_s() == expected


def test_a_reload_names_the_time_by_the_clock_that_systemd_reads(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", supervisor.address)
    daemon_notify.reloading()
    assert supervisor.hears("MONOTONIC_USEC=")
    assert supervisor.heard[0] == "RELOADING=1"


def test_nobody_listening_is_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/nowhere/at/all")
    daemon_notify.notify("READY=1")
    monkeypatch.delenv("NOTIFY_SOCKET")
    daemon_notify.notify("READY=1")
