"""The first line of a notice: it must suffice alone, on the screen of a telephone at night. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from asterisk_sip.alerts.model import Change, Kind, State
from asterisk_sip.alerts.notice_words import Words
from asterisk_sip.calls.plain_text import disarmed

_STATUS_KEYS = {"code", "class", "disposition", "sip.code", "sip.class"}
"""Groups by these are told by the status itself, when there is one."""
_MOST_GROUPS = 4


@dataclass(frozen=True, slots=True)
class Subject:
    """What a change is about: a status, or how calls ended; ``counted``: calls or attempts; of a hook, who called.

    ``mostly``: others were counted with it.
    """

    code: int | None = None
    phrase: str | None = None
    disposition: str | None = None
    counted: str = "calls"
    ratio: str | None = None
    caller: str | None = None
    dialled: str | None = None
    mostly: bool = False


def headline(change: Change, subject: Subject, t: Words) -> str:
    """Return one line: where, what, how many of how many, since when. Remote text in it is disarmed."""
    values = _values(change, subject, t)
    if change.state is State.HOOK or change.kind is Kind.HOOK:
        return t("hook.call" if subject.caller and subject.dialled else "hook.bare", **values)
    if change.state is State.CLEARED:
        return t(f"cleared.{change.kind}", **values)
    return t(f"fired.{_fired(change)}", **values)


def where(change: Change, subject: Subject, t: Words) -> str:
    """Return the group in words: ``acme``, ``acme, to +4915``; the rule's name when it has none."""
    known = subject.code is not None or subject.disposition is not None
    words = [_named(name, value, t) for name, value in change.group.items() if not (known and name in _STATUS_KEYS)]
    return ", ".join(words[:_MOST_GROUPS]) or disarmed(change.rule)


def what(change: Change, subject: Subject, t: Words) -> str:
    """Return what the numbers are of: ``503 Service Unavailable``, ``ASR``, ``failed calls``."""
    if change.kind is Kind.RATIO:
        if subject.ratio == "rescue":
            return t("what.rescue")
        return (subject.ratio or "").upper() or disarmed(change.rule)
    status = t.status(subject.code, subject.phrase, subject.disposition)
    if status is None:
        return t("what.failed")
    return t("what.mostly", status=status) if subject.mostly else status


def counted(change: Change, subject: Subject, t: Words) -> str:
    """Return how many, of how many: ``37 of 80 calls``, ``12 attempts``."""
    count = change.numerator if change.numerator is not None else round(change.value or 0)
    of = change.denominator
    if of is None or change.kind in (Kind.COUNT, Kind.RATE, Kind.CONSECUTIVE, Kind.BURST, Kind.SILENCE):
        return t(subject.counted, n=count)
    if change.kind is Kind.PDD:
        return t(subject.counted, n=of)
    return t(f"of_{subject.counted}", n=of, m=count)


def _fired(change: Change) -> str:
    return f"ratio_{change.when}" if change.kind is Kind.RATIO else str(change.kind)


def _values(change: Change, subject: Subject, t: Words) -> dict[str, str]:
    value = change.value if change.value is not None else 0.0
    return {
        "where": where(change, subject, t),
        "what": what(change, subject, t),
        "counted": counted(change, subject, t),
        "value": t.in_unit(value, change.unit),
        "share": t.part(value) if change.unit == "share" else "",
        "threshold": t.in_unit(change.threshold, change.unit),
        "usual": t.number(change.denominator or 0),
        "window": t.lasting((change.window_until - change.window_since).total_seconds()),
        "since": t.moment(change.since, change.at),
        "lasted": t.lasting((change.at - change.since).total_seconds()),
        "caller": disarmed(subject.caller or ""),
        "dialled": disarmed(subject.dialled or ""),
    }


def _named(name: str, value: str, t: Words) -> str:
    """Return one part of a group: the value alone where it says what it is."""
    shown = disarmed(value) if value else t("where.none") if name == "trunk" else t("body.unknown")
    key = f"where.{name.rstrip('0123456789')}"  # prefix, prefix3
    return t(key, value=shown) if value and t.has(key) else shown
