"""What is known of a leg's SIP status, and how well: the ladder of grades, best first.

Rules: facts of Asterisk 16.28 and 22.10.1 as measured; file names are Asterisk's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from asterisk_sip import catalog
from asterisk_sip.calls.model import Evidence, Finding, Grade, SipStatus
from asterisk_sip.calls.state import Leg, Try

HEP = "HEP"
LINE = "channelvars"
TECH_CAUSE = "TechCause"
CAUSE = "Cause"
DIAL_STATUS = "DialStatus"
CANCEL = "CANCEL"

PEER_ALIVE_S = 300.0
"""For how long a peer that was heard from is taken to be reachable."""

LOCAL_408_MIN_S = 5.0
"""pjproject makes up a 408 after timer B. Timer B is 64 x T1 and T1 at least 100 ms (pjsip.conf ``timer_t1``), so a 408
that comes sooner was received. 64 x 100 ms = 6.4 s, less a margin for the event's own delay."""

FIRST_FINAL = 200

SIP_TECHS = ("PJSIP", "SIP")
"""The channel drivers that speak SIP."""

_STATUS = re.compile(r"SIP(?:/2[.]0)? ([1-6][0-9]{2})(?: (.*))?", re.DOTALL)
"""RFC 3261 section 7.2 knows six classes; chan_sip passes on whatever number the far end wrote (799 seen on 16.28)."""

Reading = tuple[int, str] | None


def read_line(heard: str | None) -> Reading:
    """Return (status, phrase) from the value of the channelvars line, None when it holds no status line.

    ``SIP 486 Busy Here`` as channels/chan_pjsip.c ``chan_pjsip_incoming_response_update_cause`` and
    channels/chan_sip.c store it; the phrase is kept to the letter.
    """
    match = _STATUS.fullmatch(heard) if heard is not None else None
    return (int(match[1]), match[2] or "") if match else None


def no_status(heard: str | None) -> str | None:
    """Return what the far end answered that is no status of SIP, ``799 Odd One``; None when there is no such thing."""
    odd = heard is not None and heard.startswith("SIP ") and read_line(heard) is None
    return heard.removeprefix("SIP ") if odd and heard is not None else None


def says_nothing_came(heard: str | None) -> bool:
    """Return whether the line says that no response ever came.

    It then shows a number, the length of the channel's name; the line of former times showed its own unexpanded text.
    """
    return heard is not None and (heard.startswith("{HANGUPCAUSE(") or (heard.isascii() and heard.isdigit()))


@dataclass(frozen=True, slots=True)
class Known:
    """The evidence of one leg: the winning finding, the others, and the codes possible when none is certain."""

    status: SipStatus
    evidence: Evidence
    nothing_came: bool = False


def tech(leg: Leg) -> str:
    """Return the technology of a leg: ``PJSIP``, ``SIP``, ``Local``, ``IAX2``, ``DAHDI``."""
    return leg.name.partition("/")[0]


def of_attempt(attempt: Try, leg: Leg, version: str | None) -> Known:
    """Weigh what the sources say of an attempt's SIP status. ``version`` is Asterisk's, None when unknown."""
    if tech(leg) not in SIP_TECHS:
        return Known(SipStatus(), Evidence())
    findings, silent = _seen_on_the_wire(attempt, leg)
    nothing_came = bool(silent) and not findings
    reading = (findings[0].code or 0, "") if findings else None
    derived = _from_tech_cause(attempt, leg, received=reading, nothing_came=nothing_came)
    if derived is not None:
        findings.append(derived)
    if not findings:
        local = _from_silence(attempt, leg, silent[0]) if nothing_came else None
        if local is not None:
            findings.append(local)
    if findings:
        winner, *losers = findings
        conflict = any(_contradicts(winner, loser) for loser in losers)
        return Known(
            SipStatus(winner.code, winner.phrase),
            Evidence(winner.grade, winner.source, tuple(losers), conflict),
            nothing_came,
        )
    odd = no_status(attempt.heard) if attempt.answered_at is None else None
    if odd is not None or nothing_came:
        said = (Finding(Grade.NONE, LINE, phrase=odd),) if odd is not None else ()
        return Known(SipStatus(), Evidence(Grade.NONE, LINE if said else silent[0], said), not said)
    if attempt.answered_at is not None:  # 200 is the only 2xx an INVITE can have, but nobody showed it to us
        return Known(SipStatus(candidates=(200,)), Evidence(Grade.CANDIDATES, leg.cause_source or DIAL_STATUS))
    codes = _candidates(attempt, leg, version)
    if codes:
        return Known(SipStatus(candidates=codes), Evidence(Grade.CANDIDATES, leg.cause_source or CAUSE))
    return Known(SipStatus(), Evidence())


