"""A call told in one sentence: who was tried, what each said, how it ended. Pure; the words are data."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from itertools import groupby

from asterisk_sip.catalog.words import phrases

from .model import Attempt, CallRecord, SipStatus

_BY_DISPOSITION = {"answered_elsewhere", "forwarded", "pbx_ended", "unreachable", "no_response"}
_THIN = "\u202f"


def story(record: CallRecord, lang: str = "en") -> str:
    """Return the sentence, with numbers and phrases as they came. Raises UnknownLanguageError."""
    words = phrases("story", lang)
    told = ""
    for _, stage in groupby(record.attempts, key=lambda attempt: attempt.stage):
        clause = _stage(list(stage), record, words)
        told = words["then"].format(before=told, clause=clause) if told else clause
    if not told:
        told = _nobody(record, words)
    return words[f"end_{record.outcome.value}"].format(story=told)


def status_text(sip: SipStatus) -> str:
    """Return a status as one text: ``503 Service Unavailable``."""
    return f"{sip.code} {sip.phrase}" if sip.phrase else str(sip.code)


def took_ms(attempt: Attempt, record: CallRecord) -> float | None:
    """Return how long an attempt took until it was answered, or over; None when that is not known."""
    until = record.answered_at if attempt.disposition == "answered" and record.answered_at else attempt.ended_at
    return _ms(attempt.began_at, until)


def _stage(attempts: list[Attempt], record: CallRecord, words: Mapping[str, str]) -> str:
    if len(attempts) == 1:
        return _clause(attempts[0], record, words)
    number = len(attempts)
    winner = next((attempt for attempt in attempts if attempt.disposition == "answered"), None)
    if winner is not None:
        return _clause(winner, record, words, "answered_of", n=number)
    key = "cancelled_of" if any(attempt.disposition == "cancelled" for attempt in attempts) else "none_of"
    return words[key].format(n=number, names=", ".join(map(_who, attempts)))


def _clause(attempt: Attempt, record: CallRecord, words: Mapping[str, str], key: str = "", **more: object) -> str:
    def told(ms: float | None) -> str:
        return "?" if ms is None else _seconds(ms, words)

    return words[key or _key(attempt)].format(
        who=_who(attempt),
        after=told(took_ms(attempt, record)),
        ring=told(attempt.ring_ms),
        status=status_text(attempt.sip),
        candidates=", ".join(map(str, attempt.sip.candidates or ())),
        to=attempt.forward or "?",
        **more,
    )


def _key(attempt: Attempt) -> str:
    name, code = attempt.disposition, attempt.sip.code
    if name == "answered" or name in _BY_DISPOSITION:
        return name
    if name == "cancelled":
        return "cancelled_ringing" if attempt.ring_ms else "cancelled"
    if code is None:
        return "candidates" if attempt.sip.candidates else "unknown"
    if code < 200:
        return "rang" if attempt.ring_ms else "silence"
    return "busy" if name == "busy" else "refused"


def _nobody(record: CallRecord, words: Mapping[str, str]) -> str:
    if record.sip.code is None:
        return words["nobody_unknown"]
    key = "many" if record.count > 1 else "nobody"
    return words[key].format(n=record.count, status=status_text(record.sip))


def _who(attempt: Attempt) -> str:
    return attempt.trunk or attempt.endpoint or attempt.dialled or attempt.channel


def _seconds(ms: float, words: Mapping[str, str]) -> str:
    places = 2 if ms < 1000 else 1 if ms < 10_000 else 0
    return f"{ms / 1000:.{places}f}".replace(".", words["point"]) + f"{_THIN}s"


def _ms(since: datetime | None, until: datetime | None) -> float | None:
    return None if since is None or until is None else max(0.0, (until - since).total_seconds() * 1000)
