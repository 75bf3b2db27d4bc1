"""What a record says in English, in the language of its reader: unless a rule of the configuration put it otherwise."""

from __future__ import annotations

from collections.abc import Callable

from asterisk_sip.calls.model import Q850, Fault, SipStatus
from asterisk_sip.catalog import code_text, disposition_text, q850_reason, q850_text
from asterisk_sip.catalog import hint as next_step


def meaning(sip: SipStatus, lang: str) -> str | None:
    """Return what a status means."""
    code = sip.code
    if code is None or sip.meaning is None:
        return sip.meaning
    return _same(sip.meaning, lang, lambda each: code_text(code, sip.phrase, each).meaning)


def fault_reason(fault: Fault, sip: SipStatus, disposition: str, q850: Q850, lang: str) -> str | None:
    """Return why the failure is put to its side."""
    code, cause = sip.code, q850.cause
    makers: list[Callable[[str], str]] = [lambda each: disposition_text(disposition, each).fault_reason]
    if code is not None:
        makers.append(lambda each: code_text(code, sip.phrase, each).fault_reason)
    if cause is not None and 0 <= cause <= 127:
        makers.append(lambda each: q850_reason(cause, each))
    return _same(fault.reason, lang, *makers)


def hint(text: str | None, sip: SipStatus, disposition: str, lang: str) -> str | None:
    """Return what to do next."""
    return _same(text, lang, lambda each: next_step(disposition, sip.code, sip.phrase, each))


def cause(q850: Q850, lang: str) -> str | None:
    """Return what an ISDN cause means."""
    return None if q850.cause is None or not 0 <= q850.cause <= 127 else q850_text(q850.cause, lang)


def _same(text: str | None, lang: str, *makers: Callable[[str], str]) -> str | None:
    """Return the text in a language when one of the makers makes exactly it in English, else as it is."""
    if text is None or lang == "en":
        return text
    for make in makers:
        try:
            if make("en") == text:
                return make(lang)
        except ValueError:  # no code or disposition of today's catalogue: the record is older, or younger
            continue
    return text
