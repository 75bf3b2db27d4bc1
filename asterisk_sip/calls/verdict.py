"""Judges an ended call: what each attempt came to, which one decided the call, who ended it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from asterisk_sip import catalog
from asterisk_sip.calls import evidence
from asterisk_sip.calls.evidence import Known
from asterisk_sip.calls.model import Evidence, Grade, Outcome, SipStatus
from asterisk_sip.calls.state import GAVE_UP, LEFT, Call, Leg, Try

ANSWERED, CANCELLED, FORWARDED, ELSEWHERE = "answered", "cancelled", "forwarded", "answered_elsewhere"

OF_A_PERSON = ("busy", "rejected", "no_answer")
"""What the called person's telephone says, the most telling first."""

NO_ROUTE_CAUSES = (3, 20)
"""What Dial leaves when it found no endpoint, no contact or no registration (chan_pjsip.c ``request``)."""


CHALLENGES = (401, 407)
"""A far side that wants a login: no outcome as long as the answer to our login is awaited."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One attempt with its evidence and what it came to."""

    attempt: Try
    leg: Leg
    known: Known
    disposition: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """A whole call. ``deciding`` is the attempt the call's own status is taken from, None when there was none."""

    outcome: Outcome
    disposition: str
    known: Known
    released_by: str
    deciding: Judged | None
    attempts: tuple[Judged, ...]


def judge(call: Call, version: str | None = None) -> Verdict:
    """Judge a call whose channels have all hung up. ``version`` is Asterisk's, None when unknown."""
    shown = _shown(call)
    answered_stages = {attempt.stage for attempt in shown if attempt.answered_at is not None}
    attempts = tuple(_judge_attempt(call, attempt, answered_stages, version) for attempt in shown)
    deciders = _deciders(call, attempts)
    answered = [judged for judged in deciders if judged.disposition == ANSWERED]
    if answered:
        first = min(answered, key=lambda judged: judged.attempt.answered_at or 0.0)
        outcome = Outcome.RESCUED if _failed_before(call, first, deciders) else Outcome.ANSWERED
        return Verdict(outcome, ANSWERED, first.known, _released_answered(call, first), first, attempts)
    if not deciders:
        return _without_attempt(call, version, attempts)
    deciding = _deciding(deciders)
    if deciding.disposition != CANCELLED and _gave_up_in_queue(call):  # while no agent was being called
        return Verdict(Outcome.ABANDONED, CANCELLED, _of_caller(call, version), "caller", None, attempts)
    outcome = Outcome.ABANDONED if deciding.disposition in (CANCELLED, ELSEWHERE) else Outcome.FAILED
    released_by = _released_failed(call, deciding)
    return Verdict(outcome, deciding.disposition, deciding.known, released_by, deciding, attempts)


def _shown(call: Call) -> list[Try]:
    """Leave out the attempts on Local channels that led to attempts on real ones: those are told instead."""
    dialers = {attempt.dialer for attempt in call.tries}
    return [attempt for attempt in call.tries if call.legs[attempt.leg].pair not in dialers - {None}]


def _deciders(call: Call, attempts: tuple[Judged, ...]) -> list[Judged]:
    """Leave out the attempts that made the first side of an Originate, when that side then dialled others."""
    others = [judged for judged in attempts if not _on_first_side(call, judged.leg)]
    return others or list(attempts)


def _on_first_side(call: Call, leg: Leg) -> bool:
    """Return whether a leg is the one the call began with, or stands behind it when that is a Local channel."""
    root = call.root
    if root is None or leg.uniqueid == root.uniqueid:
        return True
    attempt = call.try_of(leg.uniqueid)
    return attempt is not None and attempt.dialer is not None and attempt.dialer == root.pair


