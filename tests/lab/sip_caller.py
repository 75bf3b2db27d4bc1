"""Someone who calls: a SIP user agent over UDP that places calls to the PBX and says how they ended."""

from __future__ import annotations

import asyncio
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from tests.lab import sip_message as sip
from tests.lab.errors import SipError
from tests.lab.sip_message import Headers, SipMessage
from tests.lab.wait import until

T1_S = 0.5
TIMER_B_S = 32.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call ended for the caller."""

    exten: str
    status: int  # the final status
    phrase: str
    provisionals: tuple[int, ...]
    reasons: tuple[str, ...]  # Reason headers of the final response, or of the BYE that ended an answered call
    ended_by: str  # "reject" | "cancel" | "caller" | "pbx"
    call_id: str


@dataclass(slots=True, eq=False)
class _Call:
    exten: str
    call_id: str
    invite: SipMessage
    inbox: asyncio.Queue[SipMessage] = field(default_factory=asyncio.Queue)
    statuses: list[int] = field(default_factory=list)
    cseq: int = 1
    peer: str = ""  # To of the newest response that has a tag
    contact: str = ""  # the PBX's address in this call, once it has shown one


class SipCaller:
    """One caller: ``async with SipCaller(host, pbx_port) as caller``; many calls at once are welcome."""

    def __init__(self, host: str, pbx_port: int, role: str = "caller", number: str = "5550100") -> None:
        self.host = host
        self.pbx_port = pbx_port
        self.role = role
        self.number = number
        self.port = 0
        self._calls: dict[str, _Call] = {}
        self._udp: asyncio.DatagramTransport | None = None

    async def start(self) -> Self:
        """Open the socket."""
        loop = asyncio.get_running_loop()
        self._udp, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self), local_addr=(self.host, 0))
        self.port = self._udp.get_extra_info("sockname")[1]
        return self

    async def stop(self) -> None:
        """Close the socket; calls that still run are left to the PBX."""
        if self._udp is not None:
            self._udp.close()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def call(
        self,
        exten: str,
        *,
        cancel_on: int | None = None,
        cancel_after_s: float | None = None,
        bye_after_s: float | None = None,
        hang_up: asyncio.Event | None = None,
        headers: Headers = (),
        within_s: float = 90.0,
    ) -> Outcome:
        """Place a call and wait for its end.

        ``cancel_on``: send CANCEL when that provisional status comes, after ``cancel_after_s`` more seconds;
        ``cancel_after_s`` alone counts from the first response. ``bye_after_s``: hang up that long after the answer;
        None waits for the far end. ``hang_up``: when it is set, CANCEL or BYE, as the call then stands. Raise SipError
        when nothing final came ``within_s``.
        """
        call = self._new(exten, headers)
        try:
            async with asyncio.timeout(within_s):
                return await self._run(call, cancel_on, cancel_after_s, bye_after_s, hang_up or asyncio.Event())
        except TimeoutError:
            raise SipError(f"call to {exten}: not over within {within_s:g} s, heard {call.statuses}") from None
        finally:
            self._calls.pop(call.call_id, None)

    async def burst(self, extens: Sequence[str], per_second: float, bye_after_s: float = 0.1) -> list[Outcome]:
        """Place one call after the other at a steady rate, whatever becomes of them; give the outcomes in order."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        tasks: list[asyncio.Task[Outcome]] = []
        for number, exten in enumerate(extens):
            await asyncio.sleep(began + number / per_second - loop.time())
            tasks.append(asyncio.create_task(self.call(exten, bye_after_s=bye_after_s)))
        return await asyncio.gather(*tasks)

    async def in_call(self, exten: str, status: int = 200) -> str:
        """Wait until a call to ``exten`` has heard ``status``; give its Call-ID."""

        def found() -> str | None:
            calls = [call for call in self._calls.values() if call.exten == exten and status in call.statuses]
            return calls[-1].call_id if calls else None

        await until(found, f"{status} for the call to {exten}")
        call_id = found()
        assert call_id is not None
        return call_id

    def refer(self, call_id: str, target: str) -> None:
        """Ask the PBX to transfer the far end of a call to ``target``: what stands in the brackets of Refer-To."""
        call = self._calls[call_id]
        who = ("Referred-By", f"<sip:{self.number}@{self.host}>")
        self._send(self._ask(call, "REFER", ("Refer-To", f"<{target}>"), who).encode())

    async def press(self, call_id: str, digits: str) -> None:
        """Press keys of the telephone in an answered call (INFO, RFC 2976)."""
        call = self._calls[call_id]
        for digit in digits:
            headers, body = sip.key(digit)
            request = self._ask(call, "INFO", *headers)
            request.body = body
            self._send(request.encode())
            await asyncio.sleep(sip.BETWEEN_KEYS_S)

    def replaces(self, call_id: str) -> str:
        """Give the Refer-To of an attended transfer onto a call of this caller (RFC 3891)."""
        call = self._calls[call_id]
        mine = sip.parameter(call.invite.get("from").rpartition(">")[2], "tag")
        theirs = sip.parameter(call.peer.rpartition(">")[2], "tag")
        value = urllib.parse.quote(f"{call_id};to-tag={theirs};from-tag={mine}", safe="")
        return f"sip:{call.exten}@{self.host}:{self.pbx_port}?Replaces={value}"

    # ---- within --------------------------------------------------------------------------------------------------

    async def _run(
        self,
        call: _Call,
        cancel_on: int | None,
        cancel_after_s: float | None,
        bye_after_s: float | None,
        hang_up: asyncio.Event,
    ) -> Outcome:
        cancelling: asyncio.Task[None] | None = None
        leaving = asyncio.create_task(self._leave(call, hang_up))
        provisionals: list[int] = []
        retransmitting = asyncio.create_task(self._insist(call.invite.encode()))
        try:
            while True:
                message = await call.inbox.get()
                if message.is_request or message.cseq_method != "INVITE":
                    continue
                retransmitting.cancel()
                if message.status < 200:
                    provisionals.append(message.status)
                    wanted = message.status == cancel_on if cancel_on is not None else cancel_after_s is not None
                    if wanted and cancelling is None:
                        cancelling = asyncio.create_task(self._cancel(call, cancel_after_s or 0.0))
                    continue
                break
        finally:
            retransmitting.cancel()
            leaving.cancel()
            if cancelling is not None:
                cancelling.cancel()
        reasons, ended_by = tuple(message.all("reason")), "cancel" if message.status == 487 else "reject"
        if message.status < 300:
            reasons, ended_by = await self._talk(call, bye_after_s, hang_up)
        return Outcome(call.exten, message.status, message.phrase, tuple(provisionals), reasons, ended_by, call.call_id)

    async def _talk(
        self, call: _Call, bye_after_s: float | None, hang_up: asyncio.Event
    ) -> tuple[tuple[str, ...], str]:
        hearing = asyncio.create_task(self._hear_bye(call))
        leaving = asyncio.create_task(hang_up.wait())
        try:
            await asyncio.wait((hearing, leaving), timeout=bye_after_s, return_when=asyncio.FIRST_COMPLETED)
            if hearing.done():
                return tuple(hearing.result().all("reason")), "pbx"
        finally:
            hearing.cancel()
            leaving.cancel()
        bye = self._ask(call, "BYE")
        retransmitting = asyncio.create_task(self._insist(bye.encode()))
        try:
            while True:
                message = await call.inbox.get()
                if (not message.is_request and message.cseq_method == "BYE") or message.method == "BYE":
                    return (), "caller"
        finally:
            retransmitting.cancel()

    async def _hear_bye(self, call: _Call) -> SipMessage:
        while True:
            message = await call.inbox.get()
            if message.is_request and message.method == "BYE":
                return message

    async def _leave(self, call: _Call, hang_up: asyncio.Event) -> None:
        await hang_up.wait()
        await self._cancel(call, 0.0)

    def _ask(self, call: _Call, method: str, *more: tuple[str, str]) -> SipMessage:
        call.cseq += 1
        request = self._request(call, method, call.contact, call.peer)
        request.headers += more
        return request

    async def _insist(self, data: bytes) -> None:
        pause = T1_S
        while pause < TIMER_B_S:
            self._send(data)
            await asyncio.sleep(pause)
            pause *= 2

    async def _cancel(self, call: _Call, after_s: float) -> None:
        await asyncio.sleep(after_s)
        cancel = self._request(call, "CANCEL", call.invite.uri, call.invite.get("to"), branch=call.invite.branch)
        cancel.headers = [(k, f"{call.invite.cseq_number} CANCEL" if k == "CSeq" else v) for k, v in cancel.headers]
        await self._insist(cancel.encode())

    def _new(self, exten: str, headers: Headers) -> _Call:
        uri = f"sip:{exten}@{self.host}:{self.pbx_port}"
        call = _Call(exten, f"{sip.token()}@lab", SipMessage(""))
        sender = ("From", f'"Caller" <sip:{self.number}@{self.host}>;tag={sip.token()}')
        call.invite = SipMessage("", [sender])
        call.invite = self._request(call, "INVITE", uri, f"<{uri}>")
        call.invite.headers += [*headers, ("Content-Type", "application/sdp")]
        call.invite.body = sip.sdp(self.host)
        self._calls[call.call_id] = call
        return call

    def _request(self, call: _Call, method: str, uri: str, to: str, branch: str = "") -> SipMessage:
        via = f"SIP/2.0/UDP {self.host}:{self.port};rport;branch={branch or 'z9hG4bK' + sip.token()}"
        headers = [
            ("Via", via),
            ("Max-Forwards", "70"),
            ("From", call.invite.get("from")),
            ("To", to),
            ("Call-ID", call.call_id),
            ("CSeq", f"{call.cseq} {method}"),
            ("Contact", f"<sip:{self.number}@{self.host}:{self.port}>"),
            ("X-Lab-Role", self.role),
        ]
        return SipMessage(f"{method} {uri} SIP/2.0", headers)

    def _send(self, data: bytes) -> None:
        if self._udp is not None and not self._udp.is_closing():
            self._udp.sendto(data, (self.host, self.pbx_port))

    def received(self, data: bytes) -> None:
        """Take a datagram: acknowledge finals, answer requests, and hand everything to its call."""
        message = sip.parse(data)
        if message is None:
            return
        call = self._calls.get(message.call_id)
        if message.is_request:
            self._answer(message)
        elif message.cseq_method == "INVITE" and message.status >= 200:
            self._acknowledge(message)
        if call is not None:
            if not message.is_request and message.cseq_method == "INVITE":
                call.statuses.append(message.status)
                if message.to_tag:
                    call.peer = message.get("to")
                call.contact = sip.address(message.get("contact")) or call.contact
            call.inbox.put_nowait(message)

    def _acknowledge(self, final: SipMessage) -> None:
        same_transaction = final.status >= 300
        call = self._calls.get(final.call_id)
        branch = final.branch if same_transaction else f"z9hG4bK{sip.token()}"
        uri = call.invite.uri if same_transaction and call else sip.address(final.get("contact"))
        headers = [
            ("Via", f"SIP/2.0/UDP {self.host}:{self.port};rport;branch={branch}"),
            ("Max-Forwards", "70"),
            ("From", final.get("from")),
            ("To", final.get("to")),
            ("Call-ID", final.call_id),
            ("CSeq", f"{final.cseq_number} ACK"),
            ("X-Lab-Role", self.role),
        ]
        self._send(SipMessage(f"ACK {uri or f'sip:{self.host}:{self.pbx_port}'} SIP/2.0", headers).encode())

    def _answer(self, request: SipMessage) -> None:
        if request.method == "ACK":
            return
        contact = ("Contact", f"<sip:{self.number}@{self.host}:{self.port}>")
        body = sip.sdp(self.host) if request.method == "INVITE" else b""
        self._send(sip.response(request, 200, "OK", headers=(contact,), body=body).encode())


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, caller: SipCaller) -> None:
        self._caller = caller

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:  # noqa: ARG002 - the protocol's signature
        self._caller.received(data)
