"""What to send a carrier about a call that failed on its trunk: facts it can look up, as plain text. Pure."""

from __future__ import annotations

from asterisk_sip.catalog.words import phrases

from .model import Attempt, CallRecord, isoformat
from .story import status_text, took_ms


def ticket(record: CallRecord, attempt: Attempt, lang: str = "en") -> str:
    """Return the text about one attempt; lines that nothing is known for are left out. Raises UnknownLanguageError."""
    words = phrases("ticket", lang)
    took = took_ms(attempt, record)
    facts = {
        "when": None if attempt.began_at is None else isoformat(attempt.began_at),
        "from": record.caller.number,
        "to": attempt.dialled or record.dialled,
        "status": _answer(attempt, words["none"]),
        "pdd": None if took is None else f"{took / 1000:.3f} s",
        "call_id": attempt.sip_call_id,
        "reason": _joined(attempt.remote_reason),
        "warning": _joined(attempt.remote_warning),
        "known": f"{attempt.evidence.grade.value} ({attempt.evidence.source})" if attempt.evidence.source else None,
        "pbx": " ".join(filter(None, ("Asterisk", record.asterisk_version, record.pbx, attempt.uniqueid))),
    }
    width = max(len(words[name]) for name in facts)
    lines = [f"{words[name]:<{width}}  {_one_line(text)}" for name, text in facts.items() if text]
    title = words["title"].format(trunk=_one_line(attempt.trunk or attempt.endpoint or "?"))
    return "\n".join([title, "", *lines, "", words["ask"], ""])


def _answer(attempt: Attempt, none: str) -> str | None:
    if attempt.disposition in {"no_response", "unreachable"}:
        return none
    if attempt.sip.code is not None:
        return status_text(attempt.sip)
    return " / ".join(map(str, attempt.sip.candidates or ())) or None


def _joined(texts: tuple[str, ...] | None) -> str | None:
    return ", ".join(texts) if texts else None


def _one_line(text: str) -> str:
    """Return remote text without what could begin a line of its own."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)
