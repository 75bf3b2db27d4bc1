"""A small AMI client of the lab's own, and a recorder of raw bytes: an independent witness of what Asterisk says."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import ssl
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Self

from tests.lab.errors import AmiError
from tests.lab.wait import until

Message = dict[str, list[str]]

END = b"\r\n\r\n"
RESPONSE_WITHIN_S = 60.0


def parse(block: bytes) -> Message:
    """Read one message: every header with its values in order."""
    message: Message = {}
    for line in block.decode("utf-8", "surrogateescape").split("\r\n"):
        key, colon, value = line.partition(":")
        if colon:
            message.setdefault(key, []).append(value.removeprefix(" "))
    return message


def first(message: Message, key: str) -> str:
    """Give the first value of a header, or an empty text."""
    return message.get(key, [""])[0]


class AmiClient:
    """One logged-in connection: sends actions, keeps every event in ``events``, and the raw bytes if asked."""

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None = None, server_name: str | None = None) -> None:
        self.host = host
        self.port = port
        self.tls = tls
        self.server_name = server_name
        self.banner = ""
        self.events: list[Message] = []
        self.counts: Counter[str] = Counter()
        self.closed = False
        self._numbers = itertools.count(1)
        self._pending: dict[str, asyncio.Future[Message]] = {}
        self._lists: dict[str, list[Message]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None

    async def connect(self, user: str, secret: str, events: str = "on") -> Self:
        """Connect and log in; ``events`` is what to hear: on, off, or classes joined by commas."""
        reader, self._writer = await asyncio.open_connection(
            self.host, self.port, ssl=self.tls, server_hostname=self.server_name if self.tls else None, limit=2**20
        )
        self._reading = asyncio.create_task(self._read(reader))
        await self.action("Login", Username=user, Secret=secret, Events=events)
        return self

    async def action(self, name: str, /, **fields: str) -> Message:
        """Send an action and give its response; raise AmiError when Asterisk says Error, or nothing for 10 s."""
        assert self._writer is not None
        action_id = fields.setdefault("ActionID", f"lab-{next(self._numbers)}")
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._pending[action_id] = answer
        lines = [f"Action: {name}", *(f"{key}: {value}" for key, value in fields.items())]
        self._writer.write("\r\n".join(lines).encode() + END)
        try:
            response = await asyncio.wait_for(answer, RESPONSE_WITHIN_S)
        except TimeoutError:
            raise AmiError(f"{name}: no response within {RESPONSE_WITHIN_S:g} s") from None
        finally:
            self._pending.pop(action_id, None)
        if first(response, "Response") == "Error":
            raise AmiError(f"{name}: {first(response, 'Message')}")
        return response

    async def listing(self, name: str, /, **fields: str) -> list[Message]:
        """Send an action that answers with a list, and give its items."""
        with self._answers() as (action_id, items):
            await self.action(name, ActionID=action_id, **fields)
            await until(lambda: items and first(items[-1], "EventList") == "Complete", f"end of the list of {name}")
            return items[:-1]

    async def originate(self, channel: str, exten: str, *, timeout_s: float = 30.0, context: str = "lab") -> Message:
        """Dial ``channel`` and send it to ``exten`` when it answers; give the OriginateResponse (needs class call)."""
        with self._answers() as (action_id, answers):
            fields = {"Channel": channel, "Context": context, "Exten": exten, "Priority": "1", "Async": "true"}
            await self.action("Originate", ActionID=action_id, Timeout=str(int(timeout_s * 1000)), **fields)
            await until(lambda: answers, "OriginateResponse", timeout_s + 40)
            return answers[0]

    async def close(self) -> None:
        """Log off and let go."""
        if self._reading is not None:
            self._reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reading
        if self._writer is not None:
            self._writer.close()
            with contextlib.suppress(OSError):
                await self._writer.wait_closed()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def received(self, data: bytes) -> None:
        """Take the bytes as they came; the recorder writes them down."""

    @contextlib.contextmanager
    def _answers(self) -> Iterator[tuple[str, list[Message]]]:
        """Collect the events that answer an action, under an ActionID of their own."""
        action_id = f"list-{next(self._numbers)}"
        self._lists[action_id] = []
        try:
            yield action_id, self._lists[action_id]
        finally:
            del self._lists[action_id]

    async def _read(self, reader: asyncio.StreamReader) -> None:
        buffer = b""
        while data := await reader.read(65536):
            self.received(data)
            buffer += data
            if not self.banner:
                if b"\r\n" not in buffer:
                    continue
                banner, _, buffer = buffer.partition(b"\r\n")
                self.banner = banner.decode()
            *blocks, buffer = buffer.split(END)
            for block in blocks:
                self._take(parse(block))
        self.closed = True

    def _take(self, message: Message) -> None:
        action_id = first(message, "ActionID")
        if "Response" in message and "Event" not in message:
            answer = self._pending.pop(action_id, None)
            if answer is not None and not answer.done():
                answer.set_result(message)
            return
        if action_id in self._lists:
            self._lists[action_id].append(message)
            return
        self.counts[first(message, "Event")] += 1
        self.events.append(message)


class Recorder(AmiClient):
    """A connection that appends every byte received to a file, banner included."""

    def __init__(self, host: str, port: int, path: Path) -> None:
        super().__init__(host, port)
        self.path = path
        self.size = 0
        self._file: BinaryIO = path.open("wb")

    def received(self, data: bytes) -> None:
        self.size += self._file.write(data)

    @property
    def quiet(self) -> bool:
        """Whether every channel that came has gone: what Asterisk has not told of yet is no silence."""
        return 0 < self.counts["Newchannel"] == self.counts["Hangup"]

    async def close(self) -> None:
        """Log off and close the file."""
        await super().close()
        self._file.close()
