"""Which SIP dialog each leg of an ended call was, and what the leg learns from it. Pure."""

from __future__ import annotations

from asterisk_sip.calls.dialog import Dialog
from asterisk_sip.calls.dialogs import Dialogs
from asterisk_sip.calls.enrich import endpoint_of, number_in
from asterisk_sip.calls.evidence import read_line, tech
from asterisk_sip.calls.state import Call, Leg, Try


def claim_dialogs(call: Call, dialogs: Dialogs) -> None:
    """Give each PJSIP leg of an ended call its dialog: by Call-ID where a door told it, else by number and time."""
    if not dialogs.held:
        return
    for leg in call.legs.values():
        if leg.dialog is not None or tech(leg) != "PJSIP":
            continue
        attempt = call.try_of(leg.uniqueid)
        outbound = leg.dialled_by_us
        leg.dialog = dialogs.claim(leg.call_id) if leg.call_id else _like(leg, attempt, dialogs, outbound=outbound)
        if leg.dialog is not None:
            leg.dialog.sent = outbound
            leg.call_id = leg.dialog.call_id
            if attempt is not None and attempt.answered_at is None:
                _complete(attempt, leg.dialog)


def _like(leg: Leg, attempt: Try | None, dialogs: Dialogs, *, outbound: bool) -> Dialog | None:
    if leg.ended_at is None or not leg.seen_begin:
        return None
    code = None
    if attempt is not None:
        endpoint = endpoint_of(leg)
        number = number_in(attempt.dial_string, endpoint) or endpoint
        heard = read_line(attempt.heard) or next(filter(None, (read_line(text) for _, text in leg.told)), None)
        code = heard[0] if heard is not None else None
    else:
        number = None if outbound else leg.dialled
    return dialogs.claim_like(number, leg.began_at, leg.ended_at, code, outbound=outbound) if number else None


def _complete(attempt: Try, dialog: Dialog) -> None:
    """Tell an attempt the signs of life that only the wire showed."""
    attempt.alive_at = attempt.alive_at or dialog.alive_at
    attempt.ringing_at = attempt.ringing_at or dialog.ringing_at
