"""Explain a code, a cause, a status line or a phrase, as plain data ready for JSON. Pure: others show it."""

from __future__ import annotations

import re
from typing import Any, TypeAlias

from .asterisk import asterisk_sip_to_cause, candidates, code_sent_to_caller
from .q850 import Q850Cause, all_causes, q850_cause, q850_to_sip, sip_to_q850
from .sip import SipCode, all_codes, fold, sip_class, sip_code
from .tables import rows
from .words import code_text, disposition_text, label, q850_reason, q850_text

Entry: TypeAlias = dict[str, Any]

ACCEPTED = (
    "a SIP code (608, 603+), a status line (SIP/2.0 486 Busy Here), a phrase (busy here), "
    "a Q.850 cause (q850:34, cause 34) or Asterisk's name of one (AST_CAUSE_USER_BUSY)"
)

_CAUSE = re.compile(r"(?:q\.?850\W*(?:cause)?|cause)\W*(\d{1,3})(?:;.*)?", re.IGNORECASE)
_SIP = re.compile(r"(?:SIP(?:/2\.0)?\W*(?:cause=)?)?(\d{3})(\+)?(?:;.*|\s+(.*))?", re.IGNORECASE)
_OLD_RELEASE = "20.18.0"  # any release of the table "before"


class UnknownQueryError(ValueError):
    """The query names no code and no cause, or more than one. The message says what is accepted."""


def explain(query: str, lang: str = "en") -> Entry:
    """Explain what ``query`` names: one SIP code (``kind`` "sip") or one Q.850 cause (``kind`` "q850").

    A bare number from 100 is a SIP code, below 100 a cause. Raises UnknownQueryError and UnknownLanguageError.
    """
    found = _resolve(query.strip())
    return _sip_entry(found, lang) if isinstance(found, SipCode) else _cause_entry(found, lang)


def explain_all(lang: str = "en") -> list[Entry]:
    """Explain every SIP code of the table, in order."""
    return [_sip_entry(entry, lang) for entry in all_codes()]


def explain_causes(lang: str = "en") -> list[Entry]:
    """Explain every assigned Q.850 cause, in order."""
    return [_cause_entry(entry, lang) for entry in all_causes() if entry.assigned]


def search(words: str, lang: str = "en") -> list[Entry]:
    """Return the SIP codes, then the causes, in whose number, phrase or texts all the words occur."""
    wanted = words.casefold().split()
    if not wanted:
        return []
    entries = explain_all(lang) + explain_causes(lang)
    return [entry for entry in entries if all(word in _searchable(entry) for word in wanted)]


def _resolve(query: str) -> SipCode | Q850Cause:
    if match := _CAUSE.fullmatch(query):
        return _cause(int(match[1]), query)
    if match := _SIP.fullmatch(query):
        return _code(int(match[1]), match[2], match[3], query)
    if re.fullmatch(r"\d{1,2}", query):
        return _cause(int(query), query)
    found = _by_name(query) or _by_words(query)
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(entry.key if isinstance(entry, SipCode) else f"q850:{entry.cause}" for entry in found)
        raise UnknownQueryError(f"{query!r} fits more than one: {names}. Name one of them.")
    raise UnknownQueryError(f"{query!r} names no SIP code and no cause. Accepted: {ACCEPTED}.")


def _cause(cause: int, query: str) -> Q850Cause:
    try:
        return q850_cause(cause)
    except ValueError as error:
        raise UnknownQueryError(f"{query!r}: {error}. Accepted: {ACCEPTED}.") from None


def _code(code: int, plus: str | None, phrase: str | None, query: str) -> SipCode:
    try:
        if plus:
            return next(entry for entry in all_codes() if entry.variant == f"{code}+")
        return sip_code(code, phrase)
    except StopIteration:
        raise UnknownQueryError(f"{query!r}: only 603 has a + variant. Accepted: {ACCEPTED}.") from None
    except ValueError as error:
        raise UnknownQueryError(f"{query!r}: {error}. Accepted: {ACCEPTED}.") from None


