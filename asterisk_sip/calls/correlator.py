"""Puts the events of one PBX together into calls: an event in, the calls that ended with it out. Pure; bounded."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import ClassVar

from asterisk_sip.calls import events as ev
from asterisk_sip.calls import evidence
from asterisk_sip.calls.inflight import InFlight
from asterisk_sip.calls.sip_seen import SipSeen
from asterisk_sip.calls.state import GAVE_UP, LEFT, WAITING, Call, Try, peer_of


class Correlator(InFlight):
    """The calls in flight on one PBX.

    Feed it events in the order in which they came. A call ends when its last channel has hung up. What was not seen
    from its beginning, or has a gap in it, is ``partial``.
    """

    def feed(self, event: ev.Event) -> list[Call]:
        """Take one event; return the calls that ended with it."""
        ended = self._HANDLERS[type(event)](self, event)
        if self._evicted:
            ended, self._evicted = [*self._evicted, *ended], []
        return ended

    def reconcile(self, alive: Iterable[ev.Channel], at: float, since: float | None = None) -> list[Call]:
        """Compare with the channels that are alive after a gap; return the calls that ended unseen, marked partial.

        ``alive`` is what Asterisk lists (CoreShowChannels); ``at`` the time of the list, ``since`` when it was begun:
        it does not show legs that began then or later. Channels that nobody knew are taken in.
        """
        living = {channel.uniqueid: channel for channel in alive}
        ended = []
        for call in list(self._calls.values()):
            for uniqueid in sorted(call.alive - living.keys()):
                if since is not None and call.legs[uniqueid].began_at >= since:
                    continue
                call.partial = True
                self._bury(call, call.legs[uniqueid], at)
            if not call.alive:
                ended.append(self._close(call))
        for channel in living.values():
            self._seen(ev.ChannelSeen(at, channel))
        return ended

    def drop_all(self, at: float, gap_id: str | None = None) -> list[Call]:
        """End every call in flight, as when Asterisk went down; return them, marked partial."""
        if gap_id is not None:
            self.mark_gap(gap_id)
        return self.reconcile((), at)

    # what each event does

    def _began(self, event: ev.ChannelBegan) -> list[Call]:
        found = self._leg(event.channel, event.at, began=True)
        if found is not None:
            call, leg = found
            leg.dialled = leg.dialled or event.channel.exten
            if not leg.seen_begin:  # it was listed, or another door told of it, before the news of its beginning came
                leg.seen_begin = True
                leg.began_at = min(leg.began_at, event.at)
                call.began_at = min(call.began_at, event.at)
        return []

    def _seen(self, event: ev.ChannelSeen) -> list[Call]:
        found = self._leg(event.channel, event.at)
        if found is not None:
            call, leg = found
            attempt = call.try_of(leg.uniqueid) if leg.dialled_by_us else None
            if attempt is not None:
                rings = event.channel.ringing and evidence.tech(leg) in evidence.SIP_TECHS  # IAX2: before it dials
                attempt.move("up" if event.channel.up else "ringing" if rings else "", event.at)
        return []

    def _renamed(self, event: ev.ChannelRenamed) -> list[Call]:
        call = self._call_of.get(event.uniqueid)
        if call is not None:
            self._touch(call, event.at)
            call.legs[event.uniqueid].name = event.name
        return []

    def _paired(self, event: ev.LocalPaired) -> list[Call]:
        for half, other in ((event.one, event.two), (event.two, event.one)):
            found = self._leg(half, event.at)
            if found is not None:
                found[1].pair = other.uniqueid
        return self._met(ev.ChannelsMet(event.at, (event.one.uniqueid, event.two.uniqueid)))

    def _met(self, event: ev.ChannelsMet) -> list[Call]:
        first, *others = (self._call_of.get(uniqueid) for uniqueid in event.uniqueids or ("",))
        for other in others:
            self._same_call(first, other)
            first = self._call_of.get(event.uniqueids[0])
        return []

    def _dial_began(self, event: ev.DialBegan) -> list[Call]:
        dialer = self._leg(event.source, event.at) if event.source is not None else None
        found = self._leg(event.dest, event.at)
        if found is None:
            return []
        call, leg = found
        if dialer is not None and not event.dest.linkedid:
            call = self._same_call(self._call_of.get(dialer[1].uniqueid), call) or call
        source = dialer[1].uniqueid if dialer is not None else None
        known = call.try_of(leg.uniqueid)
        if known is not None:
            if not known.began_seen and known.dialer is None and not known.dial_string:  # its beginning is told late
                known.begin(source, event)
            return []
        leg.dialled_by_us = True
        if len(call.tries) >= self._limits.attempts_per_call:
            call.left_out += 1
            call.partial = True
            return []
        stage = call.stage_of_next(source, leg, event.at)
        attempt = Try(len(call.tries) + 1, stage, source, leg.uniqueid, event.dial_string, event.at)
        attempt.begin(source, event)
        attempt.peer_alive_at = self._peers.get(peer_of(leg.name))
        attempt.caller_left = call.root is not None and call.root.requested_at is not None
        if leg.requested_at is not None:  # its end can be asked for before its beginning is told
            attempt.requested_before_end = True
        call.tries.append(attempt)
        call.first_requested = None  # whoever left before, the call goes on
        return []

    def _dial_progressed(self, event: ev.DialProgressed) -> list[Call]:
        attempt = self._try(event.dest, event.at)
        if attempt is not None:
            attempt.move(event.status, event.at)
        return []

    def _dial_ended(self, event: ev.DialEnded) -> list[Call]:
        self._picked_up(event)
        attempt = self._try(event.dest, event.at) or self._late_try(event.dest.uniqueid)
        if attempt is None or attempt.dial_status is not None:
            return []
        if event.source is not None:  # who dials is still there: the call does not end with the leg it dialled
            # (it took the place of another's channel: a transfer to a telephone that still rings)
            dialer = self._leg(event.source, event.at)
            self._same_call(self._call_of.get(event.dest.uniqueid), dialer[0] if dialer is not None else None)
        attempt.dial_status = event.status
        attempt.forward = event.forward
        if event.dest.heard is not None:
            attempt.heard = event.dest.heard
        attempt.move("ANSWER" if event.status == "ANSWER" else "end", event.at)
        if (
            event.status != "ANSWER"
        ):  # the leg was up, the dialler did not take it: it was turned down, or came too late
            attempt.answered_at = None
        return []

    def _requested(self, event: ev.HangupRequested) -> list[Call]:
        found = self._leg(event.channel, event.at)
        if found is None:
            late = self._late(event.channel.uniqueid)
            if late is not None and late.queue == WAITING:
                late.queue = GAVE_UP
            return []
        call, leg = found
        if leg.requested_at is None:
            leg.requested_at = event.at
            if leg is call.root:
                for each in call.tries:
                    each.caller_left = each.is_left_by(leg.uniqueid, event.at)
        if leg.queue == WAITING or (leg.queue is None and call.waits_for_an_agent(leg.uniqueid)):
            leg.queue = GAVE_UP
        far_end = leg.up_at is not None and evidence.tech(leg) != "Local"  # a Local half passes on what the other got
        if far_end and call.first_requested not in call.alive:
            call.first_requested = leg.uniqueid
        attempt = call.try_of(leg.uniqueid)
        if attempt is not None and not attempt.over:
            attempt.requested_before_end = True
        return []

    def _hung_up(self, event: ev.HungUp) -> list[Call]:
        found = self._leg(event.channel, event.at)
        if found is None:
            self._hung_up_late(event)
            return []
        call, leg = found
        leg.cause, leg.cause_text, leg.tech_cause = event.cause, event.cause_text, event.tech_cause
        leg.cause_source = event.source
        self._bury(call, leg, event.at)
        return [] if call.alive else [self._close(call)]

    def _hung_up_late(self, event: ev.HungUp) -> None:
        """Another door tells of an end that is known already: take what the first did not tell."""
        leg = self._late(event.channel.uniqueid)
        if leg is None:
            return
        leg.cause = event.cause if leg.cause is None else leg.cause
        leg.cause_text = leg.cause_text or event.cause_text
        leg.tech_cause = event.tech_cause if leg.tech_cause is None else leg.tech_cause
        leg.call_id = leg.call_id or event.channel.call_id
        leg.heard = event.channel.heard if leg.heard is None else leg.heard
        attempt = self._late_try(leg.uniqueid)
        if attempt is not None and attempt.heard is None:
            attempt.heard = leg.heard

    def _queue_joined(self, event: ev.QueueJoined) -> list[Call]:
        found = self._leg(event.channel, event.at)
        if found is not None and found[1].queued_at != event.at:  # else it is told again
            found[1].queue, found[1].queued_at = WAITING, event.at
            return []
        late = self._late(event.channel.uniqueid)
        if late is not None and late.queue is None:
            late.queue = WAITING
        return []

    def _queue_left(self, event: ev.QueueLeft) -> list[Call]:
        found = self._leg(event.channel, event.at)
        leg = found[1] if found is not None else self._late(event.channel.uniqueid)
        if leg is not None and leg.queue == WAITING:
            leg.queue = LEFT
        return []

    def _shut_down(self, event: ev.ShutDown) -> list[Call]:
        return self.drop_all(event.at)

    def _listed(self, event: ev.ChannelsListed) -> list[Call]:
        return self.reconcile(event.channels, event.at, event.since)

    def _backfilled(self, event: ev.Backfilled) -> list[Call]:
        in_flight = [self._calls.get(linkedid) or self._joined.get(linkedid) for linkedid in event.linkedids]
        if not any(in_flight) and any(linkedid in self._generations for linkedid in event.linkedids):
            self.late_events += len(event.events)  # recorded already
            return []
        ended = []
        for each in event.events:
            ended += self.feed(each)
        touched = [self._calls.get(linkedid) or self._joined.get(linkedid) for linkedid in event.linkedids]
        for call in (*ended, *touched):
            if call is not None:
                call.partial = call.backfilled = True
                call.gap_ids = tuple(dict.fromkeys((*call.gap_ids, *event.gap_ids)))
        return ended

    def _nothing(self, _event: ev.Booted | ev.HandlerReport | SipSeen) -> list[Call]:
        return []

    def _picked_up(self, event: ev.DialEnded) -> None:
        """A telephone took a call that rang at another: its channel, which nobody dialled, has the other's place.

        The leg that rang has no DialEnd of its own, and its Hangup may come first (main/features.c ``ast_do_pickup``).
        """
        if event.source is None or event.status != "ANSWER":
            return
        dialer, answers = event.source.uniqueid, event.dest.uniqueid
        rung, own = self._call_of.get(dialer), self._call_of.get(answers)
        if rung is None or own is None or rung is own or own.try_of(answers) is not None:
            return
        place = next((attempt for attempt in reversed(rung.tries) if attempt.dialer == dialer), None)
        if place is not None and place.answered_at is None and place.dial_status is None:
            place.move("end", event.at)
            self._same_call(rung, own)
            rung.legs[answers].dialled_by_us = True
            taken = Try(len(rung.tries) + 1, place.stage, dialer, answers, place.dial_string, place.began_at)
            taken.began_seen = False
            rung.tries.append(taken)

    def _same_call(self, one: Call | None, other: Call | None) -> Call | None:
        """Join two calls that turn out to be one, into the older; return it. None when there was nothing to join."""
        if one is None or other is None or other is one:
            return None
        older, younger = (other, one) if other.is_older_than(one) else (one, other)
        return self._join(older, younger)

    def _try(self, dest: ev.Channel, at: float) -> Try | None:
        found = self._leg(dest, at)
        if found is None:
            return None
        call, leg = found
        attempt = call.try_of(leg.uniqueid)
        if attempt is None and leg.seen_begin and evidence.tech(leg) == "Local":
            return None  # an attended transfer by keys calls a Local channel without a Dial (main/bridge_basic.c)
        return attempt or self._unseen_try(call, leg)

    _HANDLERS: ClassVar[dict[type, Callable[..., list[Call]]]] = {
        ev.ChannelBegan: _began,
        ev.ChannelSeen: _seen,
        ev.ChannelRenamed: _renamed,
        ev.LocalPaired: _paired,
        ev.DialBegan: _dial_began,
        ev.DialProgressed: _dial_progressed,
        ev.DialEnded: _dial_ended,
        ev.HangupRequested: _requested,
        ev.HungUp: _hung_up,
        ev.ChannelsListed: _listed,
        ev.ChannelsMet: _met,
        ev.QueueJoined: _queue_joined,
        ev.QueueLeft: _queue_left,
        ev.Booted: _nothing,
        SipSeen: _nothing,  # the switchboard's dialogs take them
        ev.ShutDown: _shut_down,
        ev.Backfilled: _backfilled,
    }
