"""Rules of alerts in files of their own: read beside the main file, their faults told by their own names."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from asterisk_sip.config_faults import Findings, os_reason

Table = dict[str, Any]


def include_alerts(tree: Table, folder: Path, findings: Findings) -> None:
    """Put the ``[[alerts]]`` of the files that ``alerting.include`` names behind those of the main file."""
    alerting = tree.get("alerting")
    patterns = alerting.get("include") if isinstance(alerting, dict) else None
    if not isinstance(patterns, list) or not isinstance(tree.get("alerts", []), list):
        return  # nothing, or a fault that validation tells
    seen: set[Path] = set()
    for number, pattern in enumerate(patterns):
        if not isinstance(pattern, str) or not pattern:
            continue
        paths = _found(folder, pattern)
        if not paths:
            findings.fault(("alerting", "include", number), f"{folder / pattern}: there is no such file")
        for path in paths:
            if path not in seen:
                seen.add(path)
                _take(tree, path, folder, findings)


def _found(folder: Path, pattern: str) -> list[Path]:
    whole = Path(pattern)
    if whole.is_absolute():
        folder, pattern = Path(whole.anchor), str(whole.relative_to(whole.anchor))
    try:
        return sorted(folder.glob(pattern))
    except (ValueError, NotImplementedError, OSError):
        return []


def _take(tree: Table, path: Path, folder: Path, findings: Findings) -> None:
    name = str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        findings.faults.append((name, os_reason(error)))
        return
    except (ValueError, RecursionError) as error:
        findings.faults.append((name, f"is not TOML: {error}"))
        return
    for key in content.keys() - {"alerts"}:
        findings.faults.append((f"{name}: {key}", "has no place here: such a file holds [[alerts]] and nothing else"))
    entries = content.get("alerts", [])
    if not isinstance(entries, list):
        findings.faults.append((f"{name}: alerts", "is written as a list of tables: [[alerts]]"))
        return
    alerts = tree.setdefault("alerts", [])
    for number, entry in enumerate(entries):
        findings.included["alerts", len(alerts)] = (name, number)
        alerts.append(entry)
