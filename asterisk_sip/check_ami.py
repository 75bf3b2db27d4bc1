"""Looks through the AMI door as the daemon will: login, rights, version, time stamps, the line, UserEvents."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from pathlib import Path

from asterisk_sip.calls.model import Grade
from asterisk_sip.check_ear import Ear
from asterisk_sip.check_files import lines_of, sections_of
from asterisk_sip.check_line import about_line, about_pjsip, about_twice, grade_of_events
from asterisk_sip.check_release import about_release
from asterisk_sip.check_remark import Evidence, Level, Remark, remark_with
from asterisk_sip.errors import AuthError, SourceError
from asterisk_sip.sources.ami import AmiLink, AmiSettings
from asterisk_sip.sources.ami_event_wire import reads_status

MANAGER = "manager.conf"
USER = "asterisk-sip"  # the section of configs/asterisk/manager.conf

TOO_MUCH = ("Originate", "Command", "Redirect", "UpdateConfig", "Hangup", "DBPut", "ModuleLoad", "Setvar")
"""Actions that a listener has no use for."""

_EVERY_CLASS = {"all", "on", "yes", "true"}


@dataclass(slots=True)
class AmiEar(Ear):
    """Listens to AMI while the check lasts."""

    wants_reports: bool = False
    timestamps: bool | None = None
    user_events: bool = False
    variables: set[str] = field(default_factory=set)

    def enough(self) -> bool:
        """Whether calls passed by, and UserEvents if they are asked for."""
        return self.calls_passed and (self.user_events or not self.wants_reports)

    def raw(self, data: bytes) -> None:
        """Look at the bytes for what the events do not tell."""
        if b"\nPrivilege: call" in data:  # FullyBooted never has one
            self.timestamps = self.timestamps or b"\nTimestamp: " in data
        self.user_events = self.user_events or b"\nPrivilege: user" in data
        for line in data.split(b"\n"):
            if b"ChanVariable: " in line:
                self.variables.add(line.partition(b"ChanVariable: ")[2].decode("utf-8", "replace").strip())
        self.with_line = any(map(reads_status, self.variables))


@dataclass(frozen=True, slots=True)
class Configured:
    """What is known of Asterisk's manager.conf; None what nobody tells."""

    general: dict[str, list[str]] | None = None
    read: frozenset[str] | None = None  # the classes of events that the user may read


async def look_at_ami(
    settings: AmiSettings, wait_s: float, config_dir: Path = Path("/etc/asterisk")
) -> tuple[list[Remark], list[Evidence]]:
    """Connect, look for ``wait_s`` seconds at what passes by, and return what was found. Raises nothing."""
    ear = AmiEar(wants_reports="user" in settings.event_mask.split(","))
    link = AmiLink(settings, ear)
    try:
        await link.open()
    except AuthError as error:
        return [_refused(error, settings.username)], [_unused()]
    except SourceError as error:
        text = f"No AMI at {settings.host}:{settings.port}: {error}"
        return [remark_with(Level.PROBLEM, text, MANAGER, "general", "enabled", "port", "bindaddr")], [_unused()]
    remarks = [Remark(Level.OK, f"AMI: logged in at {settings.host}:{settings.port} as {settings.username}")]
    evidence = [_unused()]
    try:
        remarks += await _version_and_rights(link, ear)
        found, evidence = await _events(link, settings, ear, wait_s, config_dir)
        remarks += found
    except SourceError as error:
        remarks.append(Remark(Level.PROBLEM, f"The link was lost while looking: {error}"))
    finally:
        await link.close()
    return remarks, evidence


def _unused() -> Evidence:
    return Evidence("AMI", True, None, "nothing, as it is")


def _refused(error: AuthError, username: str) -> Remark:
    lines = (
        f"[{username}]",
        "secret = <the secret that this program is given>",
        *lines_of(MANAGER, USER, "read", "write"),
    )
    text = f"{error}. The user or its secret is not the one in manager.conf."
    return Remark(Level.PROBLEM, text, MANAGER, lines)


def _user(level: Level, text: str, *keys: str) -> Remark:
    return Remark(level, text, f"{MANAGER}, the user", lines_of(MANAGER, USER, *keys))


