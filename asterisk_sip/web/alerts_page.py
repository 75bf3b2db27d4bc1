"""What the pages of alerts show, and what their forms do: silence a rule, take an alert on."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from http import HTTPStatus
from typing import Any

from aiohttp import web

from asterisk_sip.alerts.engine_value import UNITS
from asterisk_sip.alerts.model import Change, Rule, Severity, change_of
from asterisk_sip.alerts.notice_headline import Subject, headline
from asterisk_sip.alerts.notice_words import Words
from asterisk_sip.alerts.notice_words import words as notice_words
from asterisk_sip.alerts.past import trace
from asterisk_sip.stores.alert_book import AlertBook, Entry, Silence

from . import charts
from .api import SHELF
from .ledger import LEDGER
from .problems import ProblemError
from .show import link
from .visitor import visitor_of
from .words import language

SILENCES_S = {"30m": 1_800, "2h": 7_200, "8h": 28_800, "24h": 86_400}

_URGENCY = {Severity.CRITICAL: 0, Severity.WARNING: 1, Severity.INFO: 2}
_WEEK = timedelta(days=7)
_LONGEST = timedelta(hours=6)
_MOST = 200
_LONGEST_TEXT = 200
_SHOWN_SAMPLES = 3


@dataclass(frozen=True, slots=True)
class Shown:
    """An alert as it is shown: what is said of it, its changes, and where its calls are listed."""

    entry: Entry
    headline: str
    fired: Change
    cleared: Change | None
    value: str
    threshold: str
    href: str

    @property
    def lasted(self) -> timedelta | None:
        """How long it lasted, None while it does."""
        return None if self.cleared is None else self.cleared.at - self.fired.since


@dataclass(frozen=True, slots=True)
class RuleRow:
    """A rule: what it fires at, how many of its alerts fire, and why it is silent, None when it is not."""

    rule: Rule
    threshold: str
    window: str
    firing: int
    silence: Silence | None


async def fill(request: web.Request, _values: dict[str, Any]) -> dict[str, Any]:
    """Return what the page of all alerts shows. Raises ProblemError, StoreError."""
    ledger, now, t = request.app[LEDGER], datetime.now(UTC), notice_words(language(request))
    book = await ledger.book()
    firing = await book.firing() if book else []
    silences = await book.silences(now) if book else []
    past = await book.history(now - _WEEK, limit=_MOST) if book else []
    return {
        "firing": sorted((_shown(request, entry, t) for entry in firing), key=_urgency),
        "rules": [_row(rule, firing, silences, t) for rule in ledger.rules],
        "history": [_shown(request, entry, t) for entry in past if entry.cleared is not None],
        "silences": tuple(SILENCES_S),
        "as_of": now,
    }


async def fill_one(request: web.Request, _values: dict[str, Any]) -> dict[str, Any]:
    """Return what the page of one alert shows. Raises ProblemError, StoreError."""
    ledger = request.app[LEDGER]
    book = await ledger.book()
    entry = await book.alert(request.match_info["id"]) if book else None
    if entry is None:
        raise ProblemError(HTTPStatus.NOT_FOUND, "no alert has this id")
    shown = _shown(request, entry, notice_words(language(request)))
    rule = ledger.rule(entry.rule)
    return {
        "alert": shown,
        "unit": lambda value: notice_words(language(request)).in_unit(value, shown.fired.unit),
        "chart": None if rule is None else await _chart(request, rule, shown),
        "samples": shown.fired.samples[:_SHOWN_SAMPLES],
        "silences": tuple(SILENCES_S),
        "as_of": datetime.now(UTC),
    }


async def silence(request: web.Request) -> web.Response:
    """Silence a rule for as long as the form says. Raises ProblemError, StoreError."""
    form = await request.post()
    rule, why = _text(form, "rule"), _text(form, "why")
    length_s = SILENCES_S.get(str(form.get("for", "")))
    if request.app[LEDGER].rule(rule) is None:
        raise ProblemError(HTTPStatus.NOT_FOUND, "no alert is called so")
    if length_s is None or not why:
        raise ProblemError(HTTPStatus.BAD_REQUEST, f"for must be one of {', '.join(SILENCES_S)}, and why is needed")
    now = datetime.now(UTC)
    entry = Silence(secrets.token_hex(8), rule, now, now + timedelta(seconds=length_s), why, _who(request))
    await request.app[LEDGER].change(lambda book: book.silence(entry))
    return _back("/alerts")


async def unsilence(request: web.Request) -> web.Response:
    """End the silence of a rule. Raises ProblemError, StoreError."""
    rule = _text(await request.post(), "rule")
    await request.app[LEDGER].change(lambda book: book.unsilence(rule, datetime.now(UTC)))
    return _back("/alerts")


async def acknowledge(request: web.Request) -> web.Response:
    """Note that who asks has taken an alert on. Raises ProblemError, StoreError."""
    alert_id, why = request.match_info["id"], _text(await request.post(), "why") or None

    async def note(book: AlertBook) -> bool:
        return await book.acknowledge(alert_id, _who(request), why, datetime.now(UTC))

    if not await request.app[LEDGER].change(note):
        raise ProblemError(HTTPStatus.NOT_FOUND, "no alert has this id")
    return _back(f"/alerts/{alert_id}")


def _shown(request: web.Request, entry: Entry, t: Words) -> Shown:
    fired = change_of(entry.fired)
    cleared = None if entry.cleared is None else change_of(entry.cleared)
    rule = request.app[LEDGER].rule(entry.rule)
    code = fired.group.get("code") or fired.query.get("code") or fired.query.get("attempt_code") or ""
    subject = Subject(
        code=int(code) if code.isdecimal() else None,
        counted="calls" if rule is None else rule.counted,
        ratio=None if rule is None else rule.ratio,
    )
    return Shown(
        entry,
        headline(fired, subject, t),
        fired,
        cleared,
        "-" if fired.value is None else t.in_unit(fired.value, fired.unit),
        t.in_unit(fired.threshold, fired.unit),
        link("/failures", fired.query),
    )


def _urgency(shown: Shown) -> int:
    return _URGENCY[shown.fired.severity]


def _row(rule: Rule, firing: list[Entry], silences: list[Silence], t: Words) -> RuleRow:
    unit = UNITS.get(rule.kind, rule.counted)
    sign = "<" if rule.when == "below" else "≥"
    return RuleRow(
        rule,
        f"{sign} {t.in_unit(rule.threshold, unit)}",
        t.lasting(rule.window_s),
        sum(entry.rule == rule.name for entry in firing),
        next((each for each in silences if fnmatchcase(rule.name, each.rule)), None),
    )


async def _chart(request: web.Request, rule: Rule, shown: Shown) -> charts.Line | None:
    """Return the number over the time around an alert, with the threshold."""
    window = timedelta(seconds=rule.window_s)
    since = shown.fired.since - max(2 * window, timedelta(minutes=2))
    until = min(datetime.now(UTC), (shown.cleared.at if shown.cleared else datetime.now(UTC)) + window)
    until = min(until, since + max(_LONGEST, 4 * window))
    values = await trace(rule, shown.fired.group, await request.app[SHELF].store(), since, until)
    if values is None:
        return None
    return charts.line(values, rule.threshold, rule.clear)


def _text(form: Mapping[str, Any], key: str) -> str:
    text = str(form.get(key, "")).strip()
    if len(text) > _LONGEST_TEXT or not text.isprintable():
        raise ProblemError(HTTPStatus.BAD_REQUEST, f"{key} must be one line, {_LONGEST_TEXT} characters at most")
    return text


def _who(request: web.Request) -> str:
    visitor = visitor_of(request)
    return (visitor.name if visitor else "") or "the page"


def _back(path: str) -> web.Response:
    return web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": path})
