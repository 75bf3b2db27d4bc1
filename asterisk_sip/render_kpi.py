"""The numbers as a person sees them in the terminal, and as lines for a program."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from typing import TextIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from asterisk_sip.calls.kpi import Failures, Group, Ratio
from asterisk_sip.calls.model import to_json
from asterisk_sip.catalog.ratios import ratio_rules
from asterisk_sip.stores.numbers import Numbers, NumbersQuery, group_json

from .render_console import console as terminal
from .render_gaps import lasted, told_completeness
from .render_plain import cell, plain

_PIPE_WIDTH = 160  # it has many columns
_CODES_SHOWN = 4
_TABLE_WIDTH = 130  # in less, its columns would be squeezed


def print_numbers(found: Numbers, query: NumbersQuery, console: Console | None = None) -> None:
    """Print a table with a row for each group, what each ratio is, and how complete the records are."""
    console = console or terminal(_PIPE_WIDTH)
    if any(group.attempts or group.calls for group in found.groups):
        if console.width < _TABLE_WIDTH:
            _print_blocks(found.groups, console)
        else:
            console.print(_table(found.groups, query))
        for rule in ratio_rules():
            console.print(Text(f"{rule.name.upper()}: {rule.title.lower()} = {rule.formula} ({rule.reference})", "dim"))
        console.print(
            Text("In brackets: where the true share lies with 95 % confidence (Wilson), and of how many.", "dim")
        )
        console.print(Text(f"-: fewer than {query.least} to count, too few to tell.", "dim"))
    else:
        console.print("No attempt on a trunk ended in this time. Look further back with --since 7d.")
    told = told_completeness(found.gaps, query.since, query.until)
    for line in told or [f"No gap is recorded in this time ({lasted(query.until - query.since)})."]:
        console.print(Text(line))


def json_lines(groups: Iterable[Group], query: NumbersQuery) -> str:
    """Return one line of JSON for each group."""
    return "".join(json.dumps(group_json(group, query), ensure_ascii=False) + "\n" for group in groups)


def csv_lines(groups: Iterable[Group], query: NumbersQuery, file: TextIO) -> None:
    """Write one row for each group: of each ratio its value, its interval, and both counts. Empty is unknown."""
    parts = ("value", "low", "high", "numerator", "denominator")
    writer = csv.writer(file, lineterminator="\n")
    names = [f"{rule.name}_{part}" for rule in ratio_rules() for part in parts]
    rest = ["pdd_p50_ms", "pdd_p95_ms", "pdd_p99_ms", "acd_s", "failures"]
    writer.writerow(["at", *query.by, "attempts", "calls", *names, *rest])
    for group in groups:
        ratios = [getattr(ratio, part) for ratio in group.ratios for part in parts]
        pdd = (None,) * 3 if group.pdd is None else (group.pdd.p50_ms, group.pdd.p95_ms, group.pdd.p99_ms)
        key = [cell(name) for name in group.key]
        row = [to_json(group.at), *key, group.attempts, group.calls, *ratios, *pdd, group.acd.mean_s]
        writer.writerow([*row, group.failures.total])


def _table(groups: list[Group], query: NumbersQuery) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    if query.step is not None:
        table.add_column("From", no_wrap=True)
    for name in query.by:
        table.add_column(name.upper() if name == "pbx" else name.capitalize(), overflow="ellipsis", max_width=24)
    table.add_column("Attempts", justify="right")
    for rule in ratio_rules():
        table.add_column(rule.name.capitalize() if rule.name == "rescue" else rule.name.upper(), justify="right")
    table.add_column("PDD ms\np50 p95 p99", justify="right")
    table.add_column("ACD s", justify="right")
    table.add_column("Failures by code")
    for group in groups:
        when, key = _when(group), _key(group)
        ratios = [_ratio(ratio) for ratio in group.ratios]
        table.add_row(*when, *key, str(group.attempts), *ratios, _delays(group), _mean(group), _codes(group.failures))
    return table


def _print_blocks(groups: list[Group], console: Console) -> None:
    """Print what the table holds, a few lines for each group."""
    for group in groups:
        attempts = "1 attempt" if group.attempts == 1 else f"{group.attempts} attempts"
        console.print(Text(" ").join([*_when(group), *_key(group), Text(attempts, "bold")]))
        block = Table.grid(padding=(0, 2))
        for rule, ratio in zip(ratio_rules(), group.ratios, strict=True):
            block.add_row("   ", rule.name.upper(), Text(" ").join(_ratio(ratio).split()))
        for name, text in (("PDD p50 p95 p99 ms", _delays(group)), ("ACD s", _mean(group))):
            block.add_row("   ", name, text)
        block.add_row("   ", "Failures by code", _codes(group.failures))
        console.print(block)
        console.print()


def _when(group: Group) -> list[Text]:
    return [] if group.at is None else [Text(group.at.astimezone().strftime("%d %b %H:%M"), "dim")]


def _key(group: Group) -> list[Text]:
    return [Text(plain(name) or "unknown") for name in group.key]


def _ratio(ratio: Ratio) -> Text:
    if ratio.value is None or ratio.low is None or ratio.high is None:
        return Text(f"-\n({ratio.denominator})", "dim")
    return Text.assemble(
        (f"{100 * ratio.value:.1f} %\n", "bold"),
        (f"[{100 * ratio.low:.0f}-{100 * ratio.high:.0f}] of {ratio.denominator}", "dim"),
    )


def _delays(group: Group) -> str:
    pdd = group.pdd
    if pdd is None or pdd.p50_ms is None or pdd.p95_ms is None or pdd.p99_ms is None:
        return "-"
    return f"{pdd.p50_ms:.0f} {pdd.p95_ms:.0f} {pdd.p99_ms:.0f}"


def _mean(group: Group) -> str:
    return "-" if group.acd.mean_s is None else f"{group.acd.mean_s:.0f}"


def _codes(failures: Failures) -> str:
    first = list(failures.by_code.items())[:_CODES_SHOWN]
    told = [f"{code or 'unknown'}: {count}" for code, count in first]
    left = failures.total - sum(count for _, count in first)
    return ", ".join([*told, f"others: {left}"] if left else told)