async def _version_and_rights(link: AmiLink, ear: AmiEar) -> list[Remark]:
    answer = await link.ask({"Action": "CoreSettings"})
    commands = await link.ask({"Action": "ListCommands"})
    remarks = []
    if link.version is not None:
        remarks.append(Remark(Level.OK, f"Asterisk {link.version}"))
    if not answer.success:
        text = "The user may not ask for the version or the living channels: calls cut by a lost link stay open."
        remarks.append(_user(Level.PROBLEM, text, "write"))
    if not ear.booted:
        text = "No FullyBooted event came: the user does not read class system, so a restart of Asterisk is not told."
        remarks.append(_user(Level.NOTE, text, "read"))
    excess = [name for name in TOO_MUCH if name in commands]
    if excess:
        text = f"The user may do more than it needs ({', '.join(excess)}). Reading is enough."
        remarks.append(_user(Level.NOTE, text, "read", "write"))
    return [*remarks, *about_release(link.version)]


async def _events(
    link: AmiLink, settings: AmiSettings, ear: AmiEar, wait_s: float, config_dir: Path
) -> tuple[list[Remark], list[Evidence]]:
    """Look at manager.conf, and at what passes by, for the settings that decide what the events tell."""
    configured = await _configured(link, settings.username, config_dir if link.is_local else None)
    if ear.wants_reports or configured.general is None:
        await ear.wait(wait_s)
    general = configured.general
    lines = None if general is None else general.get("channelvars", [])[-1:]  # only the last counts
    in_file = None if lines is None else any(map(reads_status, lines))
    line = ear.line if ear.line is not None else in_file
    said = [*(lines or ()), *ear.variables]
    remarks = [
        *_about_stamps(ear, general),
        *about_pjsip(said),
        *about_twice(MANAGER, said),
        about_line(MANAGER, lines, ear.line, wait_s),
        *_about_classes(configured.read, settings.event_mask),
    ]
    reports = Evidence("UserEvent", ear.wants_reports, *_of_reports(ear))
    return remarks, [Evidence("AMI", True, *grade_of_events(link.version, line=line)), reports]


def _of_reports(ear: AmiEar) -> tuple[Grade | None, str]:
    if ear.user_events:
        return Grade.WIRE, "what the hangup handlers of the dialplan report; UserEvents passed by"
    if ear.wants_reports:
        return None, "what the hangup handlers of the dialplan report; none passed by"
    return None, "the status line of each dialled leg, told by a hangup handler: needs class user and extensions.conf"


def _about_stamps(ear: AmiEar, general: dict[str, list[str]] | None) -> list[Remark]:
    stamped = ear.timestamps
    if stamped is None and general is not None:
        value = (general.get("timestampevents") or ["no"])[-1]
        stamped = re.fullmatch(r"yes|true|on|1|y|t", value, re.IGNORECASE) is not None
    if stamped is not False:
        return []
    text = "Events carry no time of their own: the time at which they arrive is taken."
    return [remark_with(Level.NOTE, text, MANAGER, "general", "timestampevents")]


def _about_classes(read: frozenset[str] | None, event_mask: str) -> list[Remark]:
    """Compare what the user may read with what the configuration asks for."""
    if read is None or read & _EVERY_CLASS:
        return []
    missing = sorted({name.strip() for name in event_mask.split(",")} - read - _EVERY_CLASS - {"system"})
    if not missing:
        return []
    level = Level.PROBLEM if "call" in missing else Level.NOTE
    text = f"The user may not read {', '.join(missing)}, which event_mask asks for: Asterisk leaves those events out."
    return [Remark(level, text, f"{MANAGER}, the user", (f"read = {event_mask}",))]


async def _configured(link: AmiLink, username: str, config_dir: Path | None) -> Configured:
    """Return what manager.conf says: from Asterisk if the user may ask, else from the file on this machine.

    A file that includes others is not believed: they may hold more.
    """
    general = await _ask(link, "general")
    if general is not None:
        user = await _ask(link, username)
        return Configured(general, _classes(user))
    if config_dir is None:
        return Configured()
    sections = await asyncio.to_thread(sections_of, config_dir / MANAGER)
    if sections is None:
        return Configured()
    return Configured(sections.get("general", {}), _classes(sections.get(username.lower())))


async def _ask(link: AmiLink, category: str) -> dict[str, list[str]] | None:
    answer = await link.ask({"Action": "GetConfig", "Filename": MANAGER, "Category": category})
    if not answer.success:
        return None
    found: dict[str, list[str]] = {}
    for header, text in answer.items():
        if header.lower().startswith("line-"):
            key, _, value = str(text).partition("=")
            found.setdefault(key, []).append(value)
    return found


def _classes(user: dict[str, list[str]] | None) -> frozenset[str] | None:
    if user is None or "read" not in user:
        return None
    return frozenset(name.strip() for value in user["read"] for name in value.lower().split(","))
