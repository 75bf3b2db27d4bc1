"""Dispositions: the twenty-one ways in which an attempt can end, each with its E.425 group, side and retry."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from .tables import rows


@dataclass(frozen=True, slots=True)
class Disposition:
    """One way in which an attempt can end.

    ``failed`` is False where nothing refused the call: answered, answered elsewhere, forwarded, cancelled.
    ``counts_as_seizure`` says whether the attempt is in the denominator of ASR and NER. A 401 or 407 answered with
    credentials never gets here; one that is the last word (``auth_failed``) is a refused call and counts.
    ``e425``: see ``SipCode``; where a code is known, the group of the code is the finer one.
    """

    name: str
    e425: str
    fault: str
    fault_why: str
    failed: bool
    retry: str
    counts_as_seizure: bool


@dataclass(frozen=True, slots=True)
class E425Group:
    """A group of outcomes of ITU-T E.425. NER = seizures in effective groups / all seizures."""

    name: str
    effective: bool
    why: str


def disposition(name: str) -> Disposition:
    """Return a disposition by name.

    Raises ValueError for a name that is none.
    """
    try:
        return _dispositions()[name]
    except KeyError:
        raise ValueError(f"{name!r} is not a disposition; there are: {', '.join(_dispositions())}") from None


def all_dispositions() -> tuple[Disposition, ...]:
    """Return the dispositions in the order of the table."""
    return tuple(_dispositions().values())


@cache
def e425_groups() -> dict[str, E425Group]:
    """Return the E.425 groups by name."""
    return {row["group"]: E425Group(row["group"], row["effective"] == "yes", row["why"]) for row in rows("e425_groups")}


@cache
def _dispositions() -> dict[str, Disposition]:
    return {row["name"]: _from_row(row) for row in rows("dispositions")}


def _from_row(row: dict[str, str]) -> Disposition:
    return Disposition(
        name=row["name"],
        e425=row["e425"],
        fault=row["fault"],
        fault_why=row["fault_why"],
        failed=row["failed"] == "yes",
        retry=row["retry"],
        counts_as_seizure=row["counts_as_seizure"] == "yes",
    )
