"""What a code means that this PBX itself sent to whoever called or registered: the same number, seen from our side.

Which code Asterisk sends when: res/res_pjsip_session.c ``new_invite``, res/res_pjsip/pjsip_distributor.c,
res/res_pjsip_acl.c, res/res_pjsip_registrar.c.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from .tables import rows, texts


@dataclass(frozen=True, slots=True)
class Refused:
    """Why this PBX refused a request, and whose side that is."""

    kind: str
    disposition: str
    fault: str
    fault_why: str


@dataclass(frozen=True, slots=True)
class RefusedText:
    """What an operator is told of it, in one language."""

    meaning: str
    fault_reason: str
    next_step: str


def refused(code: int, method: str = "INVITE") -> Refused:
    """Return what it says that this PBX answered ``method`` (INVITE or REGISTER) with ``code``."""
    table = _table()
    return table.get((method, str(code))) or table[method, "*"]


def refused_text(entry: Refused, lang: str = "en") -> RefusedText:
    """Return the texts of a refusal. Raises UnknownLanguageError."""
    section = texts(lang)["refused"][entry.kind]
    return RefusedText(section["meaning"], section.get("fault_reason", entry.fault_why), section["next_step"])


def all_refused() -> tuple[Refused, ...]:
    """Return every row of the table."""
    return tuple(_table().values())


@cache
def _table() -> dict[tuple[str, str], Refused]:
    return {
        (row["method"], row["code"]): Refused(row["kind"], row["disposition"], row["fault"], row["fault_why"])
        for row in rows("refused")
    }
