"""The fields of a record that rules filter and group by. Pure: a record as JSON in, plain values out.

A field is a path of the record (``sip.code``, ``caller.endpoint``) or a short name of `NAMES`. Where attempts are
counted, an attempt's own field comes before that of its call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from typing import Any

from asterisk_sip.calls.destinations import PREFIX_DIGITS, country_of, prefix_of
from asterisk_sip.calls.model import Attempt, CallRecord
from asterisk_sip.catalog.ratios import NOT_COUNTED, e425_group, rfc6076_group

Json = Mapping[str, Any]
Getter = Callable[[Json, Json | None], Any]
"""Gives a field of a call, or of an attempt of it; None when it is absent."""

RESULTS = frozenset({"code", "class", "cause", "disposition", "outcome", "fault", "grade", "released_by", "phrase"})
"""What only the end of a call tells. A share is counted among all calls that are alike in everything else."""

ALIASES = {
    "sip.code": "code",
    "sip.class": "class",
    "sip.phrase": "phrase",
    "q850.cause": "cause",
    "fault.side": "fault",
    "evidence.grade": "grade",
}
"""Paths of the record that have a short name: the one that notices and pages show."""

NUMBERS = frozenset({"caller.number", "caller.name", "dialled", "exten"})
"""Whom it was about. Nothing is grouped by these: alerts would keep them, where no purge looks for them."""


def canonical(field: str) -> str:
    """Return the name a field is known by: the short one if there is one."""
    return ALIASES.get(field, field)


def known(field: str) -> bool:
    """Return whether there is such a field, whatever a record holds."""
    field = canonical(field)
    return field in NAMES or field in _paths()


@cache
def getter(field: str) -> Getter:
    """Return how a field is read. Raises KeyError for one that does not exist."""
    field = canonical(field)
    if field in NAMES:
        return NAMES[field]
    if field not in _paths():
        raise KeyError(field)
    return _path(tuple(field.split(".")))


def deciding(call: Json) -> Json | None:
    """Return the attempt that a call took its status from: the last that shows the same one, else the last."""
    attempts = call["attempts"]
    if len(attempts) > 1:
        for attempt in reversed(attempts):
            if attempt["disposition"] == call["disposition"] and attempt["sip"] == call["sip"]:
                return attempt  # type: ignore[no-any-return]  # it is JSON
    return attempts[-1] if attempts else None


def ended_s(call: Json) -> float:
    """Return when a call is counted, in seconds since 1970: when it ended, as `stores.base.ended_at` lists it."""
    ended = call["ended_at"]
    if ended is not None:
        return datetime.fromisoformat(ended).timestamp()
    times = [at for attempt in call["attempts"] for at in (attempt["began_at"], attempt["ended_at"]) if at is not None]
    times += [call["started_at"]] if call["started_at"] is not None else []
    return max((datetime.fromisoformat(at).timestamp() for at in times), default=0.0)


def _of_sip(name: str) -> Getter:
    return lambda call, attempt: (call if attempt is None else attempt)["sip"][name]


def _of_route(name: str) -> Getter:
    """The trunk or endpoint of an attempt; of a call, that of the attempt that decided it."""

    def get(call: Json, attempt: Json | None) -> Any:
        decided = deciding(call) if attempt is None else attempt
        return None if decided is None else decided[name]

    return get


def _group_of(grouping: Callable[[int | None, str], str]) -> Getter:
    def get(call: Json, attempt: Json | None) -> Any:
        of = call if attempt is None else attempt
        try:
            return grouping(of["sip"]["code"], of["disposition"])
        except ValueError:  # a disposition of another version
            return NOT_COUNTED

    return get


def _prefix(digits: int) -> Getter:
    def get(call: Json, attempt: Json | None) -> Any:
        return prefix_of(_dialled(call, attempt), digits)

    return get


def _country(call: Json, attempt: Json | None) -> Any:
    return country_of(_dialled(call, attempt))


def _dialled(call: Json, attempt: Json | None) -> str:
    return (attempt and attempt["dialled"]) or call["dialled"] or ""


NAMES: dict[str, Getter] = {
    "code": _of_sip("code"),
    "class": _of_sip("class"),
    "phrase": _of_sip("phrase"),
    "cause": lambda call, attempt: (call if attempt is None else attempt)["q850"]["cause"],
    "fault": lambda call, attempt: (call if attempt is None else attempt)["fault"]["side"],
    "grade": lambda call, attempt: (call if attempt is None else attempt)["evidence"]["grade"],
    "disposition": lambda call, attempt: (call if attempt is None else attempt)["disposition"],
    "outcome": lambda call, _attempt: call["outcome"],
    "pbx": lambda call, _attempt: call["pbx"],
    "trunk": _of_route("trunk"),
    "endpoint": _of_route("endpoint"),
    "e425": _group_of(e425_group),
    "rfc6076": _group_of(rfc6076_group),
    "country": _country,
    "prefix": _prefix(PREFIX_DIGITS),
    **{f"prefix{digits}": _prefix(digits) for digits in range(1, 10)},
}


def _path(steps: tuple[str, ...]) -> Getter:
    def get(call: Json, attempt: Json | None) -> Any:
        for of in (attempt, call):
            value: Any = of
            for step in steps:
                value = value.get(step) if isinstance(value, Mapping) else None
            if value is not None:
                return value
        return None

    return get


@cache
def _paths() -> frozenset[str]:
    """Every plain value of a record and of an attempt, as a path."""
    empty = {"caller": ("number", "name", "endpoint"), "q850": ("cause", "text"), "fault": ("side", "reason")}
    below = {
        **empty,
        "sip": ("code", "phrase", "class", "class_name", "meaning"),
        "evidence": ("grade", "source", "conflict"),
        "redress": (),
    }
    lists = {"attempts", "gap_ids", "ladder", "remote_reason", "early_reason", "remote_warning"}
    names = {name for kind in (CallRecord, Attempt) for name in kind.__dataclass_fields__}
    flat = {name for name in names if name not in below and name not in lists}
    return frozenset(flat | {f"{name}.{part}" for name, parts in below.items() for part in parts})
