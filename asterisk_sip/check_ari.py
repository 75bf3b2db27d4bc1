"""Looks through the ARI door as the daemon will: login, rights, version, the line, the SIP Call-ID."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path

from asterisk_sip.check_ear import Ear
from asterisk_sip.check_files import sections_of
from asterisk_sip.check_line import about_line, about_pjsip, about_twice, grade_of_events
from asterisk_sip.check_ports import first_head, look_at_port
from asterisk_sip.check_remark import Evidence, Level, Remark, remark_with
from asterisk_sip.config import AriConfig
from asterisk_sip.errors import AuthError, SourceError
from asterisk_sip.sources.ami_event_wire import reads_status
from asterisk_sip.sources.ari import AriLink, AriSettings

ARI = "ari.conf"
USER = "asterisk-sip"  # the section of configs/asterisk/ari.conf

OTHER_APP = "-check"
"""Added to the name of the application: Asterisk would cut off the daemon when another subscribes under its name."""


@dataclass(slots=True)
class AriEar(Ear):
    """Listens to ARI while the check lasts."""

    with_pjsip: bool = False
    with_twice: bool = False
    with_call_id: bool = False

    def raw(self, data: bytes) -> None:
        """Look at the bytes for what the events do not tell."""
        self.with_line = self.with_line or b"HANGUPCAUSE(" in data or b"?HANGUPCAUSE:" in data
        self.with_pjsip = self.with_pjsip or b"CHANNEL(pjsip" in data
        self.with_twice = self.with_twice or b"EVAL(${EVAL(" in data
        self.with_call_id = self.with_call_id or (b'"protocol_id":"' in data and b'"protocol_id":""' not in data)


async def look_at_ari(
    settings: AriSettings, wait_s: float, config_dir: Path = Path("/etc/asterisk")
) -> tuple[list[Remark], list[Evidence]]:
    """Connect, look for ``wait_s`` seconds at what passes by, and return what was found. Raises nothing."""
    ear = AriEar()
    link = AriLink(replace(settings, app=settings.app + OTHER_APP), ear)
    unused = [Evidence("ARI", True, None, "nothing, as it is")]
    try:
        await link.open()
    except AuthError as error:
        text = f"ARI: {error}. The user or its password is not the one in ari.conf."
        user = (f"[{settings.username}]", "type = user", "read_only = yes", "password = <the one given here>")
        return [Remark(Level.PROBLEM, text, ARI, user)], unused
    except SourceError as error:
        text = f"No ARI at {settings.host}:{settings.port}: {error}"
        return [remark_with(Level.PROBLEM, text, "http.conf", "general")], unused
    local = settings.host in ("localhost", "127.0.0.1", "::1")
    listening = asyncio.create_task(link.listen())
    try:
        sections = await asyncio.to_thread(sections_of, config_dir / ARI) if local else None
        await ear.wait(wait_s)
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        await link.close()
    remarks = [
        Remark(Level.OK, f"ARI: logged in at {settings.host}:{settings.port} as {settings.username}"),
        *_about_user(sections, settings.username),
    ]
    lines = None if sections is None else sections.get("general", {}).get("channelvars", [])[-1:]
    remarks += about_pjsip([*(lines or ()), *(["CHANNEL(pjsip"] if ear.with_pjsip else ())])
    remarks += about_twice(ARI, [*(lines or ()), *(["EVAL(${EVAL("] if ear.with_twice else ())])
    remarks.append(about_line(ARI, lines, ear.line, wait_s))
    in_file = None if lines is None else any(map(reads_status, lines))
    grade, tells = grade_of_events(link.version, line=ear.line if ear.line is not None else in_file)
    if ear.with_call_id:
        tells += "; the SIP Call-ID of each leg"
    return remarks, [Evidence("ARI", True, grade, tells)]


def _about_user(sections: dict[str, dict[str, list[str]]] | None, username: str) -> list[Remark]:
    if sections is None or username.lower() not in sections:
        return []
    value = (sections[username.lower()].get("read_only") or ["no"])[-1]
    if value.lower() in ("yes", "true", "on", "1", "y", "t"):
        return []
    text = "ARI: the user may do more than it needs: it can place and end calls. Reading is enough."
    return [remark_with(Level.NOTE, text, ARI, USER, "read_only")]


async def look_at_outbound_ari(
    config: AriConfig, wait_s: float, *, running: bool
) -> tuple[list[Remark], list[Evidence]]:
    """Listen for ``wait_s`` seconds where Asterisk should connect to, if the port is free. Raises nothing."""

    async def look() -> list[Remark]:
        if await first_head(config.listen_host, config.listen_port, wait_s) is not None:
            return [Remark(Level.OK, "ARI: Asterisk connects to this program")]
        text = f"ARI: Asterisk did not connect in {wait_s:g} s. Look at websocket_client.conf and ari.conf."
        return [Remark(Level.NOTE, text)]

    remarks, _ = await look_at_port("ARI", config.listen_host, config.listen_port, running=running, look=look)
    return remarks, [Evidence("ARI", True, None, "what AMI tells; not known how well before asterisk-sip runs")]