def _judge_attempt(call: Call, attempt: Try, answered_stages: set[int], version: str | None) -> Judged:
    leg = call.legs[attempt.leg]
    known = evidence.of_attempt(attempt, leg, version)
    dial_status = _dial_status(call, attempt)
    broken_off = dial_status == "CANCEL" or (attempt.stage in answered_stages and leg.cause == 26)
    if attempt.answered_at is not None:
        disposition = ANSWERED
    elif attempt.forward is not None:
        disposition = FORWARDED
    elif leg.up_at is not None and dial_status not in ("ANSWER", "CANCEL", None):
        disposition = "rejected"  # by what answers for the callee: a routine of the dialplan, a question to press 1
    elif _refused(attempt, leg, known) and not (broken_off and known.status.code == 487):  # 487 answers our CANCEL
        disposition = _of_code(call, attempt, known)
    elif not known.nothing_came and _hung_up_by_us(call, attempt, leg):
        disposition = "pbx_ended"
    elif broken_off:
        elsewhere = leg.cause == 26 or attempt.stage in answered_stages
        disposition = (
            ELSEWHERE if elsewhere else CANCELLED if _caller_left(call, attempt) else _ended_by_us(call, attempt)
        )
    elif known.status.code in CHALLENGES:  # the last status, and not what ended it: nothing came once we had logged in
        disposition = "no_response"
    elif evidence.tech(leg) == "Local":
        disposition = _of_local(attempt, leg)
    elif known.status.code is not None:
        disposition = catalog.sip_code(known.status.code, known.status.phrase).disposition
    elif known.nothing_came:
        disposition = "no_response"
    else:
        disposition = _of_cause(attempt, leg, dial_status, known)
    return Judged(attempt, leg, known, disposition)


def _refused(attempt: Try, leg: Leg, known: Known) -> bool:
    """Return whether a final status ended the attempt."""
    code = known.status.code
    return code is not None and code >= 300 and not _only_challenged(attempt, leg, known)


def _only_challenged(attempt: Try, leg: Leg, known: Known) -> bool:
    """Return whether a 401 or 407 was not the last word: we logged in, then the time was over or the caller left."""
    if known.status.code not in CHALLENGES or evidence.tech(leg) != "PJSIP":  # chan_sip asks for no hangup when refused
        return False
    own = leg.tech_cause == 408 or (leg.tech_cause is None and leg.cause == 18)  # pjproject's time-out, up to 22.8
    late = evidence.lasted_s(attempt) >= evidence.LOCAL_408_MIN_S  # 22.9 on: the challenge stands for the time-out too
    return own or late or not attempt.requested_before_end


def _hung_up_by_us(call: Call, attempt: Try, leg: Leg) -> bool:
    """Return whether somebody here hung the dialled leg up: Dial's own time-out leaves cause 0, Originate's 19."""
    own = attempt.dial_status == "NOANSWER" and not attempt.requested_before_end and not call.partial
    return own and evidence.tech(leg) == "PJSIP" and leg.cause not in (None, 0, 19)


def _caller_left(call: Call, attempt: Try) -> bool:
    """Return whether the caller may have given up during an attempt: nobody else is seen to have ended it.

    A caller's CANCEL leaves 127 on the first leg (487 mapped) even when the event of his leaving was missed. A caller
    who leaves later (a transfer that nobody took gave him back) did not end it.
    """
    root = call.root
    if root is None or call.partial:
        return True
    if root.requested_at is not None:
        return attempt.ended_at is None or attempt.caller_left
    return root.cause in (None, 127)


def _ended_by_us(call: Call, attempt: Try) -> str:
    """Return what became of an attempt that this PBX broke off: a manager, a time limit, a redirection.

    Answered elsewhere when another took the call meanwhile (a group in a group), or later from the same dialer, whom a
    manager had sent on.
    """
    until = attempt.ended_at or call.last_at
    answered = [other for other in call.tries if other.answered_at is not None and other is not attempt]
    for other in answered:
        if attempt.began_at <= (other.answered_at or 0.0) <= until or other.dialer == attempt.dialer is not None:
            return ELSEWHERE
    if _dialled_by_a_channel_that_ended(call, attempt):
        return "pbx_ended"
    return "no_answer" if attempt.alive_at is not None else "no_response"


