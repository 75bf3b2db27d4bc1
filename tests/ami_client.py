"""What the tests of the AMI source share: an impatient client, and a listener that remembers what it was told."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import re
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple, Protocol, TypeVar

from asterisk_sip.calls import events as ev
from asterisk_sip.sources.ami import AmiLink, AmiSettings, AmiSource
from tests.ami_messages import message
from tests.ami_server import SECRET, ScriptedAmi

PATIENT = AmiSettings(
    host="127.0.0.1",
    port=0,
    username="asterisk-sip",
    secret=SECRET,
    connect_timeout_s=10.0,
    login_timeout_s=10.0,
    ping_interval_s=10.0,
    ping_timeout_s=10.0,
    retry_min_s=0.01,
    gather_ms=1,
    retry_max_s=0.02,
    auth_retry_s=60.0,
)
"""Time-outs that no healthy test reaches; a test about one of them makes that one short."""


_SERVERS = re.compile(r"ScriptedAmi\._accept|\._accept_connection2|RequestHandler\.")  # tasks of the server's side


class Up(NamedTuple):
    """The listener was told that the link is up."""

    version: str | None


class Down(NamedTuple):
    """The listener was told that the link is down."""

    reason: str


class Recorder:
    """Remembers all it is told, in order. Raises where ``fails`` says so, after having looked."""

    def __init__(self, fails: Callable[[object], bool] = lambda _: False) -> None:
        self.told: list[ev.Event | Up | Down] = []
        self.bytes_read = 0
        self.reads: list[int] = []
        self.missed: list[tuple[int, str]] = []
        self._fails = fails

    def heard(self, events: list[ev.Event]) -> None:
        self._refuse(events)
        self.told += events

    def link_up(self, version: str | None) -> None:
        self._refuse(Up(version))
        self.told.append(Up(version))

    def link_down(self, reason: str) -> None:
        self._refuse(Down(reason))
        self.told.append(Down(reason))

    def lost(self, count: int, reason: str) -> None:
        self.missed.append((count, reason))

    def raw(self, data: bytes) -> None:
        self._refuse(data)
        self.bytes_read += len(data)
        self.reads.append(len(data))

    def _refuse(self, told: object) -> None:
        if self._fails(told):
            raise RuntimeError("a listener of the test fails")

    @property
    def hung_up(self) -> list[str]:
        """The Uniqueid of each Hangup heard."""
        return [told.channel.uniqueid for told in self.told if isinstance(told, ev.HungUp)]

    @property
    def links(self) -> list[str]:
        """``up`` and ``down`` as told."""
        return ["up" if isinstance(told, Up) else "down" for told in self.told if isinstance(told, Up | Down)]

    def of(self, *kinds: type) -> list[Any]:
        """What was told of these kinds."""
        return [told for told in self.told if isinstance(told, kinds)]


def patient(pbx: ScriptedAmi, **changes: Any) -> AmiSettings:
    """Settings for this server."""
    return dataclasses.replace(PATIENT, **{"host": pbx.host, "port": pbx.port, **changes})


def hangup(uniqueid: str, **headers: str) -> bytes:
    """A Hangup as Asterisk sends it."""
    usual = {
        "Privilege": "call,all",
        "Timestamp": "1793520000.250000",
        "Channel": "PJSIP/träger-00000001",
        "ChannelState": "6",
        "CallerIDNum": "+4930123456",
        "CallerIDName": "Zoë Müller ☎",
        "Uniqueid": uniqueid,
        "Linkedid": uniqueid,
        "Cause": "16",
        "Cause-txt": "Normal Clearing",
    }
    return message(("Event", "Hangup"), *(usual | headers).items())


async def eventually(condition: Callable[[], object], what: str, within_s: float = 60.0) -> None:
    """Wait for a condition; fail when it does not come."""
    try:
        async with asyncio.timeout(within_s):
            while not condition():  # noqa: ASYNC110  a condition may be about anything
                await asyncio.sleep(0.001)
    except TimeoutError:
        raise AssertionError(f"not within {within_s:g} s: {what}") from None


async def until_up(listener: Recorder, count: int = 1) -> None:
    """Wait until the listener was told so many times that the link is up."""
    await eventually(lambda: listener.links.count("up") >= count, f"link up {count}")


@contextlib.asynccontextmanager
async def loop_watched() -> AsyncIterator[None]:
    """Fail when something is left behind: a task, or an exception that nobody took."""
    loop = asyncio.get_running_loop()
    complaints: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    before = asyncio.all_tasks()
    yield
    left = {task for task in asyncio.all_tasks() - before if not _SERVERS.search(repr(task))}
    gc.collect()
    await asyncio.sleep(0)
    loop.set_exception_handler(None)
    assert not left, left
    assert not complaints


class Runs(Protocol):
    """A source."""

    async def run(self) -> None:
        """Listen for ever."""


class Opens(Protocol):
    """A link."""

    async def open(self) -> None:
        """Connect."""

    async def close(self) -> None:
        """Let go."""


S = TypeVar("S", bound=Runs)
L = TypeVar("L", bound=Opens)


def running(settings: AmiSettings, listener: Recorder) -> contextlib.AbstractAsyncContextManager[AmiSource]:
    """A source at work; cancelled at the end. Nothing may be left behind."""
    return at_work(AmiSource("pbx", settings, listener))


@contextlib.asynccontextmanager
async def at_work(source: S) -> AsyncIterator[S]:
    """Run a source; it is cancelled at the end. Nothing may be left behind."""
    async with loop_watched():
        task = asyncio.create_task(source.run(), name="source")
        try:
            yield source
        finally:
            await stop(task)


async def stop(task: asyncio.Task[None]) -> None:
    """Cancel a source and wait for its end."""
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled(), task.exception()


def opened(settings: AmiSettings, listener: Recorder) -> contextlib.AbstractAsyncContextManager[AmiLink]:
    """One logged-in link, closed at the end."""
    return held_open(AmiLink(settings, listener))


@contextlib.asynccontextmanager
async def held_open(link: L) -> AsyncIterator[L]:
    """Open a link; it is closed at the end. Nothing may be left behind."""
    async with loop_watched():
        try:
            await link.open()
            yield link
        finally:
            await link.close()
