"""Looks at a PBX as the daemon will see it, and says what is missing and which exact lines to add."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from asterisk_sip.calls import events as ev
from asterisk_sip.errors import AuthError, SourceError
from asterisk_sip.sources.ami import AmiLink, AmiSettings

THE_LINE = (
    r"channelvars = EVAL(${EVAL(${IF($[\"${HANGUPCAUSE_KEYS()}\"=\"${CHANNEL(name)}\"]?$:)}"
    r"{HANGUPCAUSE(${CHANNEL(name)},tech)})})"
)
"""What makes Asterisk show the status line as received (manager.conf and ari.conf, section general)."""

PLAIN_LINE = "EVAL(${HANGUPCAUSE(${CHANNEL(name)},tech)})"
"""The same, but it logs a warning an event while there is no response yet."""

FIRST_TECH_CAUSE = {20: (17, 0), 22: (7, 0), 23: (1, 0)}
"""The first release of each branch whose Hangup carries TechCause (commit 5766460cc7). Never in 16 to 19 and 21."""

EMPTY_TECH = {20: ((17, 0), (18, 0)), 21: ((12, 0), (12, 4)), 22: ((7, 0), (8, 0)), 23: ((1, 0), (2, 0))}
"""From and up to which release HANGUPCAUSE(...,tech) can be empty when a Reason header came (issues 1606, 1621)."""

_TOO_MUCH = ("Originate", "Command", "Redirect", "UpdateConfig", "Hangup", "DBPut", "ModuleLoad", "Setvar")


class Level(StrEnum):
    """How good or bad a finding is."""

    OK = "ok"
    NOTE = "note"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing found, and the lines to add (``file``, ``lines``) that would change it."""

    level: Level
    text: str
    file: str | None = None
    lines: tuple[str, ...] = ()


@dataclass(slots=True)
class Ear:
    """Listens while the check lasts."""

    booted: bool = False
    timestamps: bool | None = None
    calls_passed: bool = False
    variables: set[str] = field(default_factory=set)
    seen: asyncio.Event = field(default_factory=asyncio.Event)

    def heard(self, events: list[ev.Event]) -> None:
        """Take events."""
        for event in events:
            if isinstance(event, ev.Booted):
                self.booted = True
            if isinstance(
                event, ev.ChannelBegan | ev.HungUp
            ):  # the whole event was looked at: it shows the line or not
                self.calls_passed = True
                self.seen.set()

    def link_up(self, version: str | None) -> None:
        """Take no notice."""

    def link_down(self, reason: str) -> None:
        """Take no notice."""

    def lost(self, count: int, reason: str) -> None:
        """Take no notice."""

    def raw(self, data: bytes) -> None:
        """Look at the bytes for what the events do not tell."""
        if b"\nPrivilege: call" in data:  # FullyBooted never has one
            self.timestamps = self.timestamps or b"\nTimestamp: " in data
        for line in data.split(b"\n"):
            if b"ChanVariable: " in line:
                self.variables.add(line.partition(b"ChanVariable: ")[2].decode("utf-8", "replace").strip())

    @property
    def with_line(self) -> bool:
        """Whether events showed the line at work."""
        return any("HANGUPCAUSE(" in variable for variable in self.variables)


async def look_at(settings: AmiSettings, wait_s: float, config_dir: Path = Path("/etc/asterisk")) -> list[Remark]:
    """Connect to a PBX, look for ``wait_s`` seconds at what it shows, and return what was found. Raises nothing."""
    ear = Ear()
    link = AmiLink(settings, ear)
    try:
        await link.open()
    except AuthError as error:
        return [_refused(error, settings)]
    except SourceError as error:
        return [Remark(Level.PROBLEM, f"No AMI at {settings.host}:{settings.port}: {error}", *_http_free(settings))]
    remarks = [Remark(Level.OK, f"Logged in at {settings.host}:{settings.port} as {settings.username}")]
    try:
        remarks += await _version_and_rights(link, ear)
        remarks += await _general(link, ear, wait_s, config_dir)
    except SourceError as error:
        remarks.append(Remark(Level.PROBLEM, f"The link was lost while looking: {error}"))
    finally:
        await link.close()
    return remarks


def has_tech_cause(version: str | None) -> bool | None:
    """Return whether Hangup carries TechCause in this release; None when the version is not known."""
    parsed = _release(version)
    if parsed is None:
        return None
    major, rest, certified = parsed
    if certified:
        return major == 22
    first = FIRST_TECH_CAUSE.get(major)
    return major > max(FIRST_TECH_CAUSE) or (first is not None and rest >= first)


def tech_may_be_empty(version: str | None) -> bool:
    """Return whether this release is one in which the line can be empty although a response came."""
    parsed = _release(version)
    if parsed is None or parsed[2] or parsed[0] not in EMPTY_TECH:
        return False
    begin, end = EMPTY_TECH[parsed[0]]
    return begin <= parsed[1] < end


def _release(version: str | None) -> tuple[int, tuple[int, int], bool] | None:
    match = re.match(r"(certified/|certified-)?(\d+)\.(\d+)(?:\.(\d+))?(-cert)?", version or "")
    if match is None:
        return None
    return int(match[2]), (int(match[3]), int(match[4] or 0)), bool(match[1] or match[5])


def _refused(error: AuthError, settings: AmiSettings) -> Remark:
    lines = (
        f"[{settings.username}]",
        "secret = <the secret that this program is given>",
        "read = call,system,agent",
        "write = reporting",
    )
    return Remark(
        Level.PROBLEM, f"{error}. The user or its secret is not the one in manager.conf.", "manager.conf", lines
    )