def _dialled_by_a_channel_that_ended(call: Call, attempt: Try) -> bool:
    """Return whether the channel on whose behalf Dial called was taken from it, and not only its patience over.

    FollowMe and a transfer by keys give up by hanging up their Local channel, with no DialEnd of their own.
    """
    first = attempt
    while (outer := _outer(call, first)) is not None:
        first = outer
    dialer = call.legs.get(first.dialer or "")
    return first.dial_status == "CANCEL" and dialer is not None and evidence.tech(dialer) != "Local"


def _outer(call: Call, attempt: Try) -> Try | None:
    """Return the attempt on the Local channel behind which this one was made, None when it was made behind none."""
    dialer = call.legs.get(attempt.dialer or "")
    return call.try_of(dialer.pair) if dialer is not None and dialer.pair is not None else None


def _dial_status(call: Call, attempt: Try) -> str | None:
    """Return Dial's word for the end of an attempt; of one behind Local channels the word of the Dial that ended it.

    When an outer Dial gives up, the one behind its Local channel is cancelled: to that one the caller seems to leave.
    """
    outer: Try | None = attempt
    while outer is not None and outer.dial_status == "CANCEL":
        outer = _outer(call, outer)
    return "NOANSWER" if outer is not None and outer.dial_status == "NOANSWER" else attempt.dial_status


def _by_queue(call: Call, attempt: Try | None) -> bool:
    """Return whether a queue calls here, itself or behind a Local channel."""
    while attempt is not None and not attempt.by_queue:
        attempt = _outer(call, attempt)
    return attempt is not None


def _of_code(call: Call, attempt: Try, known: Known) -> str:
    code = known.status.code or 0
    if known.evidence.grade == Grade.LOCAL:
        return "no_response" if code == 408 else "unreachable"
    disposition = catalog.sip_code(code, known.status.phrase).disposition
    caller = call.root
    gave_up = (
        caller is not None and caller.requested_at is not None and (attempt.caller_left or not attempt.dial_status)
    )
    if disposition == CANCELLED and not gave_up:  # a 487 that nobody here asked for: the far side's own time-out
        return "no_answer" if attempt.ringing_at is not None else "unknown"
    return disposition


def _of_local(attempt: Try, leg: Leg) -> str:
    if leg.cause in NO_ROUTE_CAUSES or attempt.dial_status == "CHANUNAVAIL":
        return "unreachable"
    return "pbx_refused" if leg.cause or attempt.dial_status in ("BUSY", "CONGESTION") else "no_answer"


def _of_cause(attempt: Try, leg: Leg, dial_status: str | None, known: Known) -> str:
    """Fall back on Asterisk's own words when no SIP status is known."""
    if known.status.candidates is not None and len(known.status.candidates) == 1:
        [code] = known.status.candidates
        if code == 408 and not evidence.may_be_local(code, attempt, leg):
            return catalog.sip_code(code).disposition
    if leg.cause and (attempt.requested_before_end or dial_status in ("BUSY", "CONGESTION", "CHANUNAVAIL")):
        return catalog.q850_cause(leg.cause).disposition
    if dial_status in ("NOANSWER", None) and attempt.ended_at is not None and not evidence.no_status(attempt.heard):
        rang = attempt.alive_at is not None or leg.cause_source is not None  # who only logs ends tells of no ringing
        return "no_answer" if rang else "no_response"
    return "unknown"


def _failed_before(call: Call, first: Judged, deciders: list[Judged]) -> bool:
    """Return whether a stage failed before the answered one. A queue that calls agent after agent does its work."""
    harmless = (ANSWERED, ELSEWHERE, FORWARDED, CANCELLED)
    return any(
        judged.attempt.stage < first.attempt.stage
        and judged.disposition not in harmless
        and not _by_queue(call, judged.attempt)
        for judged in deciders
    )


def _gave_up_in_queue(call: Call) -> bool:
    return any(leg.queue == GAVE_UP for leg in call.legs.values())


