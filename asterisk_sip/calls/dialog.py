"""What is remembered of one SIP dialog that an INVITE began: how far it came, what was said, who ended it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from asterisk_sip.calls.sip_seen import UDP, Address, Party, SipMessage, SipSeen
from asterisk_sip.catalog.redress import Redress, redress_contact

MAX_LADDER = 60
MAX_LINE = 200
MAX_TOLD = 8  # Reason, Warning, Call-Info, Contact values kept of a message

CHALLENGES = (401, 407)
AFTER_TRYING = (488, 500)  # no codec in common; no session to be had


class Step(NamedTuple):
    """One message of the ladder. ``by_inviter``: it came from the side that sent the first INVITE."""

    at: float
    by_inviter: bool
    line: str
    reason: str | None


@dataclass(slots=True)
class Dialog:
    """All messages of one Call-ID that began with an INVITE. Times are seconds since 1970.

    ``sent``: the PBX sent the INVITE; False: it received it; None: nobody could tell.
    """

    call_id: str
    began_at: float
    invite: SipMessage  # the first one
    src: Address
    dst: Address
    udp: bool = True
    sent: bool | None = None
    cseq: int = 0  # of the newest INVITE that opens the call
    branch: str | None = None
    resent: int = 0  # how often the same INVITE came again
    resent_at: float | None = None  # when it came again first
    attempts: int = 1  # INVITEs that open the call: a second one answers a challenge
    replied_at: float | None = None  # first response of any kind
    tried: bool = False  # some response was provisional: Asterisk answers 100 when it makes a channel
    alive_at: float | None = None  # first 1xx over 100, or answer
    ringing_at: float | None = None
    answered_at: float | None = None
    cancelled_at: float | None = None  # when the inviter gave up
    ended_at: float | None = None
    ended_by_inviter: bool | None = None
    status: tuple[int, str] | None = None  # the last response, as of when the inviter gave up if it did
    last_status: tuple[int, str] | None = None  # the last response, whatever came before
    reasons: tuple[str, ...] = ()  # of the final response
    end_reasons: tuple[str, ...] = ()  # of the BYE or CANCEL
    early_reasons: tuple[str, ...] = ()  # of provisional responses
    warnings: tuple[str, ...] = ()
    retry_after_s: int | None = None
    call_info: tuple[str, ...] = ()
    contacts: tuple[str, ...] = ()  # where a 3xx points to
    ladder: list[Step] = field(default_factory=list)
    left_out: int = 0  # messages over the bound of the ladder
    _shown: set[tuple[bool, str, int, int | None, str | None]] = field(default_factory=set)

    @property
    def number(self) -> str:
        """The user of the request URI: what was dialled."""
        return self.invite.user

    @property
    def code(self) -> int | None:
        """The status the call came to: what Asterisk heard before it gave up, or what it answered."""
        return self.heard[0] if self.heard is not None else None

    @property
    def phrase(self) -> str | None:
        """The phrase of ``code``."""
        return self.heard[1] if self.heard is not None else None

    @property
    def redress(self) -> Redress | None:
        """Whom to ask why the call was blocked (603+, 607, 608)."""
        return redress_contact(self.reasons, self.call_info)

    @property
    def caller(self) -> Party:
        """Who calls: P-Asserted-Identity when there is one, else From."""
        return self.invite.asserted or self.invite.sender

    @property
    def remote(self) -> Address | None:
        """The other side's address in the first INVITE; None when nobody could tell which side is ours."""
        return None if self.sent is None else self.dst if self.sent else self.src

    @property
    def heard(self) -> tuple[int, str] | None:
        """Return ``code`` and ``phrase``, None when there was no response."""
        return self.last_status if self.sent is False else self.status

    @property
    def refused_outright(self) -> bool:
        """Whether the PBX refused a call without making a channel of it.

        Of every INVITE that gets a channel it says 100 first, also where the channel ends at once; and what ends that
        has a Reason header (res_pjsip_rfc3326). Only of an offer that fits no codec does it say 100 and make no channel
        (res_pjsip_session.c ``new_invite``; seen on 16.28 and 22.10.1).
        """
        failed = self.ended_at is not None and self.answered_at is None and self.cancelled_at is None
        if self.sent is not False or not failed or self.alive_at is not None:
            return False
        return not self.tried or (self.code in AFTER_TRYING and not self.reasons)

    def take(self, seen: SipSeen) -> None:
        """Take a message of this dialog."""
        message = seen.message
        by_inviter = (message.sender.tag == self.invite.sender.tag) == message.is_request
        if message.is_request:
            self._request(message, seen.at, by_inviter)
        elif message.method == "INVITE" and message.cseq == self.cseq and not by_inviter:
            self._response(message, seen.at)
        self._show(message, seen.at, by_inviter)

    def _request(self, message: SipMessage, at: float, by_inviter: bool) -> None:
        method = message.method
        if method == "INVITE" and by_inviter and message.target.tag is None:
            self._opens(message, at)
        elif method == "CANCEL" and by_inviter and message.cseq == self.cseq and self.cancelled_at is None:
            if self.ended_at is None and self.answered_at is None:
                self.cancelled_at = at
                self.ended_by_inviter = True
                self.end_reasons = message.reasons[:MAX_TOLD]
        elif method == "BYE" and self.answered_at is not None and self.ended_by_inviter is None:
            self.ended_at = at
            self.ended_by_inviter = by_inviter
            self.end_reasons = message.reasons[:MAX_TOLD]

    def _opens(self, message: SipMessage, at: float) -> None:
        """An INVITE that opens the call: sent again for want of an answer, or anew after a challenge."""
        if message.cseq == self.cseq and message.branch == self.branch:
            self.resent += 1
            self.resent_at = self.resent_at or at
        elif message.cseq >= self.cseq and self.answered_at is None:
            self.cseq, self.branch = message.cseq, message.branch
            self.attempts += 1
            self.ended_at = None
            self.ended_by_inviter = None

    def _response(self, message: SipMessage, at: float) -> None:
        code = message.status or 0
        if self.ended_at is not None:  # sent again for want of an ACK
            return
        self.replied_at = self.replied_at or at
        self.last_status = (code, message.phrase)
        if 100 < code < 300 and self.alive_at is None:
            self.alive_at = at
        if code == 180 and self.ringing_at is None:
            self.ringing_at = at
        elif 200 <= code < 300:
            self.answered_at = self.answered_at or at
        elif code >= 300:
            self.ended_at = at
        if self.cancelled_at is None:
            self.status = self.last_status
            self._details(message, code)

    def _details(self, message: SipMessage, code: int) -> None:
        if code < 200:
            self.tried = True
            fresh = [reason for reason in message.reasons if reason not in self.early_reasons]
            self.early_reasons = (*self.early_reasons, *fresh)[:MAX_TOLD]
        else:
            self.reasons = message.reasons[:MAX_TOLD]
        self.warnings = message.warnings[:MAX_TOLD] or (self.warnings if code < 300 else ())
        self.retry_after_s = message.retry_after_s
        self.call_info = message.call_info[:MAX_TOLD]
        self.contacts = message.contacts[:MAX_TOLD] if 300 <= code < 400 else ()

    def _show(self, message: SipMessage, at: float, by_inviter: bool) -> None:
        """Add a message to the ladder, unless it was shown: who gets no answer says it again."""
        shown = (by_inviter, message.method, message.cseq, message.status, message.target.tag)
        if shown in self._shown:
            return
        if len(self.ladder) >= MAX_LADDER:
            self.left_out += 1
            return
        self._shown.add(shown)
        reason = ", ".join(message.reasons)[:MAX_LINE] or None
        self.ladder.append(Step(at, by_inviter, message.line[:MAX_LINE], reason))


def begin(seen: SipSeen, sent: bool | None) -> Dialog:
    """Return the dialog that an INVITE begins."""
    invite = seen.message
    dialog = Dialog(invite.call_id, seen.at, invite, seen.src, seen.dst, seen.transport == UDP, sent)
    dialog.cseq, dialog.branch = invite.cseq, invite.branch
    dialog._show(invite, seen.at, by_inviter=True)  # noqa: SLF001  of the same class
    return dialog
