"""Turns a judged call into the frozen record: class, meaning, fault, hint, trunk, direction. Pure."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from functools import lru_cache

from asterisk_sip import catalog
from asterisk_sip.calls import evidence
from asterisk_sip.calls.dialog_told import ladder_of, with_dialog
from asterisk_sip.calls.model import (
    Q850,
    Attempt,
    Caller,
    CallRecord,
    Fault,
    Grade,
    LadderLine,
    Outcome,
    SipStatus,
    call_id,
    utc,
)
from asterisk_sip.calls.overrides import Case, Override, Told, overridden
from asterisk_sip.calls.refusal_record import refusal_record, worded
from asterisk_sip.calls.state import Call, Leg
from asterisk_sip.calls.verdict import ANSWERED, Judged, Verdict, judge

TOLD_BY_THE_FAR_END = (Grade.WIRE, Grade.REPORTED)


@dataclass(frozen=True, slots=True)
class TrunkRule:
    """Which endpoints lead to a carrier: names, or patterns with ``*`` and ``?``."""

    name: str | None
    endpoints: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a record says of the place it was made in."""

    pbx: str
    version: str | None = None
    trunks: tuple[TrunkRule, ...] = ()
    overrides: tuple[Override, ...] = ()

    def trunk_of(self, endpoint: str | None) -> str | None:
        """Return the trunk an endpoint belongs to: the rule's name, or the endpoint's own; None for a phone."""
        if endpoint is not None:
            for rule in self.trunks:
                if _any_of(rule.endpoints).match(endpoint):
                    return rule.name or endpoint
        return None