def _deciding(deciders: list[Judged]) -> Judged:
    """Choose the attempt that speaks for a failed call: the best final response of the last stage.

    A caller who gave up decides over all. Else RFC 3261 section 16.7 step 6: a 6xx first, then the lowest class;
    provisional or no response last. Of one class, what a person's telephone said comes before what a server said.
    """
    last = max(judged.attempt.stage for judged in deciders)
    stage = [judged for judged in deciders if judged.attempt.stage == last]
    told = [judged for judged in stage if judged.disposition not in (ELSEWHERE, FORWARDED)] or stage
    cancelled = [judged for judged in told if judged.disposition == CANCELLED]
    return min(cancelled or told, key=_rank)


def _rank(judged: Judged) -> tuple[int, int, int]:
    status = judged.known.status
    code = status.code or min(status.candidates or (0,))
    final_class = code // 100 if code >= 300 else 9
    of_a_person = judged.disposition in OF_A_PERSON
    person = OF_A_PERSON.index(judged.disposition) if of_a_person else len(OF_A_PERSON)
    return (0 if final_class == 6 else final_class, person, judged.attempt.seq)


def _without_attempt(call: Call, version: str | None, attempts: tuple[Judged, ...]) -> Verdict:
    """Judge a call in which nothing was dialled: served or refused by the dialplan, or given up before."""
    root = call.root
    if root is None:
        return Verdict(Outcome.FAILED, "unknown", _nothing_known(), "unknown", None, attempts)
    if _gave_up_in_queue(call):
        return Verdict(Outcome.ABANDONED, CANCELLED, _of_caller(call, version), "caller", None, attempts)
    if root.queue == LEFT and not call.partial:
        return Verdict(Outcome.FAILED, "no_answer", _of_caller(call, version), "pbx", None, attempts)
    if root.up_at is not None:
        released_by = "caller" if call.first_requested == root.uniqueid else "pbx"
        return Verdict(Outcome.ANSWERED, ANSWERED, _nothing_known(), released_by, None, attempts)
    known = evidence.of_caller(root, version)
    if evidence.cancelled_by_caller(root):
        return Verdict(Outcome.ABANDONED, CANCELLED, known, "caller", None, attempts)
    no_route = root.cause in NO_ROUTE_CAUSES
    disposition = "unknown" if root.cause is None else "unreachable" if no_route else "pbx_refused"
    return Verdict(Outcome.FAILED, disposition, known, "pbx", None, attempts)


def _of_caller(call: Call, version: str | None) -> Known:
    root = call.root
    return evidence.of_caller(root, version) if root is not None else _nothing_known()


def _nothing_known() -> Known:
    return Known(SipStatus(), Evidence())


def _released_answered(call: Call, answered: Judged) -> str:
    leg = call.legs.get(call.first_requested or "")
    if leg is None:
        return "pbx"
    return "caller" if _on_first_side(call, leg) and not _on_first_side(call, answered.leg) else "callee"


def _released_failed(call: Call, deciding: Judged) -> str:
    root = call.root
    if deciding.disposition in (CANCELLED, ELSEWHERE):
        return "caller" if root is not None and root.requested_at is not None else "pbx"
    grade = deciding.known.evidence.grade
    code = deciding.known.status.code
    if grade == Grade.LOCAL:
        return "network"
    refused = grade in (Grade.WIRE, Grade.REPORTED) and code is not None and code >= 300 and code != 487
    if refused or grade == Grade.CANDIDATES or deciding.attempt.requested_before_end:
        told = refused or code is None  # else the far end only said that it works on it
        return "callee" if told and _side(deciding, code) == "callee" else "network"
    return "pbx"


def _side(judged: Judged, code: int | None) -> str:
    """Return whose side the far end's refusal was on: by its status, else by its cause, else by what it came to."""
    if code is not None:
        return catalog.sip_code(code, judged.known.status.phrase).fault
    cause = catalog.q850_cause(judged.leg.cause or 0)
    return cause.fault if cause.disposition == judged.disposition else catalog.disposition(judged.disposition).fault
