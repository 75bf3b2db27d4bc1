"""Asterisk's configuration files: those that this program ships, as data, and those on this machine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from asterisk_sip.config_files import shipped


def lines_of(file: str, section: str, *keys: str) -> tuple[str, ...]:
    """Return the settings of a section of a file in ``configs/asterisk`` as ``key = value``, those with these keys."""
    text = shipped(f"asterisk/{file}").read_text("utf-8")
    return tuple(
        f"{key} = {value}" for where, key, value in settings_of(text) if where == section and (not keys or key in keys)
    )


def settings_of(text: str) -> Iterator[tuple[str, str, str]]:
    """Read an Asterisk configuration file as (section, key, value); section names in small letters."""
    section = ""
    for raw in text.splitlines():
        line = re.sub(r"(?<!\\);.*", "", raw).strip()
        if line.startswith("["):
            section = line[1:].partition("]")[0].lower()
        elif "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            yield section, key.strip(), value.removeprefix(">").strip()


def has_includes(text: str) -> bool:
    """Whether an Asterisk configuration file includes others, which may hold more."""
    return any(line.lstrip().startswith("#") for line in text.splitlines())


def sections_of(path: Path) -> dict[str, dict[str, list[str]]] | None:
    """Return a configuration file on this machine by section and key.

    None when it cannot be read, or includes others: they may hold more.
    """
    try:
        text = path.read_text("utf-8", "replace")
    except OSError:
        return None
    if has_includes(text):
        return None
    found: dict[str, dict[str, list[str]]] = {}
    for section, key, value in settings_of(text):
        found.setdefault(section, {}).setdefault(key, []).append(value)
    return found