@lru_cache(maxsize=1024)
def _any_of(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """Return one expression for all of the patterns, as ``fnmatchcase`` reads each."""
    return re.compile("|".join(map(fnmatch.translate, patterns)) or r"\Z\A.")


def record(call: Call, around: Surroundings) -> CallRecord:
    """Return the record of a call whose channels have all hung up, or that was refused without one."""
    if call.refusal is not None:
        return refusal_record(call.refusal, around.pbx, around.version)
    verdict = judge(call, around.version)
    root = call.root or Leg("", "", call.began_at, seen_begin=False)
    told = [_of_attempt(judged, around) for judged in verdict.attempts]
    attempts = tuple(
        _attempt(seq, judged, of_it, around)
        for seq, (judged, of_it) in enumerate(zip(verdict.attempts, told, strict=True), 1)
    )
    deciding = verdict.deciding
    of_call = (
        _tell(verdict.disposition, verdict.known, root) if deciding is None else told[verdict.attempts.index(deciding)]
    )
    endpoint = endpoint_of(root)
    return CallRecord(
        id=call_id(around.pbx, call.linkedid, call.generation),
        pbx=around.pbx,
        asterisk_version=around.version,
        linkedid=call.linkedid,
        started_at=utc(call.began_at),
        ended_at=utc(call.last_at),
        answered_at=utc(_answered_at(verdict, root)),
        duration_ms=_ms(call.began_at, call.last_at),
        direction=_direction(root, attempts, around),
        caller=Caller(root.caller_number, root.caller_name, endpoint),
        dialled=_dialled_by_caller(root, attempts),
        context=root.context,
        exten=root.exten,
        account=root.account,
        outcome=verdict.outcome,
        disposition=of_call.disposition,
        sip=of_call.sip,
        evidence=verdict.known.evidence,
        q850=_q850(root if deciding is None else deciding.leg),
        released_by=verdict.released_by,
        fault=of_call.fault,
        hint=None if verdict.outcome is Outcome.ANSWERED else of_call.hint,
        attempts=attempts,
        partial=call.partial,
        backfilled=call.backfilled,
        gap_ids=call.gap_ids,
        rule=of_call.rule,
        sip_call_id=root.call_id,
        ladder=_ladder_of_caller(root, verdict.outcome),
    )


def _ladder_of_caller(root: Leg, outcome: Outcome) -> tuple[LadderLine, ...] | None:
    if root.dialog is None or root.dialled_by_us or outcome in (Outcome.ANSWERED, Outcome.RESCUED):
        return None
    return ladder_of(root.dialog)


def endpoint_of(leg: Leg) -> str | None:
    """Return the endpoint (peer) in a channel's name: ``PJSIP/acme-0000002a`` -> ``acme``. None for Local channels."""
    technology, _, rest = leg.name.partition("/")
    if technology == "Local" or not rest:
        return None
    name = rest.partition("<")[0].rpartition("-")[0] or rest
    return name.partition("/")[0] if technology == "DAHDI" else name


def number_in(dial_string: str, endpoint: str | None) -> str | None:
    """Return the number in a dial string: ``608@acme``, ``acme/608`` and ``acme/sip:608@host`` all give ``608``.

    A bare endpoint name gives None: there the device is the destination. What follows the number or the name of a user
    (``608:secret@acme``) is a password. ``endpoint`` is None for a Local channel, whose options stand behind the slash.
    """
    head, _, tail = dial_string.partition("/")
    text = (tail or head) if endpoint is not None else head
    user, at, _ = text.removeprefix("sips:").removeprefix("sip:").partition("@")
    if at:
        user = user.partition(":")[0]
    return user if user and user != endpoint and (user != dial_string or at) else None


def _of_attempt(judged: Judged, around: Surroundings) -> Told:
    attempt, status = judged.attempt, judged.known.status
    told = _tell(judged.disposition, judged.known, judged.leg)
    if not around.overrides or judged.disposition == ANSWERED:
        return told
    endpoint = endpoint_of(judged.leg)
    case = Case(
        trunk=around.trunk_of(endpoint),
        endpoint=endpoint,
        code=status.code,
        phrase=status.phrase,
        failed_after_ms=_ms(attempt.began_at, attempt.ended_at),
        rang=attempt.alive_at is not None,
    )
    return overridden(told, case, around.overrides)


def _tell(disposition: str, known: evidence.Known, leg: Leg) -> Told:
    return _words(disposition, known.status, known.evidence.grade, leg.cause)


@lru_cache(maxsize=4096)  # the same few statuses come again and again; remote phrases cannot make it grow
def _words(disposition: str, status: SipStatus, grade: Grade, cause: int | None) -> Told:
    return Told(
        disposition,
        _status(status, grade, disposition),
        _fault(status, grade, disposition, cause),
        _hint(status, grade, disposition),
    )


def _attempt(seq: int, judged: Judged, told: Told, around: Surroundings) -> Attempt:
    attempt, leg = judged.attempt, judged.leg
    endpoint = endpoint_of(leg)
    made = Attempt(
        seq=seq,
        stage=attempt.stage,
        channel=leg.name,
        uniqueid=leg.uniqueid,
        endpoint=endpoint,
        trunk=around.trunk_of(endpoint),
        dialled=number_in(attempt.dial_string, endpoint),
        sip_call_id=leg.call_id,
        began_at=utc(attempt.began_at),
        ended_at=utc(attempt.ended_at),
        pdd_ms=_ms(attempt.began_at, attempt.alive_at) if attempt.began_seen else None,
        ring_ms=_ms(attempt.ringing_at, attempt.answered_at or attempt.ended_at),
        dial_status=attempt.dial_status,
        forward=attempt.forward,
        disposition=told.disposition,
        sip=told.sip,
        evidence=judged.known.evidence,
        q850=_q850(leg),
        fault=told.fault,
        rule=told.rule,
    )
    return with_dialog(made, leg.dialog) if leg.dialog is not None else made


def _status(status: SipStatus, grade: Grade, disposition: str) -> SipStatus:
    """Add class, meaning and reference from the catalogue to a bare status.

    What a code means holds when the far end sent it; of one that is Asterisk's own, what became of the attempt is told.
    """
    if status.code is None:
        return status
    told = grade in TOLD_BY_THE_FAR_END
    text = catalog.code_text(status.code, status.phrase) if told else catalog.disposition_text(disposition)
    return worded(status.code, status.phrase, text.meaning, status.candidates)


def _fault(status: SipStatus, grade: Grade, disposition: str, cause: int | None) -> Fault:
    """Return whose side it was on: by the code when the far end named one, else by the cause, else by the outcome."""
    if status.code is not None and grade in TOLD_BY_THE_FAR_END:
        row = catalog.sip_code(status.code, status.phrase)
        if row.disposition == disposition:
            return Fault(row.fault, catalog.code_text(status.code, status.phrase).fault_reason)
    elif cause and catalog.q850_cause(cause).disposition == disposition:
        return Fault(catalog.q850_cause(cause).fault, catalog.q850_reason(cause))
    return Fault(catalog.disposition(disposition).fault, catalog.disposition_text(disposition).fault_reason)


def _hint(status: SipStatus, grade: Grade, disposition: str) -> str | None:
    if disposition == ANSWERED:
        return None
    code = status.code if grade in TOLD_BY_THE_FAR_END else None
    return catalog.hint(disposition, code, status.phrase)


def _q850(leg: Leg) -> Q850:
    return Q850(leg.cause, leg.cause_text)


def _direction(root: Leg, attempts: tuple[Attempt, ...], around: Surroundings) -> str | None:
    """Return inbound, outbound or internal; None as long as the config names no trunks."""
    if not around.trunks:
        return None
    if around.trunk_of(endpoint_of(root)) is not None and not root.dialled_by_us:
        return "inbound"
    return "outbound" if any(attempt.trunk is not None for attempt in attempts) else "internal"


def _answered_at(verdict: Verdict, root: Leg) -> float | None:
    if verdict.disposition != ANSWERED:
        return None
    return verdict.deciding.attempt.answered_at if verdict.deciding is not None else root.up_at


def _dialled_by_caller(root: Leg, attempts: tuple[Attempt, ...]) -> str | None:
    if root.dialled and not root.dialled_by_us:
        return root.dialled
    return attempts[0].dialled if attempts else None


def _ms(start: float | None, end: float | None) -> int | None:
    if start is None or end is None:
        return None
    return max(0, round((end - start) * 1000))
