"""Requests that the PBX refused without making a channel of them: calls one by one, floods by source and minute. Pure.

No event of Asterisk tells of these; only the wire shows them. A challenge (401, 407) that is answered is no refusal.
Whoever floods gets one record a minute, and all sources together a bounded number.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

from asterisk_sip.calls.bounded import Bounded
from asterisk_sip.calls.dialog import CHALLENGES, Dialog
from asterisk_sip.calls.dialog_told import ladder_of
from asterisk_sip.calls.model import LadderLine
from asterisk_sip.calls.own_address import EndpointNames
from asterisk_sip.calls.sip_seen import Party, SipMessage, SipSeen

MAX_PENDING = 10_000
MAX_TALLIES = 1_000
EACH_PER_SOURCE = 10
EACH_PER_MINUTE = 300
ANSWER_S = 10.0  # how long after a challenge the request may come again, with credentials
MINUTE_S = 60.0
OTHERS = "many"
"""Stands for the sources that are too many to be told one by one."""


class Refusal(NamedTuple):
    """One call that was refused, or ``requests`` of one source and minute. ``key`` names it for ever.

    ``code`` and ``phrase`` are the answer, of several the last; so are ``caller`` and ``dialled``. ``source`` is the
    endpoint, or the host, that asked. Only one call has a ``ladder``.
    """

    key: str
    method: str
    began_at: float
    ended_at: float
    code: int
    phrase: str
    caller: Party
    source: str
    dialled: str | None = None
    call_id: str | None = None
    requests: int = 1
    ladder: tuple[LadderLine, ...] | None = None


@dataclass(slots=True)
class _Register:
    """A REGISTER as it goes on: asked, challenged, asked again."""

    due_at: float
    began_at: float
    request: SipMessage
    source: str
    answered_at: float = 0.0
    answer: tuple[int, str] | None = None  # the last refusal
    refused: int = 0  # how often although there were credentials


@dataclass(slots=True)
class _Tally:
    """The refused requests of one source and minute."""

    due_at: float
    refusal: Refusal


class Refusals:
    """What was refused lately. ``now`` is seconds by any clock that only grows."""

    def __init__(self, names: EndpointNames | None = None) -> None:
        self._names = names or EndpointNames()
        self._registers: OrderedDict[str, _Register] = OrderedDict()  # by Call-ID, the oldest first
        self._tallies: OrderedDict[str, _Tally] = OrderedDict()
        self._single: Bounded[str, int] = Bounded(MAX_PENDING)  # how many were told singly, by minute and source
        self._ready: list[Refusal] = []

    @property
    def held(self) -> int:
        """How many entries are kept: none when all is told."""
        return len(self._registers) + len(self._tallies) + len(self._ready)

    def call(self, dialog: Dialog, now: float) -> None:
        """Take a refused call that had no channel."""
        code, phrase = dialog.heard or (0, "")
        refusal = Refusal(
            f"sip:{dialog.call_id}",
            "INVITE",
            dialog.began_at,
            dialog.ended_at or dialog.began_at,
            code,
            phrase,
            dialog.caller,
            self._names.at(dialog.src),
            dialog.number or None,
            dialog.call_id,
            ladder=ladder_of(dialog),
        )
        if code not in CHALLENGES and self._may_be_single(refusal):
            self._ready.append(refusal)
        else:
            self._count(refusal, now)

    def message(self, seen: SipSeen, now: float, *, sent: bool | None) -> None:
        """Take a message that is about no call. ``sent``: whether the PBX sent it."""
        message = seen.message
        if message.method != "REGISTER" or sent is not (message.status is not None):
            return
        known = self._registers.get(message.call_id)
        if message.status is None:
            if known is not None:
                known.request = message
                return
            self._registers[message.call_id] = _Register(now + ANSWER_S, seen.at, message, self._names.at(seen.src))
            if len(self._registers) > MAX_PENDING:
                self._over(self._registers.popitem(last=False)[1], now)
        elif known is not None and message.status >= 200:
            if message.status < 300:
                del self._registers[message.call_id]
            else:
                known.answered_at, known.answer = seen.at, (message.status, message.phrase)
                known.refused += known.request.authorized

    def due(self, now: float) -> list[Refusal]:
        """Return what can be told: a single refused call at once, the requests of a minute when it is over."""
        while self._registers and next(iter(self._registers.values())).due_at <= now:
            self._over(self._registers.popitem(last=False)[1], now)
        while self._tallies and next(iter(self._tallies.values())).due_at <= now:
            self._ready.append(self._tallies.popitem(last=False)[1].refusal)
        ready, self._ready = self._ready, []
        return ready

    def finish(self) -> list[Refusal]:
        """Return all that was refused: nothing more will come."""
        return self.due(float("inf"))

    def _over(self, register: _Register, now: float) -> None:
        """A REGISTER had its time: it counts when it was refused and never succeeded."""
        if register.answer is not None:
            who = register.request.target  # To names who is registered (RFC 3261 section 10.2)
            times = (register.began_at, register.answered_at)
            refused = max(1, register.refused)
            self._count(Refusal("", "REGISTER", *times, *register.answer, who, register.source, requests=refused), now)

    def _may_be_single(self, refusal: Refusal) -> bool:
        minute = _minute(refusal)
        bounds = {f"{minute} {refusal.source}": EACH_PER_SOURCE, minute: EACH_PER_MINUTE}
        told = {key: self._single.get(key) or 0 for key in bounds}
        if any(told[key] >= most for key, most in bounds.items()):
            return False
        for key in bounds:
            self._single[key] = told[key] + 1
        return True

    def _count(self, refusal: Refusal, now: float) -> None:
        """Add to the requests of its source and minute."""
        key = _tally_key(refusal)
        if key not in self._tallies and len(self._tallies) >= MAX_TALLIES:
            refusal = refusal._replace(source=OTHERS)
            key = _tally_key(refusal)
        refusal = refusal._replace(key=key, call_id=None, ladder=None)
        tally = self._tallies.get(key)
        if tally is None:
            self._tallies[key] = _Tally(now + MINUTE_S + ANSWER_S, refusal)
            return
        so_far = tally.refusal
        tally.refusal = refusal._replace(
            began_at=min(so_far.began_at, refusal.began_at),
            ended_at=max(so_far.ended_at, refusal.ended_at),
            requests=so_far.requests + refusal.requests,
        )


def _tally_key(refusal: Refusal) -> str:
    return f"sip-refused:{refusal.method}:{refusal.code}:{refusal.source}:{_minute(refusal)}"


def _minute(refusal: Refusal) -> str:
    return str(int(refusal.began_at // MINUTE_S))
