"""ARI's questions over the websocket itself: the way to ask an Asterisk that connected to us (seen on 22.10.1)."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable
from datetime import datetime

from asterisk_sip.errors import LinkLostError, WireError
from asterisk_sip.sources.ari_stream import Answered

_ANSWER = b'"RESTResponse"'


class Questions:
    """Sends GETs through ``send`` and finds their answers among the frames. An answer has ``timeout_s`` seconds."""

    def __init__(self, send: Callable[[str], Awaitable[None]], timeout_s: float) -> None:
        self._send = send
        self._timeout_s = timeout_s
        self._numbers = itertools.count(1)
        self._waiting: dict[str, asyncio.Future[Answered]] = {}

    async def ask(self, path: str) -> Answered:
        """Ask a GET. Raises LinkLostError when no answer comes, WireError when it is not what it should be."""
        number = str(next(self._numbers))
        waiting: asyncio.Future[Answered] = asyncio.get_running_loop().create_future()
        self._waiting[number] = waiting
        question = {"type": "RESTRequest", "transaction_id": number, "request_id": number, "method": "GET"}
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._send(json.dumps(question | {"uri": path.removeprefix("/")}))
                return await waiting
        except TimeoutError as error:
            raise LinkLostError(f"no answer to GET {path} within {self._timeout_s:g} s") from error
        except ConnectionError as error:
            raise LinkLostError("Asterisk closed the connection") from error
        finally:
            del self._waiting[number]

    def take(self, frame: bytes) -> bool:
        """Take a frame if it is an answer; return whether it was."""
        if _ANSWER not in frame[:200]:
            return False
        try:
            message = json.loads(frame)
            if message["type"] != "RESTResponse":
                return False
            waiting = self._waiting.get(message["request_id"])
            if waiting is not None and not waiting.done():
                _fulfil(waiting, message)
        except (ValueError, LookupError, TypeError, RecursionError):
            return False  # not as Asterisk writes one: the reader counts it
        return True


def _fulfil(waiting: asyncio.Future[Answered], message: dict[str, object]) -> None:
    if message["status_code"] != 200:
        said = f"{message['status_code']} {message.get('reason_phrase', '')}".rstrip()
        waiting.set_exception(WireError(f"Asterisk does not tell: GET {message.get('uri')}: {said}"))
        return
    at = datetime.fromisoformat(str(message["timestamp"])).timestamp()
    waiting.set_result(Answered(at, json.loads(str(message["message_body"]))))
