"""What is remembered of a call while it lives: its legs, its attempts, and how an attempt moves from phase to phase."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from asterisk_sip.calls.dialog import Dialog
from asterisk_sip.calls.events import Channel, DialBegan
from asterisk_sip.calls.refusals import Refusal

TRYING, PROCEEDING, RINGING, ANSWERED, ENDED = "trying", "proceeding", "ringing", "answered", "ended"

ONE_BREATH_S = 0.5  # Page begins its calls within milliseconds, and tries none of them again

ONE_MOMENT_S = 0.1  # Dial cancels its legs within milliseconds after the caller left

WAITING, GAVE_UP, LEFT = "waiting", "gave up", "left"  # a caller and a queue

# (phase, what came) -> next phase. What is not here changes nothing: a repeat, or news that came too late.
# What comes: DialState's and DialEnd's DialStatus in Asterisk's words (main/dial.c), and the channel's own state.
MOVES: dict[tuple[str, str], str] = {
    (TRYING, "PROCEEDING"): PROCEEDING,
    (TRYING, "PROGRESS"): PROCEEDING,
    (TRYING, "RINGING"): RINGING,
    (TRYING, "ringing"): RINGING,
    (TRYING, "up"): ANSWERED,
    (TRYING, "ANSWER"): ANSWERED,
    (TRYING, "end"): ENDED,
    (PROCEEDING, "RINGING"): RINGING,
    (PROCEEDING, "ringing"): RINGING,
    (PROCEEDING, "up"): ANSWERED,
    (PROCEEDING, "ANSWER"): ANSWERED,
    (PROCEEDING, "end"): ENDED,
    (RINGING, "up"): ANSWERED,
    (RINGING, "ANSWER"): ANSWERED,
    (RINGING, "end"): ENDED,
    (ANSWERED, "end"): ENDED,
}


_NUMBER = re.compile(r"(?:.*-)?([0-9]{1,12})[.]([0-9]{1,12})", re.DOTALL)
"""A uniqueid: ``[systemname-]seconds.number`` (main/channel_internal_api.c)."""


@dataclass(slots=True)
class Leg:
    """One channel's life."""

    uniqueid: str
    name: str
    began_at: float
    seen_begin: bool  # False: it began before we listened
    caller_number: str | None = None
    caller_name: str | None = None
    account: str | None = None
    context: str | None = None
    exten: str | None = None
    dialled: str | None = None  # the first extension: what the caller dialled
    up_at: float | None = None
    ended_at: float | None = None
    cause: int | None = None
    cause_text: str | None = None
    cause_source: str | None = None  # what told the cause, where that was no event of Asterisk
    tech_cause: int | None = None
    heard: str | None = None
    call_id: str | None = None
    refused: bool = False  # Asterisk answered it with busy or congestion
    requested_at: float | None = None  # when the far end asked to end it
    pair: str | None = None  # the other half of a Local channel
    dialled_by_us: bool = False  # the destination of an attempt
    told: tuple[tuple[str, str | None], ...] = ()  # (source, status text) by handlers; None: nothing came
    dialog: Dialog | None = None  # its SIP messages, when HEP showed them
    queue: str | None = None  # WAITING in a queue, GAVE_UP there, or LEFT it otherwise
    queued_at: float | None = None  # when it last came into a queue

    def see(self, channel: Channel, at: float) -> None:
        """Take what an event shows of the channel."""
        if channel.name:
            self.name = channel.name
        if channel.up and self.up_at is None:
            self.up_at = at
        if channel.refused:
            self.refused = True
        if channel.heard is not None:
            self.heard = channel.heard
        if channel.call_id is not None:
            self.call_id = channel.call_id
        self.caller_number = self.caller_number or channel.caller_number
        self.caller_name = self.caller_name or channel.caller_name
        self.account = channel.account or self.account
        if channel.exten and channel.exten != "h":
            self.exten, self.context = channel.exten, channel.context


