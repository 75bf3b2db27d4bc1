"""A trunk or phone of the lab: listens on loopback over UDP and TCP and does what its scripts say."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Self, cast

from tests.lab import sip_message as sip
from tests.lab.sip_message import SipMessage
from tests.lab.sip_phrases import PHRASES
from tests.lab.sip_script import SILENT, Reply, Script, usual
from tests.lab.wait import until

Send = Callable[[bytes], None]

RETRANSMIT_S = (0.5, 1.0, 2.0, 4.0, 4.0, 4.0, 4.0)
LENGTH = re.compile(rb"\r\n(?:content-length|l)\s*:\s*(\d+)", re.IGNORECASE)


@dataclass(slots=True, eq=False)
class PeerCall:
    """One call as the peer saw it."""

    user: str
    invite: SipMessage
    script: Script
    send: Send
    reliable: bool
    tag: str = field(default_factory=sip.token)
    sent: list[int] = field(default_factory=list)  # every status sent, in order
    last: bytes = b""  # what a retransmitted INVITE gets again
    acked: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: bool = False
    ended_by: str = ""  # "peer" or "pbx" once an answered call is over
    cancel_reasons: list[str] = field(default_factory=list)
    bye_reasons: list[str] = field(default_factory=list)
    retransmissions: int = 0
    cseq: int = 0  # of the last request the peer sent
    task: asyncio.Task[None] | None = None

    @property
    def final(self) -> int | None:
        """The final status sent, None while there is none."""
        return next((status for status in self.sent if status >= 200), None)

    @property
    def going_on(self) -> bool:
        """Whether the PBX may still say something about this call."""
        return (self.final == 200 and not self.ended_by) or (self.task is not None and not self.task.done())


class SipPeer:
    """One peer: ``async with SipPeer(host, port) as acme``. ``scripts`` is read anew at each call."""

    def __init__(self, host: str, port: int, role: str = "acme", *, deaf: bool = False) -> None:
        self.host = host
        self.port = port
        self.role = role
        self.deaf = deaf  # receives, and never says anything
        self.scripts: dict[str, Script] = {}
        self.calls: list[PeerCall] = []
        self.requests: Counter[str] = Counter()
        self._by_id: dict[str, PeerCall] = {}
        self._waiting: dict[str, asyncio.Event] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._streams: set[asyncio.StreamWriter] = set()
        self._udp: asyncio.DatagramTransport | None = None
        self._tcp: asyncio.Server | None = None

    async def start(self) -> Self:
        """Listen."""
        loop = asyncio.get_running_loop()
        self._udp, _ = await loop.create_datagram_endpoint(
            lambda: _Datagrams(self._received), local_addr=(self.host, self.port)
        )
        if not self.deaf:
            self._tcp = await asyncio.start_server(self._stream, self.host, self.port)
        return self

    async def stop(self) -> None:
        """Stop listening and forget every call."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._udp is not None:
            self._udp.close()
        if self._tcp is not None:
            self._tcp.close()
        for writer in self._streams:
            writer.close()
        await until(lambda: not self._streams, "TCP connections closed")

    def forget(self) -> None:
        """Forget every script and every call that is over."""
        self.scripts.clear()
        self.calls.clear()
        self.requests.clear()
        self._by_id = {key: call for key, call in self._by_id.items() if call.going_on}

    async def hang_up(self, call: PeerCall) -> None:
        """End an answered call."""
        call.ended_by = "peer"
        await self._ask(call, "BYE", call.script.bye_headers)

    async def refer(self, call: PeerCall, target: str) -> None:
        """Ask the PBX to transfer an answered call to ``target``: what stands between the brackets of Refer-To."""
        who = ("Referred-By", f"<sip:{call.user}@{self.host}>")
        await self._ask(call, "REFER", (self._contact(), ("Refer-To", f"<{target}>"), who))

    async def press(self, call: PeerCall, digits: str) -> None:
        """Press keys of the telephone in an answered call (INFO, RFC 2976)."""
        for digit in digits:
            headers, body = sip.key(digit)
            await self._ask(call, "INFO", headers, body)
            await asyncio.sleep(sip.BETWEEN_KEYS_S)

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    # ---- wire ----------------------------------------------------------------------------------------------------

    def _received(self, data: bytes, send: Send, reliable: bool) -> None:
        message = sip.parse(data)
        if message is None:
            return
        if not message.is_request:
            answered = self._waiting.get(message.branch)
            if answered is not None:
                answered.set()
            return
        self.requests[message.method] += 1
        if not self.deaf:
            self._request(message, send, reliable)

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def send(data: bytes) -> None:
            if not writer.is_closing():
                writer.write(data)

        self._streams.add(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lstrip(b"\r\n")
                length = LENGTH.search(head)
                body = await reader.readexactly(int(length[1])) if length else b""
                self._received(head + body, send, True)
        writer.close()
        self._streams.discard(writer)

    # ---- requests ------------------------------------------------------------------------------------------------

    def _request(self, request: SipMessage, send: Send, reliable: bool) -> None:
        call = self._by_id.get(request.call_id)
        match request.method:
            case "INVITE" if call is None:
                self._invite(request, send, reliable)
            case "INVITE" if call is not None and call.final in (401, 407) and request.branch != call.invite.branch:
                self._invite(request, send, reliable, call.script.logged_in or SILENT)
            case "INVITE" if call is not None and request.branch == call.invite.branch:
                call.retransmissions += 1
                if call.last:
                    send(call.last)
            case "INVITE" if call is not None:
                send(self._reinvite(call, request))
            case "ACK":
                if call is not None:
                    call.acked.set()
            case "CANCEL" if call is not None:
                send(sip.response(request, 200, "OK", call.tag).encode())
                call.cancel_reasons += request.all("reason")
                if call.final is None:
                    call.cancelled = True
                    if call.task is not None:
                        call.task.cancel()
                    self._spawn(call, self._reply(call, Reply(487)))
            case "BYE" if call is not None:
                send(sip.response(request, 200, "OK", call.tag).encode())
                call.bye_reasons += request.all("reason")
                call.ended_by = call.ended_by or "pbx"
                if call.task is not None:
                    call.task.cancel()
            case "BYE" | "CANCEL":
                send(sip.response(request, 481, PHRASES[481], sip.token()).encode())
            case _:
                send(sip.response(request, 200, "OK", sip.token()).encode())

    def _invite(self, request: SipMessage, send: Send, reliable: bool, again: Script | None = None) -> None:
        script = again or self.scripts.get(request.user) or usual(request.user)
        call = PeerCall(request.user, request, script, send, reliable)
        self.calls.append(call)
        self._by_id[request.call_id] = call
        self._spawn(call, self._play(call))

    def _reinvite(self, call: PeerCall, request: SipMessage) -> bytes:
        reply = call.script.reinvite
        body = sip.sdp(self.host) if reply.status == 200 else b""
        headers = (self._contact(), *reply.headers)
        return sip.response(request, reply.status, _phrase(reply), call.tag, headers=headers, body=body).encode()

    async def _play(self, call: PeerCall) -> None:
        for reply in call.script.replies:
            if reply.after_s:
                await asyncio.sleep(reply.after_s)
            await self._reply(call, reply)
        if call.final == 200 and call.script.bye_after_s is not None:
            await asyncio.sleep(call.script.bye_after_s)
            await self.hang_up(call)

    async def _reply(self, call: PeerCall, reply: Reply) -> None:
        body = sip.sdp(self.host) if reply.status in (183, 200) else b""
        contact = () if any(name == "Contact" for name, _ in reply.headers) else (self._contact(),)
        tag = "" if reply.status == 100 else call.tag
        answer = sip.response(
            call.invite, reply.status, _phrase(reply), tag, headers=(*contact, *reply.headers), body=body
        )
        call.last = answer.encode()
        call.sent.append(reply.status)
        call.send(call.last)
        if reply.status < 200:
            return
        for pause in RETRANSMIT_S if not call.reliable or reply.status == 200 else ():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(call.acked.wait(), pause)
                return
            call.send(call.last)

    async def _ask(self, call: PeerCall, method: str, more: sip.Headers, body: bytes = b"") -> None:
        invite = call.invite
        call.cseq += 1
        branch = f"z9hG4bK{sip.token()}"
        via = f"SIP/2.0/{'TCP' if call.reliable else 'UDP'} {self.host}:{self.port};branch={branch}"
        headers = [
            ("Via", via),
            ("Max-Forwards", "70"),
            ("From", f"{invite.get('to')};tag={call.tag}"),
            ("To", invite.get("from")),
            ("Call-ID", invite.call_id),
            ("CSeq", f"{call.cseq} {method}"),
            ("X-Lab-Role", self.role),
            *more,
        ]
        data = SipMessage(f"{method} {sip.address(invite.get('contact'))} SIP/2.0", headers, body).encode()
        answered = self._waiting[branch] = asyncio.Event()
        try:
            for pause in RETRANSMIT_S:
                call.send(data)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(answered.wait(), pause)
                    return
        finally:
            del self._waiting[branch]

    def _contact(self) -> tuple[str, str]:
        return ("Contact", f"<sip:{self.role}@{self.host}:{self.port}>")

    def _spawn(self, call: PeerCall, doing: Coroutine[None, None, None]) -> None:
        call.task = asyncio.create_task(doing)
        self._tasks.add(call.task)
        call.task.add_done_callback(self._tasks.discard)


class _Datagrams(asyncio.DatagramProtocol):
    """Hands each datagram on with the way back."""

    def __init__(self, received: Callable[[bytes, Send, bool], None]) -> None:
        self._received = received
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)  # Python 3.11's own is no subclass of it

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        transport = self._transport
        assert transport is not None
        self._received(data, lambda reply: transport.sendto(reply, addr), False)


def _phrase(reply: Reply) -> str:
    return PHRASES.get(reply.status, "Unknown") if reply.phrase is None else sip.text(reply.phrase)
