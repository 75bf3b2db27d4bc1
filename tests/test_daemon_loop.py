"""A name server that does not answer holds up who asks it, and nobody else."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from asterisk_sip import daemon_loop

HANGS = "hangs.invalid"


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A name server that does not answer for one name until this is set."""
    answer, real = threading.Event(), socket.getaddrinfo

    def asked(host: Any, *more: Any, **named: Any) -> Any:
        if host == HANGS:
            answer.wait(60)
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return real(host, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", asked)
    yield answer
    answer.set()


def test_what_needs_no_name_goes_on_while_names_hang(answer: threading.Event) -> None:
    """As many as the pool that all share has threads, and more; then the program ends without waiting for them."""

    async def work() -> list[str]:
        loop = asyncio.get_running_loop()
        hanging = [asyncio.create_task(loop.getaddrinfo(HANGS, 80)) for _ in range(daemon_loop.MOST_LOOKUPS - 1)]
        await asyncio.sleep(0)
        async with asyncio.timeout(30):
            told = [await asyncio.to_thread(str, "a file was written")]
            told += [str(found[4][0]) for found in await loop.getaddrinfo("127.0.0.1", 80, type=socket.SOCK_STREAM)]
        assert not any(task.done() for task in hanging)
        return told

    assert daemon_loop.run(work()) == ["a file was written", "127.0.0.1"]
    assert not answer.is_set()


def test_more_names_at_once_wait_their_turn_and_all_are_answered(answer: threading.Event) -> None:
    async def work() -> list[Any]:
        loop = asyncio.get_running_loop()
        asked = [loop.getaddrinfo(HANGS, 80) for _ in range(daemon_loop.MOST_LOOKUPS + 5)]
        loop.call_soon(answer.set)
        return await asyncio.gather(*asked, return_exceptions=True)

    assert {type(each) for each in daemon_loop.run(work())} == {socket.gaierror}
