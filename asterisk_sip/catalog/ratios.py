"""Which attempts and calls count into which ratio: ITU-T E.425 and RFC 6076 as data, both read from tables."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache

from .dispositions import disposition
from .sip import sip_code
from .tables import rows

NOT_COUNTED = "not_counted"


@dataclass(frozen=True, slots=True)
class RatioRule:
    """A ratio: of what is ``counted`` (attempts, calls), by which ``grouping`` (e425, rfc6076, outcome), which groups.

    ``numerator`` is a part of ``denominator``.
    """

    name: str
    title: str
    counted: str
    grouping: str
    numerator: frozenset[str]
    denominator: frozenset[str]
    formula: str
    reference: str


@cache
def ratio_rules() -> tuple[RatioRule, ...]:
    """Return the ratios in the order they are shown."""
    return tuple(
        RatioRule(
            row["name"],
            row["title"],
            row["counted"],
            row["grouping"],
            frozenset(row["numerator"].split()),
            frozenset(row["denominator"].split()),
            row["formula"],
            row["reference"],
        )
        for row in rows("ratios")
    )


@lru_cache(maxsize=4096)
def e425_group(code: int | None, name: str) -> str:
    """Return the E.425 group of an attempt that ended with this SIP code, None when unknown, and disposition.

    The group of the code is the finer one, unless the attempt was judged otherwise than that code by default: then the
    disposition's holds (603 as 603+, a rule of the configuration). Raises ValueError for a name that is no disposition.
    """
    judged = disposition(name)
    if not judged.counts_as_seizure:
        return NOT_COUNTED
    if code is not None and 100 <= code <= 699:
        known = sip_code(code)
        if known.disposition == name:
            return known.e425
    return judged.e425


@lru_cache(maxsize=4096)
def rfc6076_group(code: int | None, name: str) -> str:
    """Return the group of RFC 6076 of an attempt: that of its SIP code, by disposition when the code is unknown.

    What the far side did not decide counts nowhere, whatever the code. Raises ValueError as `e425_group` does.
    """
    by_code, by_disposition = _rfc6076()
    disposition(name)
    group = by_disposition[name]
    if group == NOT_COUNTED or code is None:
        return group
    return by_code.get(str(code)) or by_code.get(f"{code // 100}xx") or "other"


def fault_side(code: int | None, name: str) -> str:
    """Return whose side such a failure is on by default: that of the code where it is judged so, else disposition's."""
    if code is not None and 100 <= code <= 699:
        known = sip_code(code)
        if known.disposition == name:
            return known.fault
    return disposition(name).fault


@cache
def _rfc6076() -> tuple[dict[str, str], dict[str, str]]:
    table = rows("rfc6076_groups")
    codes = {code: row["group"] for row in table for code in row["codes"].split()}
    return codes, {name: row["group"] for row in table for name in row["dispositions"].split()}
