"""The words: meaning, causes, next steps and fault reasons, in one language at a time.

English reasons of fault are the argument in the CSV table itself; the other languages carry theirs in their file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from . import tables
from .dispositions import disposition
from .q850 import q850_cause
from .sip import class_rule, sip_code

LANGUAGES: tuple[str, ...] = tables.languages()


@dataclass(frozen=True, slots=True)
class CodeText:
    """What an operator is told, in one language."""

    meaning: str
    causes: tuple[str, ...]  # the usual ones on Asterisk
    next_steps: tuple[str, ...]  # the first is the one to take first
    fault_reason: str


def code_text(code: int, phrase: str | None = None, lang: str = "en") -> CodeText:
    """Return the texts of a code; for a code in no table those of its class, which say so.

    Raises ValueError outside 100..699 and UnknownLanguageError.
    """
    entry = sip_code(code, phrase)
    texts = tables.texts(lang)
    if entry.known:
        return _text(texts["code"][entry.key], entry.fault_why)
    text = _text(texts["unlisted"][str(entry.sip_class)], entry.fault_why)
    note = texts["unlisted"]["note"].format(code=code, treated_as=class_rule(code))
    return CodeText(f"{note} {text.meaning}", text.causes, text.next_steps, text.fault_reason)


def disposition_text(name: str, lang: str = "en") -> CodeText:
    """Return the texts of a disposition, for attempts without a code.

    Raises ValueError for a name that is none, and UnknownLanguageError.
    """
    entry = disposition(name)
    return _text(tables.texts(lang)["disposition"][name], entry.fault_why)


def hint(disposition: str, code: int | None, phrase: str | None = None, lang: str = "en") -> str:
    """Return the first next step to take, one sentence.

    The code's own step where the disposition is the one that the code stands for; else the disposition's: 408 made by
    Asterisk itself is ``no_response``, and what helps is not what helps against a 408 that was received.
    """
    if code is not None and sip_code(code, phrase).disposition == disposition:
        return code_text(code, phrase, lang).next_steps[0]
    return disposition_text(disposition, lang).next_steps[0]


def q850_text(cause: int, lang: str = "en") -> str:
    """Return one line for an operator about a cause (0..127)."""
    entry = q850_cause(cause)
    texts = tables.texts(lang)["q850"]
    if entry.assigned:
        return str(texts[str(cause)])
    return str(texts["unassigned"]).format(cause=cause, q850_class=texts["class"][entry.q850_class])


def q850_reason(cause: int, lang: str = "en") -> str:
    """Return why a leg of which only the cause (0..127) is known is put to its side."""
    entry = q850_cause(cause)
    return str(tables.texts(lang)["q850"].get("reason", {}).get(str(entry.read_as), entry.fault_why))


def label(kind: str, key: str, lang: str = "en") -> str:
    """Return the short name of a key of ours: ``label("fault", "carrier")``, ``label("disposition", "busy")``.

    ``kind`` is ``disposition``, ``fault``, ``retry``, ``e425`` or ``heading`` (of the lists and fields themselves:
    ``causes``, ``next_steps``, ``fault``, ``retry``, ``disposition``, ``q850``).

    Raises ValueError for a pair that is none, and UnknownLanguageError.
    """
    words = tables.texts(lang)
    try:
        return str(words["disposition"][key]["label"] if kind == "disposition" else words["label"][kind][key])
    except KeyError:
        raise ValueError(f"there is no label for {kind} {key!r}") from None


def phrases(kind: str, lang: str = "en") -> Mapping[str, str]:
    """Return the pieces of sentences of a kind: ``story`` or ``ticket``. Raises KeyError and UnknownLanguageError."""
    return MappingProxyType(tables.phrases(lang)[kind])


def _text(section: dict[str, Any], reason: str) -> CodeText:
    return CodeText(
        meaning=section["meaning"],
        causes=tuple(section["causes"]),
        next_steps=tuple(section["next_steps"]),
        fault_reason=section.get("fault_reason", reason),
    )
