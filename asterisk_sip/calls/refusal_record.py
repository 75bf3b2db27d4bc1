"""The record of a request that the PBX refused without making a channel of it, seen from our own side. Pure."""

from __future__ import annotations

from asterisk_sip import catalog
from asterisk_sip.calls.model import (
    Q850,
    Caller,
    CallRecord,
    Evidence,
    Fault,
    Grade,
    Outcome,
    SipStatus,
    call_id,
    utc,
)
from asterisk_sip.calls.refusals import Refusal


def refusal_record(refusal: Refusal, pbx: str, version: str | None) -> CallRecord:
    """Return the record of a refusal on ``pbx``, whose Asterisk has this ``version`` if known."""
    row = catalog.refused(refusal.code, refusal.method)
    text = catalog.refused_text(row)
    return CallRecord(
        id=call_id(pbx, refusal.key, 0),
        pbx=pbx,
        asterisk_version=version,
        linkedid=refusal.key,
        started_at=utc(refusal.began_at),
        ended_at=utc(refusal.ended_at),
        answered_at=None,
        duration_ms=max(0, round((refusal.ended_at - refusal.began_at) * 1000)),
        direction="inbound",
        caller=Caller(refusal.caller.user or None, refusal.caller.display, refusal.source),
        dialled=refusal.dialled,
        context=None,
        exten=None,
        account=None,
        outcome=Outcome.FAILED,
        disposition=row.disposition,
        sip=worded(refusal.code, refusal.phrase, text.meaning),
        evidence=Evidence(Grade.SENT, "HEP"),
        q850=Q850(),
        released_by="pbx",
        fault=Fault(row.fault, text.fault_reason),
        hint=text.next_step,
        attempts=(),
        partial=False,
        sip_call_id=refusal.call_id,
        count=refusal.requests,
        ladder=refusal.ladder,
    )


def worded(code: int, phrase: str | None, meaning: str, candidates: tuple[int, ...] | None = None) -> SipStatus:
    """Return a status with its class and reference from the catalogue, and what it means here."""
    entry = catalog.sip_code(code, phrase)
    sip_class = catalog.sip_class(entry.sip_class)
    return SipStatus(
        code=code,
        phrase=phrase,
        class_=sip_class.digit,
        class_name=sip_class.name,
        class_meaning=sip_class.meaning,
        meaning=meaning,
        reference=entry.reference,
        candidates=candidates,
    )
