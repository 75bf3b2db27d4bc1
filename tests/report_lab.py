"""Real PBXs with the hangup handler of configs/asterisk/extensions.conf hooked in, and companions that hear it."""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.e2e import Companion
from tests.lab.asterisk import Asterisk
from tests.lab.fixtures import need_roots
from tests.lab.options import PbxOptions, Release

DIALPLAN = Path(__file__).parent.parent / "configs" / "asterisk" / "extensions.conf"
LEG = "b(asterisk-sip^leg^1)"

Way = Literal["agi", "userevent"]
SOURCES: dict[Way, str] = {"agi": "AGI", "userevent": "UserEvent"}


@dataclass(frozen=True, slots=True)
class ReportingPbx:
    """A PBX whose calls report, over which way, and whether its AMI user hears the events of calls too."""

    pbx: Asterisk
    way: Way
    agi_port: int

    @property
    def source(self) -> str:
        """What a record names as the source."""
        return SOURCES[self.way]

    def companion(self, folder: Path, doors: int = 1) -> Companion:
        """A companion that hears nothing but the reports; or, with the AMI user's usual rights, the calls too."""
        mask = 'event_mask = "call,system,agent,user"'
        return Companion(folder, self.pbx, mask if self.way == "userevent" else "", doors)

    def alone(self, folder: Path) -> Companion:
        """A companion that has no other door than AGI; over UserEvent what it hears depends on its AMI user."""
        companion = self.companion(folder)
        if self.way == "agi":
            text = companion.config.read_text()
            section = f"[pbx.agi]\nlisten_port = {self.agi_port}\n\n"
            companion.config.write_text(
                re.sub(r"\[pbx\.ami\].*?(?=\[\[trunk)", section, text, count=1, flags=re.DOTALL)
            )
        return companion

    def beside_ami(self, folder: Path, doors: int | None = None) -> Companion:
        """A companion that hears AMI and the reports. ``doors``: how many must listen before it counts as started."""
        companion = self.companion(folder, doors or (2 if self.way == "agi" else 1))
        if self.way == "agi":
            text = companion.config.read_text()
            section = f"[pbx.agi]\nlisten_port = {self.agi_port}\n\n"
            companion.config.write_text(text.replace("[[trunk]]", section + "[[trunk]]", 1))
        return companion


def hooked(dialplan: str, *, legs: bool) -> str:
    """Hook the handler in wherever a call begins, and with ``legs`` in every Dial."""
    text = re.sub(r"^(exten => [^,\n]+,1,)", r"\1Gosub(asterisk-sip,call,1)\n same => n,", dialplan, flags=re.MULTILINE)
    if not legs:
        return text
    lines = []
    for line in text.splitlines():
        if "Dial(" in line and "DAHDI" not in line:
            closing = 2 if "ExecIf" in line else 1
            line = f"{line[:-closing]},{LEG}{line[-closing:]}"  # noqa: PLW2901  the line as it will be
        lines.append(line)
    return "\n".join(lines) + "\n"


def hook_in(pbx: Asterisk, agi_port: int | None, *, legs: bool = True, read: str = "call,system,agent,user") -> None:
    """Hook the handler into a running PBX; it reports over AGI when there is a port, else by UserEvent."""
    path = pbx.etc / "extensions.conf"
    text = hooked(path.read_text(), legs=legs)
    where = f"ASTERISK_SIP_AGI = agi://127.0.0.1:{agi_port}/pbx1\n" if agi_port else ""
    path.write_text(text.replace("[globals]\n", f"#include asterisk-sip.conf\n[globals]\n{where}", 1))
    pbx.rewrite("manager.conf", "read = call,system,agent", f"read = {read}")
    pbx.cli("dialplan reload")
    pbx.cli("manager reload")


def free_port() -> int:
    """Give a TCP port of 127.0.0.1 that nobody uses."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


@contextlib.contextmanager
def reporting(release: Release, way: Way, *, calls: bool = False, legs: bool = True) -> Iterator[ReportingPbx]:
    """Start a PBX without the line of manager.conf. ``calls``: its AMI user hears the events of calls."""
    need_roots(release)
    agi_port = free_port()
    extra = {"asterisk-sip.conf": DIALPLAN.read_text()}
    with Asterisk(PbxOptions(release, channelvars=None, chan_sip=release == "16", extra=extra)) as pbx:
        read = "call,system,agent,user" if calls else "user"
        hook_in(pbx, agi_port if way == "agi" else None, legs=legs, read=read)
        yield ReportingPbx(pbx, way, agi_port)