def _seen_on_the_wire(attempt: Try, leg: Leg) -> tuple[list[Finding], list[str]]:
    """Return what each source says was received, the best source first, and the sources that say: nothing.

    Of an answered leg the line says "nothing" too once another channel shared its bridge (seen on 16.28 and 22.10.1).
    """
    findings: list[Finding] = []
    silent: list[str] = []
    said = [(LINE, *_said_by_line(attempt, leg))]
    said += [(source, read_line(text), text is None) for source, text in leg.told]
    if leg.dialog is not None:
        said.insert(0, (HEP, leg.dialog.heard, leg.dialog.heard is None))
    for source, reading, nothing in said:
        if reading is not None:
            findings.append(Finding(Grade.WIRE, source, *reading))
        elif nothing and attempt.answered_at is None:
            silent.append(source)
    return findings, silent


def _said_by_line(attempt: Try, leg: Leg) -> tuple[Reading, bool]:
    """Return what the line said was received, and whether it said: nothing.

    Of a leg whose end was read in a log it last spoke before the gap: then only a final status still holds.
    """
    reading = read_line(attempt.heard)
    if leg.cause_source is not None and (reading is None or reading[0] < FIRST_FINAL):
        return None, False
    return reading, says_nothing_came(attempt.heard)


def _contradicts(winner: Finding, other: Finding) -> bool:
    """Return whether two findings name different final statuses that the far end is said to have sent."""
    believed = (Grade.WIRE, Grade.REPORTED)
    if winner.grade not in believed or other.grade not in believed:
        return False
    codes = (winner.code or 0, other.code or 0)
    return min(codes) >= FIRST_FINAL and codes[0] != codes[1]


def _from_tech_cause(attempt: Try, leg: Leg, *, received: Reading, nothing_came: bool) -> Finding | None:
    """Read TechCause as far as it can be believed (res_pjsip ``chan_pjsip_session_end``, ``chan_pjsip_hangup``).

    Believed only on a PJSIP leg that was never answered and whose session ended before Asterisk itself ended the leg;
    when a caller gave up, another leg answered, or a time-out passed, the number is Asterisk's own.
    """
    code = leg.tech_cause
    if code is None or not 300 <= code <= 699 or tech(leg) != "PJSIP" or attempt.answered_at is not None:
        return None
    if attempt.dial_status == "CANCEL":
        if attempt.forward is None or not 300 <= code < 400:
            return None
    elif not attempt.requested_before_end:
        return None
    if nothing_came or (received is not None and received[0] != code):
        return Finding(Grade.LOCAL, TECH_CAUSE, code)
    if received is None and may_be_local(code, attempt, leg):
        return Finding(Grade.LOCAL, TECH_CAUSE, code)
    return Finding(Grade.REPORTED, TECH_CAUSE, code)


def may_be_local(code: int, attempt: Try, leg: Leg) -> bool:
    """Return whether Asterisk's own stack may have made this code up, with no line to tell.

    408 after timer B without a sign of life. 503 when the connection was refused or the name did not resolve: no event
    tells that from a received 503 (compared field by field on 22.10.1), so it is believed only of a peer that was
    heard from lately.
    """
    if attempt.alive_at is not None:
        return False
    if code == 503:
        return not peer_was_alive(attempt)
    told_by_its_channel = leg.seen_begin and attempt.dialer is None and not attempt.dial_string
    return code == 408 and (not (attempt.began_seen or told_by_its_channel) or lasted_s(attempt) >= LOCAL_408_MIN_S)


