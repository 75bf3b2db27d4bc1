"""The notice: what is told of changes, as data that says everything once; words and pages are made of it. Pure."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, TypeVar

from asterisk_sip.alerts.model import Change, Kind, Rule, Severity, State
from asterisk_sip.alerts.notice_headline import Subject, headline
from asterisk_sip.alerts.notice_moved import Move, Spot, main_status, moved
from asterisk_sip.alerts.notice_words import Words, words
from asterisk_sip.calls.model import CallRecord, to_json
from asterisk_sip.calls.plain_text import route
from asterisk_sip.catalog import code_text, disposition, disposition_text, hint, sip_code

Text = TypeVar("Text", str, str | None)

SCHEMA = "asterisk-sip/notice/1"
_URGENCY = {Severity.CRITICAL: 0, Severity.WARNING: 1, Severity.INFO: 2}
_NEXT_STEPS = 2
_OWN_WORDS = {Kind.PDD, Kind.BURST, Kind.SILENCE, Kind.GAP, Kind.SINK, Kind.RATIO}
"""Kinds that are about no status."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the store knows about a change: failed attempts in its window and in the one before, and sample calls."""

    now: Counter[Spot] = field(default_factory=Counter)
    before: Counter[Spot] = field(default_factory=Counter)
    samples: tuple[CallRecord, ...] = ()


class Links(Protocol):
    """Addresses of pages; None when there are none to show."""

    def failures(self, query: Mapping[str, str]) -> str | None:
        """Return that of the page of failures, with exactly this query."""

    def call(self, record_id: str) -> str | None:
        """Return that of one call."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One call of those that are told of. ``route``: the trunk or endpoint of each stage, in order."""

    id: str
    at: datetime | None
    caller: str | None
    dialled: str | None
    route: tuple[str, ...]
    sip_code: int | None
    sip_phrase: str | None
    disposition: str
    grade: str
    link: str | None


@dataclass(frozen=True, slots=True)
class Told:
    """One change, with all that is known about it. Keys as in `Change`, where they are the same."""

    id: str
    alert_id: str
    rule: str
    kind: str
    severity: str
    state: str
    headline: str
    group: dict[str, str]
    sip_code: int | None
    sip_phrase: str | None
    disposition: str | None
    since: datetime
    at: datetime
    value: float | None
    threshold: float
    clear: float
    when: str
    unit: str
    counted: str
    numerator: int | None
    denominator: int | None
    window_since: datetime
    window_until: datetime
    completeness: float
    detail: str | None
    meaning: str | None
    next_steps: tuple[str, ...]
    moved: tuple[Move, ...]
    samples: tuple[Sample, ...]
    link: str | None


@dataclass(frozen=True, slots=True)
class Notice:
    """What goes to a target at once. ``missed``: how many changes before it were never told, see `Manners`."""

    schema: str
    id: str
    at: datetime
    lang: str
    test: bool
    state: str
    severity: str
    headline: str
    link: str | None
    alerts: tuple[Told, ...]
    missed: int


def notice_id(changes: Sequence[Change]) -> str:
    """Return the id of the notice of these changes: 32 hex digits, the same whenever it is computed."""
    return hashlib.blake2b("\0".join(change.id for change in changes).encode(), digest_size=16).hexdigest()


def ranked(changes: Sequence[Change]) -> list[Change]:
    """Return changes in the order they are told: what fires before what is over, the most urgent first."""
    return sorted(changes, key=lambda each: (each.state is State.CLEARED, _URGENCY[each.severity]))


def notice(
    changes: Sequence[Change],
    facts: Mapping[str, Facts],
    rules: Mapping[str, Rule],
    links: Links,
    *,
    lang: str = "en",
    missed: int = 0,
) -> Notice:
    """Return what is told of changes, in the order of `ranked`.

    ``facts`` are by the id of the change; ``rules`` by their name, to know what was counted and the words of the
    configuration. ``changes`` must not be empty. Raises UnknownLanguageError.
    """
    t = words(lang)
    in_order = ranked(changes)
    alerts = tuple(_told(each, facts.get(each.id, Facts()), rules.get(each.rule), links, t) for each in in_order)
    more = len(alerts) - 1
    text = t("more", headline=alerts[0].headline, n=more) if more else alerts[0].headline
    test = all(each.test for each in changes)
    states = {str(each.state) for each in changes}
    return Notice(
        schema=SCHEMA,
        id=notice_id(changes),
        at=max(each.at for each in changes),
        lang=lang,
        test=test,
        state=states.pop() if len(states) == 1 else "several",
        severity=str(min((each.severity for each in changes), key=_URGENCY.__getitem__)),
        headline=t("test.mark") + text if test else text,
        link=alerts[0].link,
        alerts=alerts,
        missed=missed,
    )