def _by_name(query: str) -> list[SipCode | Q850Cause]:
    wanted = fold(query)
    codes = [entry for entry in all_codes() if wanted in map(fold, (entry.phrase, *entry.other_phrases))]
    if codes:
        return list(codes)
    name = wanted if wanted.startswith("ast_cause_") else f"ast_cause_{wanted}"
    return [
        entry for entry in all_causes() if name in map(str.casefold, (entry.asterisk_name, *entry.asterisk_aliases))
    ]


def _by_words(query: str) -> list[SipCode | Q850Cause]:
    wanted = query.casefold().split()
    if not wanted:
        return []
    codes = [entry for entry in all_codes() if all(word in entry.phrase.casefold() for word in wanted)]
    return list(codes) or [entry for entry in all_causes() if all(word in entry.name.casefold() for word in wanted)]


def _sip_entry(entry: SipCode, lang: str) -> Entry:
    about, text = sip_class(entry.code, lang), code_text(entry.code, entry.phrase, lang)
    return {
        "kind": "sip",
        "code": entry.code,
        "variant": entry.variant,
        "phrase": entry.phrase,
        "other_phrases": list(entry.other_phrases),
        "class": about.digit,
        "class_name": about.name,
        "class_meaning": about.meaning,
        "class_heading": about.heading,
        "class_retry": about.retry,
        "meaning": text.meaning,
        "causes": list(text.causes),
        "next_steps": list(text.next_steps),
        "reference": entry.reference,
        "registered": entry.registered,
        "known": entry.known,
        "disposition": entry.disposition,
        "disposition_label": label("disposition", entry.disposition, lang),
        "fault": _fault(entry.fault, text.fault_reason, lang),
        "retry": entry.retry,
        "e425": entry.e425,
        "q850": _q850_of(entry.code) if entry.code >= 300 else None,
        "lang": lang,
    }


def _q850_of(code: int) -> Entry:
    rfc, now, before = sip_to_q850(code), asterisk_sip_to_cause(code), asterisk_sip_to_cause(code, version=_OLD_RELEASE)
    return {
        "rfc3398": {
            "cause": rfc.cause,
            "name": q850_cause(rfc.cause).name if rfc.cause is not None else None,
            "note": rfc.note,
        },
        "rfc4497": {"cause": rfc.rfc4497, "difference": rfc.rfc4497_difference},
        "asterisk": {
            "cause": now,
            "text": q850_cause(now).asterisk_text,
            "before": before,
            "changed_in": _changed_in() if now != before else [],
            "sent_to_caller": code_sent_to_caller(now) if code >= 400 else None,  # Dial follows a 3xx
        },
    }


def _cause_entry(entry: Q850Cause, lang: str) -> Entry:
    rfc = q850_to_sip(entry.cause)
    return {
        "kind": "q850",
        "cause": entry.cause,
        "name": entry.name,
        "class_name": entry.q850_class,
        "asterisk_name": entry.asterisk_name,
        "asterisk_text": entry.asterisk_text,
        "assigned": entry.assigned,
        "meaning": q850_text(entry.cause, lang),
        "disposition": entry.disposition,
        "disposition_label": label("disposition", entry.disposition, lang),
        "next_steps": list(disposition_text(entry.disposition, lang).next_steps),
        "fault": _fault(entry.fault, q850_reason(entry.cause, lang), lang),
        "sip": {
            "rfc3398": {"code": rfc.code, "phrase": rfc.phrase, "note": rfc.note},
            "rfc4497": {"code": rfc.rfc4497, "difference": rfc.rfc4497_difference},
            "asterisk": {
                "candidates": list(candidates(entry.cause)),
                "candidates_before": list(candidates(entry.cause, _OLD_RELEASE)),
                "changed_in": _changed_in(),
                "sent_to_caller": code_sent_to_caller(entry.cause),
            },
        },
        "lang": lang,
    }


def _fault(side: str, reason: str, lang: str) -> Entry:
    return {"side": side, "label": label("fault", side, lang), "reason": reason}


def _changed_in() -> list[str]:
    return [f"{row['branch']}.{row['now_since']}.0" for row in rows("asterisk_releases")]


def _searchable(entry: Entry) -> str:
    names = [str(entry.get(key, "")) for key in ("code", "variant", "phrase", "cause", "name", "asterisk_name")]
    texts = [entry["meaning"], *entry.get("other_phrases", ()), *entry.get("causes", ()), *entry["next_steps"]]
    return " ".join([*names, *texts]).casefold()
