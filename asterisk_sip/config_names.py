"""Names that must differ: those of PBXs, trunks, sinks and users, and the patterns of trunks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from asterisk_sip.config_faults import Findings, Loc, key_path
from asterisk_sip.config_secrets import LISTS, variable_stem

Table = dict[str, Any]


def look(tree: Table, findings: Findings) -> None:
    """Tell of every name and every pattern that stands there a second time."""
    _distinct(((("pbx", number), pbx) for number, pbx in tables(tree, "pbx")), findings, stems=True)
    _distinct(((("trunk", number), trunk) for number, trunk in tables(tree, "trunk")), findings, stems=False)
    for below in LISTS:
        _distinct(_entries(tree, below), findings, stems=True)
    _distinct(((("alerts", number), alert) for number, alert in tables(tree, "alerts")), findings, stems=False)
    web = tree.get("web")
    for kind in ("user", "token"):
        let_in = tables(web if isinstance(web, dict) else {}, kind)
        _distinct(((("web", kind, number), one) for number, one in let_in), findings, stems=False)
    _distinct_patterns(tree, findings)
    _known_targets(tree, findings)


def tables(tree: Table, key: str) -> Iterator[tuple[int, Table]]:
    """Give the tables of a list, with their numbers, as far as they are tables."""
    entries = tree.get(key)
    for number, entry in enumerate(entries if isinstance(entries, list) else ()):
        if isinstance(entry, dict):
            yield number, entry


def _entries(tree: Table, below: str) -> Iterator[tuple[Loc, Table]]:
    """Give each sink, or each target of alerts: their kinds are tables below, mostly lists of tables."""
    kinds = tree.get(below)
    kinds = kinds if isinstance(kinds, dict) else {}
    for kind, table in kinds.items():
        if isinstance(table, dict):
            yield (below, kind), {"name": kind, **table}
        else:
            yield from (((below, kind, number), entry) for number, entry in tables(kinds, kind))


def _distinct(entries: Iterable[tuple[Loc, Table]], findings: Findings, *, stems: bool) -> None:
    """Tell of names that stand there twice; with ``stems`` also of two whose secrets would have one variable."""
    seen: dict[str, tuple[Loc, str]] = {}
    for loc, table in entries:
        name = table.get("name")
        if not isinstance(name, str):
            continue
        stem = variable_stem(name) if stems else None
        first, first_name = seen.setdefault(stem or name, (loc, name))
        if first == loc:
            continue
        reason = f"is already the name of {findings.name(first)}"
        if name != first_name:
            variables = variable_stem(f"{loc[0]}_{name}") if loc[0] in LISTS else stem
            reason = f"is too like the name of {key_path(first)}: both take their secrets from {variables}_..."
        findings.fault((*loc, "name"), reason)


def _distinct_patterns(tree: Table, findings: Findings) -> None:
    seen: dict[str, int] = {}
    for number, trunk in tables(tree, "trunk"):
        patterns = trunk.get("endpoints")
        for place, pattern in enumerate(patterns if isinstance(patterns, list) else ()):
            if not isinstance(pattern, str):
                continue
            if pattern in seen:
                findings.fault(("trunk", number, "endpoints", place), f"is already in trunk[{seen[pattern]}]")
            seen.setdefault(pattern, number)


def _known_targets(tree: Table, findings: Findings) -> None:
    """Tell of rules that name a target which is not there: they would be told to nobody."""
    names = [table["name"] for _, table in _entries(tree, "alert_target") if isinstance(table.get("name"), str)]
    for number, alert in tables(tree, "alerts"):
        targets = alert.get("targets")
        for place, name in enumerate(targets if isinstance(targets, list) else ()):
            if isinstance(name, str) and name not in names:
                there = ", ".join(names) or "none"
                findings.fault(("alerts", number, "targets", place), f"names no [[alert_target]]; there is: {there}")
