"""The parameters of the API: one table says how each is read, and how OpenAPI tells of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from itertools import permutations
from typing import Any, get_args

from asterisk_sip.calls.kpi import By
from asterisk_sip.calls.model import Outcome
from asterisk_sip.catalog import LANGUAGES
from asterisk_sip.stores.base import CallQuery
from asterisk_sip.stores.countries import calling_code

from .problems import ProblemError

_UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_LARGEST = 2**63 - 1
_A_DAY = timedelta(days=1)
_TIME = "30m, 1h or 2d ago, or a time as ISO 8601; UTC unless it says otherwise"


@dataclass(frozen=True, slots=True)
class Parameter:
    """How one parameter is read: ``read`` raises ValueError, and ``about`` says what it takes."""

    about: str
    schema: Mapping[str, Any]
    read: Callable[[str], Any]


def _moment(text: str) -> datetime:
    if match := re.fullmatch(r"([0-9]{1,6})([smhdw])", text):
        try:
            return datetime.now(UTC) - timedelta(seconds=int(match[1]) * _UNITS_S[match[2]])
        except OverflowError:
            return datetime.min.replace(tzinfo=UTC)
    at = datetime.fromisoformat(text.upper().replace(":60", ":59"))  # a leap second has no place of its own
    try:
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC) if at.year == 1 else datetime.max.replace(tzinfo=UTC)


def _step(text: str) -> timedelta:
    match = re.fullmatch(r"([1-9][0-9]{0,4})([mhd])", text)
    if match is None:
        raise ValueError(text)
    return timedelta(seconds=int(match[1]) * _UNITS_S[match[2]])


def _window(text: str) -> timedelta:
    return _step(_one_of("1h", "24h", "7d")(text))


def _number(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,19}", text) or not least <= int(text) <= most:
            raise ValueError(text)
        return int(text)

    return read


def _one_of(*names: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in names:
            raise ValueError(text)
        return text

    return read


def _cursor(text: str) -> str:
    if not re.fullmatch(_CURSOR, text):
        raise ValueError(text)
    return text


def _words(text: str) -> str:
    return text and _text(text)


def _text(text: str) -> str:
    if not text or len(text) > 255:
        raise ValueError(text)
    return text


def _country(text: str) -> str:
    if not re.fullmatch(_COUNTRY, text):
        raise ValueError(text)
    return text


_COUNTRY = r"(\+?[0-9]{1,3}|[A-Za-z]{2})"
_CURSOR = r"-?[0-9]{1,18}\.[ -~]{1,200}"
_WHEN = {"type": "string", "anyOf": [{"pattern": "^[0-9]{1,6}[smhdw]$"}, {"format": "date-time"}]}
_DIMENSIONS = [",".join(names) for count in (1, 2, 3) for names in permutations(get_args(By), count)]
_TEXT = {"type": "string", "minLength": 1, "maxLength": 255}
SIDES = ["caller", "callee", "carrier", "us", "unknown"]
_ANY = "any"
_OUTCOMES = [*(outcome.value for outcome in Outcome), _ANY]


def _whole(least: int, most: int, **more: Any) -> dict[str, Any]:
    return {"type": "integer", "minimum": least, "maximum": most, **more}


PARAMETERS: dict[str, Parameter] = {
    "since": Parameter(f"From then on: {_TIME}.", _WHEN, _moment),
    "until": Parameter(f"Before then: {_TIME}.", _WHEN, _moment),
    "code": Parameter("The SIP status that decided the call: 100 to 699.", _whole(100, 699), _number(100, 699)),
    "class": Parameter("The class of that status: 1 to 6, 0 when none is known.", _whole(0, 6), _number(0, 6)),
    "trunk": Parameter("A trunk, up to 255 characters; * stands for any text, ? for one character.", _TEXT, _text),
    "endpoint": Parameter("An endpoint of the call, up to 255 characters; * and ? as for trunk.", _TEXT, _text),
    "outcome": Parameter(
        f"One of: {', '.join(_OUTCOMES)}.", {"type": "string", "enum": _OUTCOMES}, _one_of(*_OUTCOMES)
    ),
    "disposition": Parameter("How the call ended: a disposition of the catalogue.", _TEXT, _text),
    "number": Parameter("Any part of the caller's number or of the dialled one.", _TEXT, _text),
    "pbx": Parameter("The name of a PBX.", _TEXT, _text),
    "attempt_code": Parameter(
        "The SIP status of any attempt, with trunk of one on that trunk: 100 to 699.",
        _whole(100, 699),
        _number(100, 699),
    ),
    "fault": Parameter(f"Whose side: {', '.join(SIDES)}.", {"type": "string", "enum": SIDES}, _one_of(*SIDES)),
    "country": Parameter(
        "The country of the dialled number: DE, 49 or +49; some share one.",
        {"type": "string", "pattern": f"^{_COUNTRY}$"},
        _country,
    ),
    "limit": Parameter("How many calls at most: 1 to 500.", _whole(1, 500, default=50), _number(1, 500)),
    "before": Parameter("The next of the page before.", {"type": "string", "pattern": f"^{_CURSOR}$"}, _cursor),
    "by": Parameter(
        f"What to tell apart: up to three of {', '.join(get_args(By))}, with commas between.",
        {"type": "string", "enum": _DIMENSIONS},
        lambda text: tuple(_one_of(*_DIMENSIONS)(text).split(",")),
    ),
    "step": Parameter(
        "The length of each step: 15m, 1h or 1d.", {"type": "string", "pattern": "^[1-9][0-9]{0,4}[mhd]$"}, _step
    ),
    "min": Parameter(
        "The least denominator of a ratio: 1 to 1000000.", _whole(1, 10**6, default=30), _number(1, 10**6)
    ),
    "lang": Parameter(
        f"The language: {', '.join(LANGUAGES)}.", {"type": "string", "enum": list(LANGUAGES)}, _one_of(*LANGUAGES)
    ),
    "window": Parameter("How long back: 1h, 24h or 7d.", {"type": "string", "enum": ["1h", "24h", "7d"]}, _window),
    "q": Parameter("Words to look for, up to 255 characters.", {"type": "string", "maxLength": 255}, _words),
    "seen": Parameter("1: only what was seen here.", {"type": "string", "enum": ["1"]}, _one_of("1")),
    "after": Parameter("The position of the last call seen.", _whole(0, _LARGEST), _number(0, _LARGEST)),
}


def given(asked: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters of a form: what was left empty asks for nothing."""
    return {name: value for name, value in asked.items() if value.strip()}


