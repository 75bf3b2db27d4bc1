"""Rules and alerts as a person sees them in the terminal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from asterisk_sip.alerts.engine_value import UNITS
from asterisk_sip.alerts.model import Change, Kind, Rule, change_of
from asterisk_sip.calls.model import isoformat, to_json

from .render_console import console as terminal
from .render_gaps import lasted
from .render_plain import plain

if TYPE_CHECKING:
    from asterisk_sip.alerts.engine_past import Backtest
    from asterisk_sip.stores.alert_book import Entry, Silence

_STYLES = {"critical": "bold red", "warning": "yellow", "info": "cyan"}
_SHOWN_IDS = 8


@dataclass(frozen=True, slots=True)
class RuleState:
    """A rule, with what fires and what is silent now."""

    rule: Rule
    firing: Sequence[Entry]
    silences: Sequence[Silence]

    @property
    def own(self) -> list[Change]:
        """What fires of it."""
        return [change_of(entry.fired) for entry in self.firing if entry.rule == self.rule.name]

    @property
    def silence(self) -> Silence | None:
        """Why it is silent, None when it is not."""
        return next((each for each in self.silences if fnmatchcase(self.rule.name, each.rule)), None)

    def json(self) -> dict[str, Any]:
        """Return it as plain data."""
        silence = self.silence
        return {
            "name": self.rule.name,
            "kind": self.rule.kind.value,
            "severity": self.rule.severity.value,
            "condition": condition(self.rule),
            "group_by": list(self.rule.group_by),
            "targets": list(self.rule.targets),
            "firing": [change.group for change in self.own],
            "silent_until": None if silence is None else isoformat(silence.until),
            "silent_why": None if silence is None else silence.why,
        }


def condition(rule: Rule) -> str:
    """Return what a rule fires at, in a line: ``share >= 50 % over 5 min, of 30 or more``."""
    if rule.kind in (Kind.GAP, Kind.SINK):
        return f"lasts {span(rule.for_s)}" if rule.for_s else "at once"
    if rule.kind is Kind.HOOK:
        return "each record, at once"
    name = {Kind.RATIO: (rule.ratio or "").upper(), Kind.PDD: f"PDD p{rule.percentile * 100:g}"}.get(rule.kind)
    sign = "<" if rule.when == "below" else "<=" if rule.kind is Kind.SILENCE else ">="
    told = f"{name or rule.kind.value.replace('_', ' ')} {sign} {number(rule.threshold, rule)}"
    if rule.kind is not Kind.CONSECUTIVE:
        told += f" over {span(rule.window_s)}"
    if rule.min_samples > 1:
        told += f", of {rule.min_samples} or more"
    return told + (f", for {span(rule.for_s)}" if rule.for_s else "")


def number(value: float | None, rule: Rule | Change) -> str:
    """Return a number with its unit: ``37 %``, ``12 a minute``."""
    if value is None:
        return "nothing"
    unit = UNITS.get(rule.kind, "")
    if unit == "share":
        return f"{value * 100:.3g} %"
    after = {"ms": " ms", "s": " s", "per_minute": " a minute", "in_a_row": " in a row", "times": " times the usual"}
    return f"{value:.4g}{after.get(unit, '')}"


def span(seconds: int) -> str:
    """Return a length of time: ``90 s``, ``5 min``, ``2 h``."""
    for size, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size} {name}"
    return f"{seconds} s"


def print_rules(states: Iterable[RuleState], console: Console | None = None) -> None:
    """Print the rules, and what fires now."""
    console = console or terminal()
    shown = list(states)
    if not shown:
        console.print("There are no alerts in the configuration; a set to begin with: docs/alerts.md")
        return
    table = _table("Alert", "Severity", "Fires at", "Of each", "Now")
    for state in shown:
        rule, own = state.rule, state.own
        now = (
            Text(", ".join(_group(change) for change in own) or "firing", "bold red") if own else Text("well", "green")
        )
        if state.silence is not None:
            until = state.silence.until.astimezone()
            now += Text(f" (silent until {until:%d %b %H:%M}: {plain(state.silence.why)})", "dim")
        severity = Text(rule.severity.value, _STYLES[rule.severity.value])
        table.add_row(plain(rule.name), severity, condition(rule), plain(", ".join(rule.group_by)), now)
    console.print(table)


def print_history(entries: Iterable[Entry], console: Console | None = None) -> None:
    """Print alerts in the given order."""
    console = console or terminal()
    shown = list(entries)
    if not shown:
        console.print("Nothing fired in this time.")
        return
    table = _table("Fired", "Lasted", "Alert", "Where", "Value", "Told", "Taken on", "Id")
    for entry in shown:
        fired = change_of(entry.fired)
        over = None if entry.cleared is None else change_of(entry.cleared)
        table.add_row(
            *_when(fired, over),
            Text(plain(fired.rule), _STYLES[fired.severity.value]),
            plain(_group(fired)),
            _value(fired),
            "yes" if entry.told else plain(fired.muted or "no"),
            plain(entry.acknowledged_by or ""),
            Text(entry.id[:_SHOWN_IDS], "dim"),
        )
    console.print(table)


def print_backtest(found: Backtest, console: Console | None = None) -> None:
    """Print when a rule would have fired, and what that was judged from."""
    console = console or terminal()
    window = lasted(found.until - found.since)
    told = len(found.episodes) or len(found.hooked)
    console.print(Text(f"{plain(found.rule.name)}: {condition(found.rule)}"))
    if found.episodes:
        table = _table("Fired", "Lasted", "Where", "Value", "Calls")
        for episode in found.episodes:
            calls = Text(" ".join(each[:12] for each in episode.fired.samples), "dim")
            where = plain(_group(episode.fired))
            table.add_row(*_when(episode.fired, episode.cleared), where, _value(episode.fired), calls)
        console.print(table)
    elif found.hooked:
        table = _table("Ended", "Where", "Call")
        for change in found.hooked:
            table.add_row(_local(change.at), plain(_group(change)), Text(change.samples[0], "dim"))
        console.print(table)
    times = "once" if told == 1 else f"{told} times"
    console.print(f"It would have fired {times} in {window}." if told else f"It would not have fired in {window}.")
    console.print(Text(f"Judged from {found.records} records; gaps in this time: {found.gaps}.", "dim"))
    if found.counted_only:
        note = "answered calls are known by the minute only, without numbers and endpoints ([records] keep)"
        console.print(Text(f"{found.counted_only} {note}.", "dim"))


def backtest_lines(found: Backtest) -> str:
    """Return each time that a rule would have fired as one line of JSON."""
    lines = [
        {"fired": to_json(each.fired), "cleared": None if each.cleared is None else to_json(each.cleared)}
        for each in found.episodes
    ]
    lines += [{"fired": to_json(each), "cleared": None} for each in found.hooked]
    return "".join(json.dumps(line) + "\n" for line in lines)


def _table(*titles: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for title in titles:
        table.add_column(title, overflow="fold")
    return table


def _when(fired: Change, cleared: Change | None) -> tuple[Text, str]:
    return Text(_local(fired.at), "dim"), "still" if cleared is None else lasted(cleared.at - fired.since)


def _local(at: datetime) -> str:
    return at.astimezone().strftime("%d %b %H:%M:%S")


def _group(change: Change) -> str:
    return " ".join(change.group.values()) or "everything"


def _value(change: Change) -> str:
    told = number(change.value, change)
    return told if change.denominator is None else f"{told} ({change.numerator} of {change.denominator})"
