"""A notice as the pieces that templates put together: every text in words, remote text disarmed. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from asterisk_sip.alerts.notice import Notice, Sample, Told
from asterisk_sip.alerts.notice_moved import Move
from asterisk_sip.alerts.notice_words import Words, words
from asterisk_sip.calls.plain_text import disarmed, plain

SHOWN = 10
"""How many alerts of one notice people are shown; of the others only how many there are. JSON holds all."""
_LONGEST_ADVICE = 500
_WITHOUT_WINDOW = ("gap", "sink")
"""Kinds that count nothing over a window."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line, and the address it leads to, if any."""

    text: str
    link: str | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """One alert. ``about`` are whole sentences: the rule, its bounds, what was counted, how complete that is."""

    headline: str
    state: str
    severity: str
    about: tuple[str, ...]
    meaning: str | None
    next_steps: tuple[str, ...]
    moved: tuple[str, ...]
    samples: tuple[Line, ...]
    link: str | None


@dataclass(frozen=True, slots=True)
class Page:
    """What templates are given, with ``t``, the words: ``t("body.meaning")``."""

    headline: str
    link: str | None
    parts: tuple[Part, ...]
    notes: tuple[str, ...]
    lang: str
    test: bool


def page(notice: Notice) -> Page:
    """Return a notice in the words of its language."""
    t = words(notice.lang)
    notes = []
    if len(notice.alerts) > SHOWN:
        notes.append(t("left_out", n=len(notice.alerts) - SHOWN))
    if notice.missed:
        notes.append(t("missed", n=notice.missed))
    parts = tuple(_part(told, t) for told in notice.alerts[:SHOWN])
    return Page(notice.headline, notice.link, parts, tuple(notes), notice.lang, notice.test)


def _part(told: Told, t: Words) -> Part:
    return Part(
        headline=told.headline,
        state=told.state,
        severity=t(f"severity.{told.severity}"),
        about=tuple(_about(told, t)),
        meaning=None if told.meaning is None else _advice(told.meaning),
        next_steps=tuple(_advice(step) for step in told.next_steps),
        moved=tuple(_moved(move, t) for move in told.moved),
        samples=tuple(Line(_sample(sample, t), sample.link) for sample in told.samples),
        link=told.link,
    )


def _advice(text: str) -> str:
    """Return words of the catalogue or the configuration: nobody remote wrote them, so commands keep their marks."""
    return plain(text[:_LONGEST_ADVICE])


def _about(told: Told, t: Words) -> list[str]:
    rule = t("body.rule", rule=disarmed(told.rule), severity=t(f"severity.{told.severity}"))
    if told.state == "hook":
        return [rule]
    lines = [rule]
    if told.kind not in _WITHOUT_WINDOW:
        bounds = {"threshold": t.in_unit(told.threshold, told.unit), "clear": t.in_unit(told.clear, told.unit)}
        kept = "row" if told.kind == "consecutive" else told.when
        lines.append(t(f"body.bounds_{kept}", **bounds))
        since, until = (f"{at:%H:%M:%S}" for at in (told.window_since, told.window_until))
        lines.append(t("body.counted", since=since, until=f"{until} UTC"))
        whole = told.completeness >= 1.0
        lines.append(t("body.complete") if whole else t("body.incomplete", share=t.part(told.completeness)))
    if told.detail:
        lines.append(t("body.detail", detail=disarmed(told.detail, 200)))
    return lines


def _moved(move: Move, t: Words) -> str:
    status = t.status(move.code, None, move.disposition) or t("body.no_code")
    where = [disarmed(move.trunk) if move.trunk else t("where.none"), status]
    if move.prefix:
        where.append(t("where.prefix", value=disarmed(move.prefix)))
    return t(
        "body.moved_one" if move.before_of else "body.moved_new",
        where=", ".join(where),
        now=move.now,
        now_of=move.now_of,
        now_share=t.part(move.now / move.now_of if move.now_of else 0.0),
        before=move.before,
        before_of=move.before_of,
        before_share=t.part(move.before / move.before_of if move.before_of else 0.0),
    )


def _sample(sample: Sample, t: Words) -> str:
    grade = {"wire": "received", "none": "no_evidence"}.get(sample.grade, sample.grade)
    return t(
        "body.sample",
        at=t("body.unknown") if sample.at is None else f"{sample.at:%H:%M:%S} UTC",
        caller=disarmed(sample.caller or t("body.unknown")),
        dialled=disarmed(sample.dialled or t("body.unknown")),
        route=" > ".join(disarmed(stage) for stage in sample.route) or t("where.none"),
        status=t.status(sample.sip_code, sample.sip_phrase, sample.disposition) or t("body.no_code"),
        grade=t(f"body.{grade}"),
    )