@dataclass(slots=True)
class Try:
    """An attempt in the making."""

    seq: int
    stage: int
    dialer: str | None  # uniqueid of the channel that dials, None when Asterisk itself does
    leg: str  # uniqueid of the dialled channel
    dial_string: str
    began_at: float
    began_seen: bool = True
    by_queue: bool = False
    phase: str = TRYING
    alive_at: float | None = None  # first ringing, progress or answer
    ringing_at: float | None = None
    answered_at: float | None = None
    ended_at: float | None = None
    dial_status: str | None = None
    forward: str | None = None
    heard: str | None = None  # the status line when the dialling ended
    requested_before_end: bool = False  # the far end ended the leg before Asterisk did
    caller_left: bool = (
        False  # the caller asked to end the call while this was pending; told by order: doors' times differ
    )
    peer_alive_at: float | None = None  # when the same endpoint had last shown, in another attempt, that it is there

    def begin(self, dialer: str | None, event: DialBegan) -> None:
        """Take what the event of its beginning tells, which may come late."""
        self.dialer, self.dial_string, self.began_seen = dialer, event.dial_string, event.seen
        self.began_at = min(self.began_at, event.at)
        tech, slash, _ = event.dest.name.partition("/")
        self.by_queue = bool(slash) and event.dial_string.startswith(tech + slash)  # Dial leaves the technology out

    def move(self, came: str, at: float) -> bool:
        """Go to the phase that ``came`` leads to; return whether it changed anything."""
        phase = MOVES.get((self.phase, came))
        if phase is None:
            return False
        self.phase = phase
        if phase == ENDED:
            self.ended_at = at
        elif self.alive_at is None:
            self.alive_at = at
        if phase == RINGING:
            self.ringing_at = at
        elif phase == ANSWERED:
            self.answered_at = at
        return True

    def is_left_by(self, caller: str, at: float) -> bool:
        """Return whether a caller who asks for the end ``at`` leaves this: it is pending, or was cancelled just now.

        Who merges streams, or listens through two doors, may hear of the caller after what he caused.
        """
        if self.ended_at is None:
            return True
        just_now = at - self.ended_at < ONE_MOMENT_S
        return just_now and self.dialer == caller and self.dial_status in (None, "CANCEL")

    @property
    def over(self) -> bool:
        """Whether this try is no longer pending: it ended, or it was answered."""
        return self.phase in (ENDED, ANSWERED)


@dataclass(slots=True)
class Call:
    """All legs of one linkedid."""

    linkedid: str
    generation: int
    began_at: float
    last_at: float
    legs: dict[str, Leg] = field(default_factory=dict)
    tries: list[Try] = field(default_factory=list)
    alive: set[str] = field(default_factory=set)
    stages: int = 0
    partial: bool = False
    backfilled: bool = False  # some of it was read afterwards in Asterisk's own log
    gap_ids: tuple[str, ...] = ()
    joined: tuple[str, ...] = ()  # the linkedids of calls that became part of this one
    left_out: int = 0  # attempts over the bound
    first_requested: str | None = None  # the leg whose far end asked first to end an established call
    changed: bool = True  # since it was last saved
    saved_at: float | None = None  # when it was last saved as a call in flight
    saved_as: tuple[str, ...] = ()  # under which linkedids
    refusal: Refusal | None = None  # it had no channel: the PBX refused it at once

    @property
    def root(self) -> Leg | None:
        """The leg the call began with: Asterisk names a call by its first channel (linkedid = its uniqueid)."""
        leg = self.legs.get(self.linkedid)
        if leg is None and self.legs:
            undialled = [leg for leg in self.legs.values() if not leg.dialled_by_us]
            leg = min(undialled or self.legs.values(), key=lambda leg: leg.began_at)
        return leg

    @property
    def unseen(self) -> bool:
        """Whether some of it began before anybody listened. The news of a beginning may come behind other news."""
        return not all(leg.seen_begin for leg in self.legs.values())

    def try_of(self, uniqueid: str) -> Try | None:
        """Return the newest attempt whose destination is the channel ``uniqueid``."""
        return next((attempt for attempt in reversed(self.tries) if attempt.leg == uniqueid), None)

    def stage_of_next(self, dialer: str | None, leg: Leg, at: float) -> int:
        """Return the stage of an attempt on ``leg`` that begins at ``at``.

        It shares the stage of the dialer's last attempts while one of them is pending (forks, ring groups) or was
        forwarded; the first attempt behind a Local channel shares the stage of the attempt that dialled the Local, also
        when it is told before that one. Those that Asterisk itself begins in one breath (Page) are forks, however soon
        one of them ends.
        """
        stage = self._shared_stage(dialer, at)
        behind = [attempt for attempt in self.tries if leg.pair is not None and attempt.dialer == leg.pair]
        first = [attempt for attempt in behind if attempt.stage == behind[0].stage]
        if stage is None and first:
            return first[0].stage
        if stage is None:
            self.stages += 1
            return self.stages
        for attempt in first:
            attempt.stage = stage
        return stage if not first else self._renumbered(stage)

    def _renumbered(self, stage: int) -> int:
        """Close the gap that a stage left which is no more; return the number that ``stage`` has then."""
        numbers = {number: place for place, number in enumerate(sorted({each.stage for each in self.tries}), 1)}
        for attempt in self.tries:
            attempt.stage = numbers[attempt.stage]
        self.stages = len(numbers)
        return numbers[stage]

    def _shared_stage(self, dialer: str | None, at: float) -> int | None:
        mine = [attempt for attempt in self.tries if attempt.dialer == dialer]
        if not mine:
            half = self.legs.get(dialer or "")  # a dialer of another linkedid has its own call
            parent = self.try_of(half.pair) if half is not None and half.pair is not None else None
            return None if parent is None else parent.stage
        last = mine[-1].stage
        same = [attempt for attempt in mine if attempt.stage == last]
        in_one_breath = dialer is None and at - mine[-1].began_at < ONE_BREATH_S
        pending = any(attempt.phase != ENDED and attempt.answered_at is None for attempt in same)
        return last if in_one_breath or pending or same[-1].forward else None

    def stage_unseen(self, leg: Leg) -> int:
        """Return the stage of an attempt whose beginning nobody told: that of one whose leg lived beside this one's."""
        for attempt in reversed(self.tries):
            other = self.legs[attempt.leg]
            if attempt.answered_at is None and (other.ended_at is None or other.ended_at > leg.began_at):
                return attempt.stage
        self.stages += 1
        return self.stages

    def waits_for_an_agent(self, uniqueid: str) -> bool:
        """Return whether the channel's newest attempt was a queue's and not answered: what is seen without events of
        class ``agent``. A queue that has just given up looks the same."""
        newest = next((attempt for attempt in reversed(self.tries) if attempt.dialer == uniqueid), None)
        return newest is not None and newest.by_queue and newest.answered_at is None

    def talks_on_without(self, leaver: str) -> bool:
        """Return whether two far ends are still on the line when ``leaver`` has left: it did not end the call."""
        others = (self.legs[uniqueid] for uniqueid in self.alive if uniqueid != leaver)
        return sum(leg.up_at is not None and not leg.name.startswith("Local/") for leg in others) > 1

    def is_older_than(self, other: Call) -> bool:
        """Return whether this call began first: by the number of its first channel, as Asterisk itself compares
        (main/channel.c ``oldest_linkedid``), as times differ by some milliseconds between doors; else by its time."""
        mine, theirs = _NUMBER.fullmatch(self.linkedid), _NUMBER.fullmatch(other.linkedid)
        if mine is not None and theirs is not None:
            return (int(mine[1]), int(mine[2])) < (int(theirs[1]), int(theirs[2]))
        return self.began_at < other.began_at

    def absorb(self, other: Call) -> None:
        """Take over all of a call that became one with this one."""
        for attempt in other.tries:
            attempt.stage += self.stages
        self.stages += other.stages
        self.tries = sorted((*self.tries, *other.tries), key=lambda attempt: attempt.began_at)
        for seq, attempt in enumerate(self.tries, 1):
            attempt.seq = seq
        self.legs |= other.legs
        self.alive |= other.alive
        self.began_at = min(self.began_at, other.began_at)
        self.last_at = max(self.last_at, other.last_at)
        self.partial |= other.partial
        self.backfilled |= other.backfilled
        self.gap_ids = tuple(dict.fromkeys((*self.gap_ids, *other.gap_ids)))
        self.joined = tuple(dict.fromkeys((*self.joined, *other.joined, other.linkedid)))
        self.left_out += other.left_out
        self.first_requested = self.first_requested or other.first_requested
        self.saved_as = (*self.saved_as, *other.saved_as)


