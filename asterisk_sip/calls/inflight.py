"""The calls in flight on one PBX: which leg belongs to which call, and how many are remembered at most. Pure.

One record per call as Asterisk sees it: channels share a call as long as they share a linkedid, and when Asterisk joins
two calls (transfer, pickup, parking) their records become one, under the older linkedid, with the attempts of both. A
second call that was never joined (a question before a transfer that did not come about) keeps a record of its own.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from asterisk_sip.calls import events as ev
from asterisk_sip.calls import evidence
from asterisk_sip.calls.bounded import Bounded, Limits
from asterisk_sip.calls.state import Call, Leg, Try, peer_of


class InFlight:
    """What is remembered of the calls that still live, and a little of those that ended."""

    def __init__(self, limits: Limits | None = None, *, holds: bool = False) -> None:
        """``holds``: ended calls still take in what other doors tell late, until they are released."""
        self._holds = holds
        self._limits = limits or Limits()
        self._calls: OrderedDict[str, Call] = OrderedDict()  # by linkedid, the longest silent first
        self._joined: dict[str, Call] = {}  # by the linkedid that a call had before it became part of another
        self._call_of: dict[str, Call] = {}  # by uniqueid of a leg
        self._ended_of: dict[str, Call] = {}  # by uniqueid of a leg that ended, of calls not released yet
        self._ended_legs: Bounded[str, None] = Bounded(self._limits.ended_legs)
        self._generations: Bounded[str, int] = Bounded(self._limits.ended_legs)  # of linkedids that ended
        self._peers: Bounded[str, float] = Bounded(self._limits.peers)  # when each last showed a sign of life
        self._evicted: list[Call] = []  # given up to make room, not yet handed out
        self.late_events = 0
        self.given_up = 0

    def __len__(self) -> int:
        return len(self._calls)

    @property
    def held(self) -> int:
        """How many entries are kept for calls in flight: none when there is no call."""
        return len(self._calls) + len(self._joined) + len(self._call_of) + len(self._ended_of)

    def expire(self, now: float) -> list[Call]:
        """Give up calls of which nothing was heard for ``Limits.age_s`` seconds; return them, marked partial."""
        given_up = []
        while self._calls and next(iter(self._calls.values())).last_at < now - self._limits.age_s:
            given_up.append(self._give_up())
        return given_up

    def mark_gap(self, gap_id: str) -> None:
        """Mark every call in flight as partial: something may have happened that nobody saw."""
        for call in self._calls.values():
            call.partial = True
            call.changed = True
            if gap_id not in call.gap_ids:
                call.gap_ids = (*call.gap_ids, gap_id)

    def mark_missed(self, uniqueids: Iterable[str]) -> None:
        """Mark the calls of some channels as partial: something that happened to them could not be worked on."""
        for uniqueid in uniqueids:
            call = self._call_of.get(uniqueid)
            if call is not None:
                call.partial = True
                call.changed = True

    def unsaved(self, now: float, every_s: float) -> list[Call]:
        """Return the calls in flight that changed and were not saved in the last ``every_s`` seconds; now they are."""
        due = [
            call
            for call in self._calls.values()
            if call.changed and (call.saved_at is None or call.saved_at <= now - every_s)
        ]
        for call in due:
            call.changed = False
            call.saved_at = now
            if call.linkedid not in call.saved_as:
                call.saved_as = (*call.saved_as, call.linkedid)
        return due

    def restore(self, calls: Iterable[Call]) -> None:
        """Take in calls in flight that an earlier run had remembered."""
        for call in calls:
            self._calls[call.linkedid] = call
            self._joined |= dict.fromkeys(call.joined, call)
            for uniqueid in call.legs:
                if uniqueid in call.alive:
                    self._call_of[uniqueid] = call
                else:
                    self._ended_legs[uniqueid] = None
                    self._ended_of[uniqueid] = call

    def release(self, call: Call) -> None:
        """Let go of a call that ended: what is told of it from now on comes too late."""
        for uniqueid in call.legs:
            self._ended_of.pop(uniqueid, None)

    def in_flight(self, linkedid: str, uniqueids: Iterable[str] = ()) -> bool:
        """Return whether a call is known by one of these and not ended, or not released yet."""
        if linkedid in self._calls or linkedid in self._joined:
            return True
        return any(uniqueid in self._call_of or uniqueid in self._ended_of for uniqueid in uniqueids)

    def has_ended(self, linkedid: str, uniqueids: Iterable[str] = ()) -> bool:
        """Return whether a call known by one of these ended lately."""
        return linkedid in self._generations or any(uniqueid in self._ended_legs for uniqueid in uniqueids)

    # the bookkeeping

    def _late(self, uniqueid: str) -> Leg | None:
        """Return a leg that ended, of a call not released yet: another door may still tell of it."""
        call = self._ended_of.get(uniqueid)
        return call.legs.get(uniqueid) if call is not None else None

    def _late_try(self, uniqueid: str) -> Try | None:
        call = self._ended_of.get(uniqueid)
        return call.try_of(uniqueid) if call is not None else None

    def _leg(self, channel: ev.Channel, at: float, *, began: bool = False) -> tuple[Call, Leg] | None:
        """Return the leg an event is about and its call, new if need be; None when it is over or has no name."""
        uniqueid = channel.uniqueid
        call = self._call_of.get(uniqueid)
        if call is None:
            if channel.name.startswith("Snoop/"):
                return None  # it listens to a call and is none itself (res_stasis_snoop.c)
            if not uniqueid or uniqueid in self._ended_legs or (not began and self._is_left_over(channel)):
                self.late_events += 1
                self._learn_call_id(channel)
                return None
            call = self._adopt(channel, at, began=began)
        elif channel.linkedid != call.linkedid and channel.linkedid and channel.linkedid not in call.joined:
            call = self._merge(call, channel.linkedid)
        self._touch(call, at)
        leg = call.legs[uniqueid]
        leg.see(channel, at)
        return call, leg

    def _learn_call_id(self, channel: ev.Channel) -> None:
        """Another door tells late of a leg that ended: take the SIP Call-ID, if it knows it and nobody did."""
        late = self._late(channel.uniqueid)
        if late is not None:
            late.call_id = late.call_id or channel.call_id

    def _is_left_over(self, channel: ev.Channel) -> bool:
        """Whether an unknown leg, whose beginning nobody saw, belongs to a call that is recorded already.

        Who begins to listen while a call ends hears of one leg's end first: it looks like the whole call.
        """
        linkedid = channel.linkedid
        return linkedid in self._generations and linkedid not in self._calls and linkedid not in self._joined

    def _adopt(self, channel: ev.Channel, at: float, *, began: bool) -> Call:
        linkedid = channel.linkedid or channel.uniqueid
        call = self._calls.get(linkedid) or self._joined.get(linkedid)
        if call is None:
            while len(self._calls) >= self._limits.open_calls:
                self._evicted.append(self._give_up())
            call = Call(linkedid, self._next_generation(linkedid), at, at)
            self._calls[linkedid] = call
        call.legs[channel.uniqueid] = Leg(channel.uniqueid, channel.name, at, began)
        call.alive.add(channel.uniqueid)
        self._call_of[channel.uniqueid] = call
        return call

    def _next_generation(self, linkedid: str) -> int:
        last = self._generations.get(linkedid)
        return 0 if last is None else last + 1

    def _merge(self, call: Call, linkedid: str) -> Call:
        """Asterisk gave a channel of ``call`` another linkedid: that of a call it became part of."""
        other = self._calls.get(linkedid) or self._joined.get(linkedid)
        if other is not None:
            return self._join(other, call)
        if (call.partial or call.unseen) and linkedid in self._generations:
            # It is recorded already, from the end of a leg: this is the rest.
            call.joined = (*call.joined, linkedid)
            self._joined[linkedid] = call
            return call
        del self._calls[call.linkedid]
        call.joined = (*call.joined, call.linkedid)
        self._joined[call.linkedid] = call
        call.linkedid, call.generation = linkedid, self._next_generation(linkedid)
        self._calls[linkedid] = call
        return call

    def _join(self, call: Call, other: Call) -> Call:
        """Two calls became one: ``other`` is part of ``call`` from now on."""
        del self._calls[other.linkedid]
        call.absorb(other)
        self._joined |= dict.fromkeys(call.joined, call)
        for uniqueid in other.legs:
            (self._call_of if uniqueid in other.alive else self._ended_of)[uniqueid] = call
        return call

    def _unseen_try(self, call: Call, leg: Leg) -> Try | None:
        """Return an attempt for a leg of which no event told that it was dialled; None when there are enough."""
        if len(call.tries) >= self._limits.attempts_per_call:
            return None
        leg.dialled_by_us = True
        call.partial = True
        stage = call.stage_unseen(leg)
        attempt = Try(len(call.tries) + 1, stage, None, leg.uniqueid, "", leg.began_at, began_seen=False)
        attempt.requested_before_end = leg.requested_at is not None
        if leg.up_at is not None:
            attempt.move("up", leg.up_at)
        call.tries.append(attempt)
        return attempt

    def _bury(self, call: Call, leg: Leg, at: float) -> None:
        leg.ended_at = at
        attempt = call.try_of(leg.uniqueid)
        began_a_call = (
            leg.uniqueid == call.linkedid or leg.uniqueid in call.joined
        )  # the answer to a re-INVITE it heard
        if attempt is None and not began_a_call and evidence.read_line(leg.heard) is not None:
            attempt = self._unseen_try(call, leg)
        if attempt is not None:
            if attempt.heard is None or attempt.answered_at is None:
                attempt.heard = leg.heard if leg.heard is not None else attempt.heard
            attempt.move("end", at)
            if evidence.shows_life(attempt, leg):
                self._peers[peer_of(leg.name)] = at
        elif leg.uniqueid != call.linkedid and len(call.legs) > self._limits.legs_per_call:
            del call.legs[leg.uniqueid]  # no record tells of it
            call.partial |= not leg.seen_begin
        if leg.uniqueid in call.legs:
            self._ended_of[leg.uniqueid] = call
        call.alive.discard(leg.uniqueid)
        if call.first_requested == leg.uniqueid and call.talks_on_without(leg.uniqueid):
            call.first_requested = None
        del self._call_of[leg.uniqueid]
        self._ended_legs[leg.uniqueid] = None

    def _close(self, call: Call) -> Call:
        self._calls.pop(call.linkedid, None)
        for linkedid in call.joined:
            self._joined.pop(linkedid, None)
        root = call.root
        if root is None or call.unseen or call.linkedid not in call.legs:
            call.partial = True
        self._generations[call.linkedid] = call.generation
        if not self._holds:
            self.release(call)
        return call

    def _give_up(self) -> Call:
        call = next(iter(self._calls.values()))
        call.partial = True
        self.given_up += 1
        for uniqueid in sorted(call.alive):
            self._bury(call, call.legs[uniqueid], call.last_at)
        return self._close(call)

    def _touch(self, call: Call, at: float) -> None:
        call.last_at = max(call.last_at, at)
        call.changed = True
        self._calls.move_to_end(call.linkedid)