def read(asked: Mapping[str, str], known: tuple[str, ...]) -> dict[str, Any]:
    """Return the parameters of a request, read. Raises ProblemError that names each one that is unknown or wrong."""
    values: dict[str, Any] = {}
    faults = []
    for name in dict.fromkeys(asked):
        if name not in known:
            faults.append(f"{_shown(name)} is no parameter here; there are: {', '.join(known) or 'none'}")
            continue
        try:
            values[name] = PARAMETERS[name].read(asked[name])
        except ValueError:
            faults.append(f"{name}={_shown(asked[name])} cannot be taken. {PARAMETERS[name].about}")
    if faults:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "; ".join(faults))
    return values


FILTERS = (
    "since",
    "until",
    "code",
    "class",
    "trunk",
    "endpoint",
    "outcome",
    "disposition",
    "number",
    "pbx",
    "attempt_code",
    "fault",
    "country",
)
"""The parameters that say which calls are meant."""


def call_query(values: Mapping[str, Any]) -> CallQuery:
    """Return which calls are meant by parameters that were read. Raises ProblemError for a country that is none."""
    renamed = {"class": "sip_class"}
    query = CallQuery(**{renamed.get(name, name): value for name, value in values.items() if name in _OF_CALLS})
    try:
        country = None if query.country is None else calling_code(query.country)
    except ValueError as error:
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, f"country: {error}") from error
    return replace(query, country=country, outcome=None if query.outcome == _ANY else query.outcome)


def window(values: Mapping[str, Any], length: timedelta = _A_DAY) -> tuple[datetime, datetime]:
    """Return the window that is meant, by default the last day. Raises ProblemError when it ends before it begins."""
    until = values.get("until") or datetime.now(UTC)
    try:
        since = values.get("since") or until - length
    except OverflowError:
        since = until
    if since > until:
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "since is later than until")
    return since, until


_OF_CALLS = {*FILTERS, "limit", "before"}


def _shown(text: str) -> str:
    return repr(text[:80])