def lasted_s(attempt: Try) -> float:
    """Return how long an ended attempt lasted."""
    return (attempt.ended_at or attempt.began_at) - attempt.began_at


def peer_was_alive(attempt: Try) -> bool:
    """Return whether the attempt's peer had shown a sign of life not long before."""
    return attempt.peer_alive_at is not None and attempt.began_at - attempt.peer_alive_at <= PEER_ALIVE_S


def shows_life(attempt: Try, leg: Leg) -> bool:
    """Return whether an ended attempt proves that its peer is there: it rang, answered, or sent a status of its own."""
    if attempt.alive_at is not None or read_line(attempt.heard) is not None:
        return True
    own = leg.tech_cause is not None and 300 <= leg.tech_cause <= 699 and leg.tech_cause not in (408, 503)
    return own and attempt.requested_before_end and attempt.dial_status != "CANCEL" and not says_nothing_came(leg.heard)


def _from_silence(attempt: Try, leg: Leg, source: str) -> Finding | None:
    """Nothing was received, yet the session ended by itself: name what pjproject then makes up.

    Cause 18 is only mapped from 408, and of the codes on cause 34 only 503 is ever local (res_pjsip.c
    ``ast_sip_hangup_sip2cause``; observed on 16.28 and 22.10.1).
    """
    code = {18: 408, 34: 503}.get(leg.cause or 0)
    if code is None or not attempt.requested_before_end:
        return None
    return Finding(Grade.LOCAL, source, code)


def _candidates(attempt: Try, leg: Leg, version: str | None) -> tuple[int, ...]:
    """Return the codes that this Asterisk files under the leg's Q.850 cause.

    Only when the far end ended the attempt: a cause that Asterisk set itself says nothing about SIP.
    """
    if leg.cause is None or attempt.answered_at is not None or attempt.dial_status == "CANCEL":
        return ()
    if not attempt.requested_before_end and attempt.dial_status not in ("BUSY", "CONGESTION"):
        return ()
    driver = "pjsip" if tech(leg) == "PJSIP" else "sip"
    return catalog.candidates(leg.cause, version, driver)


def cancelled_by_caller(leg: Leg) -> bool:
    """Return whether an unanswered caller's hangup request was his own CANCEL, and not the end of a refused session.

    Busy() and Congestion() end the SIP session before they set the channel's state, so the request may be told first.
    CANCEL leaves 127 on a PJSIP leg (487 mapped), any other cause is that of Asterisk's answer (16.28 and 22.10.1).
    """
    if leg.requested_at is None or leg.refused:
        return False
    return tech(leg) != "PJSIP" or leg.cause in (None, 0, 127)


def of_caller(leg: Leg, version: str | None) -> Known:
    """Return what Asterisk answered the caller, for a call that it refused by itself.

    ``TechCause`` on an unanswered inbound leg is the code Asterisk sent. Without one: 487 to a caller who sent CANCEL
    (RFC 3261 section 9.2; observed on 16.28, whose cause 127 stands for nothing else here); else the cause decides by
    Asterisk's own table, 603 when the table has none (chan_pjsip.c ``hangup_cause2sip``, res_pjsip_session.c
    ``ast_sip_session_terminate``). HEP shows the answer itself.
    """
    if leg.up_at is not None or tech(leg) not in SIP_TECHS or leg.dialled_by_us:
        return Known(SipStatus(), Evidence())
    answer = leg.dialog.heard if leg.dialog is not None else None
    if answer is not None and answer[0] >= FIRST_FINAL:
        return Known(SipStatus(*answer), Evidence(Grade.SENT, HEP))
    if leg.cause is None:
        return Known(SipStatus(), Evidence())
    if leg.tech_cause is not None and 300 <= leg.tech_cause <= 699:
        return Known(SipStatus(leg.tech_cause), Evidence(Grade.SENT, TECH_CAUSE))
    if cancelled_by_caller(leg):
        return Known(SipStatus(487), Evidence(Grade.SENT, CANCEL))
    driver = "pjsip" if tech(leg) == "PJSIP" else "sip"
    code = catalog.code_sent_to_caller(leg.cause, driver, version)
    return Known(SipStatus(code), Evidence(Grade.SENT, leg.cause_source or CAUSE))