def notice_json(notice: Notice, text: str, html: str) -> dict[str, Any]:
    """Return a notice as plain data, and with it the same as text and as HTML."""
    return {**to_json(notice), "text": text, "html": html}


def _told(change: Change, facts: Facts, rule: Rule | None, links: Links, t: Words) -> Told:
    subject = _subject(change, facts, rule)
    over = change.state is State.CLEARED
    meaning, steps = (None, ()) if over else _explained(change, subject, facts, rule, t)
    return Told(
        id=change.id,
        alert_id=change.alert_id,
        rule=change.rule,
        kind=str(change.kind),
        severity=str(change.severity),
        state=str(change.state),
        headline=headline(change, subject, t),
        group=dict(change.group),
        sip_code=subject.code,
        sip_phrase=subject.phrase,
        disposition=subject.disposition,
        since=change.since,
        at=change.at,
        value=change.value,
        threshold=change.threshold,
        clear=change.clear,
        when=change.when,
        unit=change.unit,
        counted=subject.counted,
        numerator=change.numerator,
        denominator=change.denominator,
        window_since=change.window_since,
        window_until=change.window_until,
        completeness=change.completeness,
        detail=change.detail,
        meaning=meaning,
        next_steps=steps,
        moved=() if change.state is not State.FIRED else moved(facts.now, facts.before),
        samples=() if over else tuple(_sample(record, links) for record in facts.samples),
        link=links.failures(change.query),
    )


def _subject(change: Change, facts: Facts, rule: Rule | None) -> Subject:
    """Return which status a change is about: the one that was asked for, else the one that most of it shares."""
    first = facts.samples[0] if facts.samples else None
    own = change.group.get("code") or change.group.get("sip.code")
    asked = own or change.query.get("code") or change.query.get("attempt_code") or ""
    code = int(asked) if asked.isdecimal() and 100 <= int(asked) <= 699 else None
    name = change.group.get("disposition") or change.query.get("disposition")
    name = name if name and _is_disposition(name) else None
    mostly = False
    if code is None and change.kind not in _OWN_WORDS:
        found = main_status(facts.now, facts.samples, rule.filter if rule is not None else {})
        if found is not None and name in (None, found.disposition):
            code, name = found.code, found.disposition
            mostly = not found.alone and change.state is not State.HOOK
    elif name is None and code is not None:
        name = _one({record.disposition for record in facts.samples})
    phrase = _one({record.sip.phrase for record in facts.samples if record.sip.code == code})
    return Subject(
        code=code,
        phrase=phrase if code is not None else None,
        disposition=name or (sip_code(code).disposition if code else None),
        counted=rule.counted if rule is not None else "calls",
        ratio=rule.ratio if rule is not None else None,
        caller=first.caller.number if first is not None else None,
        dialled=first.dialled if first is not None else None,
        mostly=mostly,
    )


def _one(values: set[Text]) -> Text | None:
    """Return what all are; None when they differ or there are none."""
    return next(iter(values)) if len(values) == 1 else None


def _is_disposition(name: str) -> bool:
    try:
        disposition(name)
    except ValueError:
        return False
    return True


def _explained(
    change: Change, subject: Subject, facts: Facts, rule: Rule | None, t: Words
) -> tuple[str | None, tuple[str, ...]]:
    """Return what it means and what to do next: in the words of the rule, of an override, else of the catalogue."""
    meaning, steps = _of_catalogue(change, subject, t)
    ours = {record.hint for record in facts.samples if record.rule and record.hint}
    if len(ours) == 1 and change.kind not in _OWN_WORDS:
        steps = (ours.pop(), *steps)[:_NEXT_STEPS]
    if rule is not None and rule.hint:
        steps = (rule.hint,)
    return (rule.meaning if rule is not None and rule.meaning else meaning), steps


def _of_catalogue(change: Change, subject: Subject, t: Words) -> tuple[str | None, tuple[str, ...]]:
    if change.kind in _OWN_WORDS:
        return t(f"meaning.{change.kind}"), (t(f"step.{change.kind}"),)
    code, name = subject.code, subject.disposition
    if code is not None and (name is None or sip_code(code, subject.phrase).disposition == name):
        text = code_text(code, subject.phrase, t.lang)
        return text.meaning, text.next_steps[:_NEXT_STEPS]
    if name is None:
        return None, ()
    text = disposition_text(name, t.lang)
    first = hint(name, code, subject.phrase, t.lang)
    return text.meaning, tuple(dict.fromkeys((first, *text.next_steps)))[:_NEXT_STEPS]


def _sample(record: CallRecord, links: Links) -> Sample:
    return Sample(
        id=record.id,
        at=record.ended_at,
        caller=record.caller.number,
        dialled=record.dialled,
        route=tuple(route(record)),
        sip_code=record.sip.code,
        sip_phrase=record.sip.phrase,
        disposition=record.disposition,
        grade=record.evidence.grade.value,
        link=links.call(record.id),
    )