def peer_of(channel_name: str) -> str:
    """Return what a channel's name says of its peer: ``PJSIP/acme-0000002a`` -> ``PJSIP/acme``."""
    return channel_name.partition("<")[0].rpartition("-")[0] or channel_name


def dump(call: Call) -> dict[str, Any]:
    """Return a call in flight as plain data, for ``load``."""
    data = {name: getattr(call, name) for name in _CALL if name not in _NOT_AS_IT_IS}
    data["legs"] = [[getattr(leg, name) for name in _LEG] for leg in call.legs.values()]
    data["tries"] = [[getattr(attempt, name) for name in _TRY] for attempt in call.tries]
    data["alive"] = sorted(call.alive)
    data |= {name: list(getattr(call, name)) for name in _TUPLES}
    return data


def load(data: dict[str, Any]) -> Call:
    """Rebuild a call in flight from what ``dump`` gave; KeyError, TypeError or ValueError when another version did."""
    legs = [Leg(**dict(zip(_LEG, values, strict=True))) for values in data["legs"]]
    tries = [Try(**dict(zip(_TRY, values, strict=True))) for values in data["tries"]]
    known = {name: data[name] for name in _CALL if name not in _NOT_AS_IT_IS}
    return Call(
        **known,
        legs={leg.uniqueid: leg for leg in legs},
        tries=tries,
        alive=set(data["alive"]),
        gap_ids=tuple(data["gap_ids"]),
        joined=tuple(data["joined"]),
        saved_as=tuple(data["saved_as"]),
    )


_LEG = tuple(name for name in Leg.__dataclass_fields__ if name not in ("told", "dialog"))  # known when a call has ended
_TRY = tuple(Try.__dataclass_fields__)
_CALL = tuple(Call.__dataclass_fields__)
_TUPLES = ("gap_ids", "joined", "saved_as")
_NOT_AS_IT_IS = ("legs", "tries", "alive", "changed", "refusal", *_TUPLES)
