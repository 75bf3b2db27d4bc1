"""What an attempt's record tells of its SIP dialog: the far end's own reasons, true times, the messages. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from asterisk_sip.calls.dialog import Dialog
from asterisk_sip.calls.model import Attempt, LadderLine

ANSWERED = "answered"


def with_dialog(attempt: Attempt, dialog: Dialog) -> Attempt:
    """Return the attempt with what its dialog showed. Times count from the INVITE itself, not from the Dial."""
    alive_ms = _ms(dialog.began_at, dialog.alive_at)
    ringing_ms = _ms(dialog.ringing_at, dialog.answered_at or dialog.cancelled_at or dialog.ended_at)
    ended_by_peer = dialog.ended_by_inviter is not None and dialog.ended_by_inviter != dialog.sent
    return replace(
        attempt,
        pdd_ms=attempt.pdd_ms if alive_ms is None else alive_ms,
        ring_ms=attempt.ring_ms if ringing_ms is None else ringing_ms,
        remote_reason=(dialog.end_reasons if ended_by_peer else dialog.reasons) or None,
        early_reason=dialog.early_reasons or None,
        remote_warning=dialog.warnings or None,
        retry_after_s=dialog.retry_after_s,
        redress=dialog.redress,
        ladder=None if attempt.disposition == ANSWERED else ladder_of(dialog),
    )


def ladder_of(dialog: Dialog) -> tuple[LadderLine, ...]:
    """Return the messages of a dialog in the order in which the PBX sent and received them.

    That is not always the order of their times: Asterisk notes when a message came before it was read, and when it went
    after it was written (seen on 16.28 and 22.10.1).
    """
    return tuple(
        LadderLine(
            datetime.fromtimestamp(step.at, UTC),
            "sent" if step.by_inviter == dialog.sent else "received",
            step.line,
            step.reason,
        )
        for step in dialog.ladder
    )


def _ms(start: float | None, end: float | None) -> int | None:
    return None if start is None or end is None else max(0, round((end - start) * 1000))
