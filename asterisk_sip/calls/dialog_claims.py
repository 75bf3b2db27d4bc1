"""Which SIP dialog each leg of an ended call was, and what the leg learns from it. Pure."""

from __future__ import annotations

from asterisk_sip.calls.dialog import Dialog
from asterisk_sip.calls.dialogs import Dialogs, Key
from asterisk_sip.calls.enrich import endpoint_of, number_in
from asterisk_sip.calls.evidence import read_line, tech
from asterisk_sip.calls.state import Call, Leg, Try

NOBODY = "anonymous"


def claim_dialogs(call: Call, dialogs: Dialogs) -> None:
    """Give each PJSIP leg of an ended call its dialog: by Call-ID where a door told it, else by number and time."""
    if not dialogs.held:
        return
    for find in (_by_call_id, _by_number, _by_caller):  # what is sure goes before what is likely
        for leg in call.legs.values():
            if leg.dialog is None and tech(leg) == "PJSIP":
                attempt = call.try_of(leg.uniqueid)
                leg.dialog = find(call, leg, attempt, dialogs)
                if leg.dialog is not None:
                    _take(leg, attempt, leg.dialog)


def _by_call_id(_call: Call, leg: Leg, _attempt: Try | None, dialogs: Dialogs) -> Dialog | None:
    return dialogs.claim(leg.call_id) if leg.call_id else None


def _by_number(_call: Call, leg: Leg, attempt: Try | None, dialogs: Dialogs) -> Dialog | None:
    """Find by the number that was dialled; of a device by its name, which many have in their Contact."""
    if attempt is None:
        number = None if leg.dialled_by_us else leg.dialled
    else:
        endpoint = endpoint_of(leg)
        number = number_in(attempt.dial_string, endpoint) or endpoint
    return _like(("number", number), leg, attempt, dialogs) if number else None


def _by_caller(call: Call, leg: Leg, attempt: Try | None, dialogs: Dialogs) -> Dialog | None:
    """Find a device, which has any name in its Contact, by the caller as whom Asterisk calls it."""
    root = call.root
    if root is None or root is leg or attempt is None or number_in(attempt.dial_string, endpoint_of(leg)) is not None:
        return None
    caller = root.caller_number
    return _like(("caller", caller), leg, attempt, dialogs) if caller and caller != NOBODY else None


def _like(key: Key, leg: Leg, attempt: Try | None, dialogs: Dialogs) -> Dialog | None:
    if leg.call_id or leg.ended_at is None or not leg.seen_begin:
        return None
    heard = read_line(attempt.heard) if attempt is not None else None
    heard = heard or next(filter(None, (read_line(text) for _, text in leg.told)), None)
    code = heard[0] if heard is not None and attempt is not None else None
    return dialogs.claim_like(key, leg.began_at, leg.ended_at, code, outbound=leg.dialled_by_us)


def _take(leg: Leg, attempt: Try | None, dialog: Dialog) -> None:
    dialog.sent = leg.dialled_by_us
    leg.call_id = dialog.call_id
    if attempt is not None and attempt.answered_at is None:
        _complete(attempt, dialog)
    elif attempt is None and not dialog.sent and dialog.answered_at is None and dialog.ended_at is not None:
        # 16.28 may tell of the end of the session before it tells that it refused the caller: that is no CANCEL
        leg.refused = dialog.cancelled_at is None


def _complete(attempt: Try, dialog: Dialog) -> None:
    """Tell an attempt the signs of life that only the wire showed."""
    attempt.alive_at = attempt.alive_at or dialog.alive_at
    attempt.ringing_at = attempt.ringing_at or dialog.ringing_at
