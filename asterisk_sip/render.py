"""What a person sees in the terminal: tables of calls, calls as they come, the findings of a check.

Remote text only ever enters as rich `Text`, cleaned by `plain`: it is shown, never taken for markup or control.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from asterisk_sip.calls.model import CallRecord, Grade, Outcome

from .render_console import console as terminal
from .render_plain import plain, route, status

if TYPE_CHECKING:
    from asterisk_sip.check_remark import Evidence, Report

_ROUTE_SHOWN = 3
_TABLE_WIDTH = 120  # in less, the texts of a table would be squeezed into a ribbon
_LIVE_INDENT = 4
_OUTCOME_STYLES = {
    Outcome.ANSWERED: "green",
    Outcome.RESCUED: "yellow",
    Outcome.FAILED: "bold red",
    Outcome.ABANDONED: "magenta",
}
_LEVEL_STYLES = {"ok": "green", "note": "yellow", "problem": "bold red"}
_GRADES = {
    Grade.WIRE: "the status line as received",
    Grade.REPORTED: "received, as reported by Asterisk",
    Grade.LOCAL: "made by Asterisk itself: the far end said nothing",
    Grade.SENT: "what Asterisk answered the caller",
    Grade.CANDIDATES: "only a cause is known, it stands for several codes",
    Grade.NONE: "nothing is known",
}


def print_calls(records: Iterable[CallRecord], console: Console | None = None) -> None:
    """Print calls in the given order, as a table where there is room for one, and what the grades in it mean."""
    shown = list(records)
    console = console or terminal()
    if console.width < _TABLE_WIDTH:
        print_live(shown, console)
        console.print()
    else:
        console.print(_table(shown))
    grades = dict.fromkeys(record.evidence.grade for record in shown)
    for grade in sorted(grades, key=list(Grade).index):
        console.print(Text(f"{grade.value}: {_GRADES[grade]}", "dim"))


def print_live(records: Iterable[CallRecord], console: Console | None = None) -> None:
    """Print calls as they come, a few lines each."""
    console = console or terminal()
    for record in records:
        call = _who(record, " ")
        if record.attempts:
            call.append(" via ", "dim").append_text(_route(record, " "))
        console.print(_hanging(_when(record, "%d %b %H:%M:%S  "), _padded(_outcome(record), 11), call))
        for part in _told(record):
            console.print(Padding(part, (0, 0, 0, _LIVE_INDENT), expand=False))


def print_remark(level: str, text: str, console: Console | None = None) -> None:
    """Print one thing the operator should know; ``level`` is ok, note or problem."""
    (console or terminal()).print(_hanging(Text(f"{level:<8}", _LEVEL_STYLES.get(level, "")), Text(plain(text))))


def print_report(report: Report, console: Console | None = None) -> None:
    """Print what was found at one PBX, with the lines to add. The lines are whole, ready to be copied."""
    console = console or terminal()
    console.print(Text(plain(report.pbx), "bold"))
    for remark in report.remarks:
        print_remark(remark.level.value, remark.text, console)
        if remark.file is not None:
            console.print(Padding(Text(f"in {plain(remark.file)}:", "dim"), (0, 0, 0, 8), expand=False))
        for line in remark.lines:
            console.print(Text(f"        {plain(line)}", "cyan"), soft_wrap=True)

    _print_evidence(report.evidence, console)


def _table(records: Iterable[CallRecord]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, leading=1, padding=(0, 1), pad_edge=False)
    table.add_column("Ended", no_wrap=True)
    table.add_column("Call", no_wrap=True, overflow="ellipsis", max_width=32)
    table.add_column("Outcome", no_wrap=True)
    table.add_column("Trunk", no_wrap=True, overflow="ellipsis", max_width=24)
    table.add_column("What happened (known by), and what to do", overflow="fold")
    for record in records:
        when, told = _when(record, "%d %b\n%H:%M:%S"), Text("\n").join(_told(record))
        table.add_row(when, _who(record, "\n"), _outcome(record), _route(record, "\n"), told)
    return table


def _hanging(*parts: Text) -> Table:
    """Return a line of which only the last part is wrapped, below itself."""
    line = Table.grid()
    for _ in parts[1:]:
        line.add_column(no_wrap=True)
    line.add_column(overflow="fold")
    line.add_row(*parts)
    return line


def _print_evidence(evidence: Iterable[Evidence], console: Console) -> None:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    table.add_column("Door", no_wrap=True)
    table.add_column("Grade", no_wrap=True)
    table.add_column("What it tells, on this PBX", overflow="fold")
    for each in evidence:
        grade = "not in use" if not each.in_use else "?" if each.grade is None else each.grade.value
        style = "" if each.in_use else "dim"
        table.add_row(each.door, grade, Text(plain(each.tells)), style=style)
    console.print(table)


def print_problems(count: int, console: Console | None = None) -> None:
    """Print how many problems a check found."""
    told = "No problems." if count == 0 else "1 problem." if count == 1 else f"{count} problems."
    (console or terminal()).print(Text(told, "bold red" if count else "bold green"))


def _when(record: CallRecord, form: str) -> Text:
    at: datetime | None = record.ended_at or record.started_at
    return Text("?" if at is None else at.astimezone().strftime(form), "dim")


def _who(record: CallRecord, between: str) -> Text:
    caller = record.caller
    shown = Text(plain(caller.number or caller.endpoint or "unknown"))
    if caller.name and caller.name != caller.number:
        shown.append(f" {plain(caller.name)}", "dim")
    return shown.append(f"{between}→ ").append(plain(record.dialled or record.exten or "unknown"), "bold")


def _outcome(record: CallRecord) -> Text:
    return Text(record.outcome.value, _OUTCOME_STYLES[record.outcome])


def _told(record: CallRecord) -> list[Text]:
    """Return what happened and what to do, a line each."""
    parts = (_status(record), _meaning(record), _hint(record))
    return [part for part in parts if part]


def _status(record: CallRecord) -> Text:
    """Return the status and how it is known; for a rescued call what had failed before, too; and what is missing."""
    failed = [status(attempt.sip) for attempt in record.attempts if attempt.disposition != record.disposition]
    before = [f"{text}, then " for text in failed if text] if record.outcome is Outcome.RESCUED else []
    told = "".join(before) + (status(record.sip) or record.disposition.replace("_", " "))
    grade = (f" ({record.evidence.grade.value})", "dim")
    return Text.assemble((told, "bold"), grade, ("  partial: not heard as a whole" * record.partial, "yellow"))


def _meaning(record: CallRecord) -> Text:
    sip = record.sip
    words = f"{sip.class_}xx {sip.class_name}" if sip.class_ is not None and sip.class_name else ""
    if sip.candidates:
        words = record.disposition.replace("_", " ")
    return Text(": ".join(plain(text) for text in (words, sip.meaning) if text))


def _hint(record: CallRecord) -> Text:
    return Text(f"→ {plain(record.hint)}" if record.hint else "", "cyan")


def _route(record: CallRecord, between: str) -> Text:
    names = route(record)
    rest = f" (+{len(names) - _ROUTE_SHOWN})" if len(names) > _ROUTE_SHOWN else ""
    return Text(f"{between}→ ".join(names[:_ROUTE_SHOWN]) + rest)


def _padded(text: Text, width: int) -> Text:
    text.pad_right(max(0, width - len(text)))
    return text