def _http_free(settings: AmiSettings) -> tuple[str, tuple[str, ...]]:
    return "manager.conf [general]", ("enabled = yes", f"port = {settings.port}", "bindaddr = 127.0.0.1")


async def _version_and_rights(link: AmiLink, ear: Ear) -> list[Remark]:
    settings = await link.ask({"Action": "CoreSettings"})
    commands = await link.ask({"Action": "ListCommands"})
    remarks = []
    if link.version is not None:
        remarks.append(Remark(Level.OK, f"Asterisk {link.version}"))
    if not settings.success:
        remarks.append(
            Remark(
                Level.PROBLEM,
                "The user may not ask for the version or the living channels: calls cut by a lost link stay open.",
                "manager.conf, the user",
                ("write = reporting",),
            )
        )
    if not ear.booted:
        remarks.append(
            Remark(
                Level.NOTE,
                "No FullyBooted event came: the user does not read class system, so a restart of Asterisk is not told.",
                "manager.conf, the user",
                ("read = call,system,agent",),
            )
        )
    excess = [name for name in _TOO_MUCH if name in commands]
    if excess:
        remarks.append(
            Remark(
                Level.NOTE,
                f"The user may do more than it needs ({', '.join(excess)}). Reading is enough.",
                "manager.conf, the user",
                ("read = call,system,agent", "write = reporting"),
            )
        )
    return [*remarks, *_about_release(link.version)]


def _about_release(version: str | None) -> list[Remark]:
    known = has_tech_cause(version)
    if known is None:
        return []
    if known:
        remarks = [
            Remark(Level.OK, "This release tells TechCause: without the line below, codes are known but not phrases")
        ]
    else:
        remarks = [
            Remark(
                Level.NOTE,
                "This release has no TechCause: without the line below only a set of possible codes is known",
            )
        ]
    if tech_may_be_empty(version):
        remarks.append(
            Remark(
                Level.NOTE,
                "In this release the status can be missing when the far end sent a Reason header "
                "(mended in 20.18, 22.8, 23.2; never in 21). TechCause fills in where there is one.",
            )
        )
    return remarks


async def _general(link: AmiLink, ear: Ear, wait_s: float, config_dir: Path) -> list[Remark]:
    """Look at manager.conf, or at what passes by, for the settings that decide what the events tell."""
    settings = await _configured(link, config_dir if link.is_local else None)
    if settings is None and not ear.seen.is_set():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await ear.seen.wait()
    remarks = []
    if ear.timestamps is False or (ear.timestamps is None and settings is not None and not _stamped(settings)):
        remarks.append(
            Remark(
                Level.NOTE,
                "Events carry no time of their own: the time at which they arrive is taken.",
                "manager.conf [general]",
                ("timestampevents = yes",),
            )
        )
    lines = None if settings is None else [line for line in settings if line.startswith("channelvars=")]
    return [*remarks, *_pjsip_warning([*(lines or ()), *ear.variables]), _line_remark(lines, ear, wait_s)]


def _stamped(settings: list[str]) -> bool:
    return any(re.fullmatch(r"timestampevents=(yes|true|on|1|y|t)", line, re.IGNORECASE) for line in settings)


def _line_remark(configured: list[str] | None, ear: Ear, wait_s: float) -> Remark:
    if ear.with_line:
        return Remark(Level.OK, "The line is active: statuses are known as received, phrase included (grade wire)")
    missing = Remark(
        Level.PROBLEM,
        "The line is missing: the status as received, with its phrase, is not told. Reload with: manager reload",
        "manager.conf [general]",
        (THE_LINE,),
    )
    if ear.calls_passed:
        return missing
    if configured is not None:
        if any("HANGUPCAUSE(" in line for line in configured):
            return Remark(Level.OK, "The line is in manager.conf (no call passed by to show it)")
        return missing
    return Remark(
        Level.NOTE,
        f"No call passed by in {wait_s:g} s, so it is not known whether the line is there. "
        "Place a call while checking (--wait 60), or look for it:",
        "manager.conf [general]",
        (THE_LINE,),
    )


def _pjsip_warning(texts: Iterable[str]) -> list[Remark]:
    if not any("CHANNEL(pjsip" in text for text in texts):
        return []
    return [
        Remark(
            Level.PROBLEM,
            "channelvars holds CHANNEL(pjsip,...): under load this froze Asterisk 22.10.1 (120 of 800 calls ended, the "
            "others hung for ever). Take it out.",
        )
    ]


async def _configured(link: AmiLink, config_dir: Path | None) -> list[str] | None:
    """Return the general settings of manager.conf as ``key=value``: from Asterisk if the user may ask, else the file.

    None when neither tells, or when the file includes others that may hold more.
    """
    answer = await link.ask({"Action": "GetConfig", "Filename": "manager.conf", "Category": "general"})
    if answer.success:
        return [str(value) for key, value in answer.items() if key.lower().startswith("line-")]
    if config_dir is None:
        return None
    try:
        text = await asyncio.to_thread((config_dir / "manager.conf").read_text, "utf-8", "replace")
    except OSError:
        return None
    return general_settings(text)


def general_settings(text: str) -> list[str] | None:
    """Return the settings of section general in a manager.conf as ``key=value``; None when it includes other files."""
    settings: list[str] = []
    section = ""
    for raw in text.splitlines():
        line = re.sub(r"(?<!\\);.*", "", raw).strip()
        if line.startswith("#"):
            return None
        if line.startswith("["):
            section = line[1:].partition("]")[0].lower()
        elif section == "general" and "=" in line:
            key, _, value = line.partition("=")
            settings.append(f"{key.strip()}={value.removeprefix('>').strip()}")
    return settings
