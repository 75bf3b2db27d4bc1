"""Opens the doors of a PBX: from its configuration to the sources that listen, each with its own listener."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable
from functools import partial
from typing import Protocol

from asterisk_sip.calls import events as ev
from asterisk_sip.calls.own_address import Addresses
from asterisk_sip.config import AmiConfig, CelConfig, Config, PbxConfig
from asterisk_sip.config_doors import AgiConfig, AriConfig
from asterisk_sip.config_keeping import PrivacyConfig
from asterisk_sip.config_model import JournalConfig
from asterisk_sip.desk_backfill import ReadLog
from asterisk_sip.privacy import journal_key
from asterisk_sip.sources.agi import AgiDoor, AgiSettings, AgiSource
from asterisk_sip.sources.ami import AmiSettings, AmiSource
from asterisk_sip.sources.ari import AriSettings, AriSource
from asterisk_sip.sources.ari_listener import AriDoor, AriListener
from asterisk_sip.sources.backfill import LOOK_BACK_S, VISIBLE_AFTER_S, CelSettings, read_rows
from asterisk_sip.sources.cel_calls_wire import calls_from_cel
from asterisk_sip.sources.hep import HepDoor, HepSettings, HepSource
from asterisk_sip.sources.journal import Journal, JournalSettings
from asterisk_sip.sources.listener import Listener


class Source(Protocol):
    """Listens to one door until it is cancelled, and mends its link by itself."""

    async def run(self) -> None:
        """Listen for ever; ends only by being cancelled."""


class Doors(Protocol):
    """Where the doors of a PBX lead to: its desk, or a file that records it all."""

    relist: list[Callable[[], None]]

    def door(self, name: str) -> Listener:
        """Return the listener for one of its sources."""

    def read_gaps_from(self, read: ReadLog, /) -> None:
        """Take what reads the calls of a gap from Asterisk's own log."""


def open_doors(pbx: PbxConfig, desk: Doors) -> list[Source]:
    """Return a source for every door of a PBX; they lead to its desk."""
    sources: list[Source] = []
    if pbx.cel is not None:
        desk.read_gaps_from(partial(read_cel, cel_settings(pbx.cel)))
    if pbx.ami is not None:
        ami = AmiSource(pbx.name, ami_settings(pbx.ami), desk.door("ami"))
        desk.relist.append(ami.relist)
        sources.append(ami)
    if pbx.ari is not None and not pbx.ari.outbound:
        ari = AriSource(pbx.name, ari_settings(pbx.ari), desk.door("ari"))
        desk.relist.append(ari.relist)
        sources.append(ari)
    return sources


def sip_addresses(pbx: PbxConfig) -> Addresses:
    """Return what the configuration tells of a PBX's SIP addresses."""
    if pbx.hep is None:
        return Addresses()
    return Addresses(pbx.hep.local, tuple((peer.address, peer.endpoint) for peer in pbx.hep.peer))


def open_hep(pbxs: Iterable[tuple[PbxConfig, Doors]]) -> list[HepSource]:
    """Return a source for each address to which PBXs send their SIP messages: several may share one."""
    settings: dict[tuple[str, int], HepSettings] = {}
    doors: dict[tuple[str, int], list[HepDoor]] = {}
    for pbx, desk in pbxs:
        if pbx.hep is None:
            continue
        address = (pbx.hep.listen_host, pbx.hep.listen_port)
        largest_kb = max(pbx.hep.receive_buffer_kb, settings[address].receive_buffer_kb if address in settings else 0)
        settings[address] = HepSettings(*address, receive_buffer_kb=largest_kb)
        secret = pbx.hep.capture_password
        password = secret.get_secret_value().encode() if secret is not None else None
        doors.setdefault(address, []).append(HepDoor(pbx.name, desk.door("hep"), pbx.hep.capture_id, password))
    return [HepSource(settings[address], sharing) for address, sharing in doors.items()]


def open_agi(pbxs: Iterable[tuple[PbxConfig, Doors]]) -> list[AgiSource]:
    """Return a source for each address at which PBXs report over AGI: several may share one."""
    sharing: dict[tuple[str, int], list[tuple[AgiConfig, AgiDoor]]] = defaultdict(list)
    for pbx, desk in pbxs:
        if pbx.agi is not None:
            door = AgiDoor(pbx.name, desk.door("agi"))
            sharing[pbx.agi.listen_host, pbx.agi.listen_port].append((pbx.agi, door))
    return [AgiSource(agi_settings([config for config, _ in at]), [door for _, door in at]) for at in sharing.values()]


def open_ari(pbxs: Iterable[tuple[PbxConfig, Doors]]) -> list[AriListener]:
    """Return a source for each address to which PBXs connect with their events: several may share one."""
    sharing: dict[tuple[str, int], list[AriDoor]] = defaultdict(list)
    for pbx, desk in pbxs:
        if pbx.ari is not None and pbx.ari.outbound:
            door = AriDoor(pbx.name, ari_settings(pbx.ari), desk.door("ari"))
            desk.relist.append(door.relist)
            sharing[pbx.ari.listen_host, pbx.ari.listen_port].append(door)
    return [AriListener(host, port, doors) for (host, port), doors in sharing.items()]


def agi_settings(configs: list[AgiConfig]) -> AgiSettings:
    """Return the settings of one AGI address: the shortest deadline and the most connections of those who share it."""
    return AgiSettings(
        configs[0].listen_host,
        configs[0].listen_port,
        min(config.deadline_ms for config in configs),
        max(config.max_connections for config in configs),
    )


def ami_settings(config: AmiConfig) -> AmiSettings:
    """Return the AMI source's settings from the configuration."""
    names = AmiSettings.__dataclass_fields__.keys() - {"secret"}
    plain = {name: getattr(config, name) for name in names}
    return AmiSettings(secret=config.secret.get_secret_value(), **plain)


def ari_settings(config: AriConfig) -> AriSettings:
    """Return the ARI source's settings from the configuration."""
    names = AriSettings.__dataclass_fields__.keys() - {"password"}
    plain = {name: getattr(config, name) for name in names}
    return AriSettings(password=config.password.get_secret_value(), **plain)


@contextlib.asynccontextmanager
async def journal_kept(config: Config) -> AsyncIterator[Journal | None]:
    """Give the journal, if one is to be kept, while it is written; None if not."""
    if config.journal is None:
        yield None
        return
    journal = Journal(journal_settings(config.journal, config.privacy))
    journal.start()
    try:
        yield journal
    finally:
        await asyncio.to_thread(journal.stop)


def journal_settings(config: JournalConfig, privacy: PrivacyConfig) -> JournalSettings:
    """Return the journal's settings from the configuration."""
    return JournalSettings(
        folder=config.folder,
        max_file_bytes=config.max_file_mb << 20,
        max_total_bytes=config.max_total_mb << 20,
        key=journal_key(config, privacy),
    )


async def read_cel(settings: CelSettings, began_at: float, ended_at: float) -> list[ev.Backfilled]:
    """Return what Asterisk's CEL tells of a gap, when its last rows are there. Raises SourceError."""
    await asyncio.sleep(VISIBLE_AFTER_S)
    rows = await read_rows(settings, began_at - LOOK_BACK_S, ended_at)
    return calls_from_cel(rows, began_at, ended_at)


def cel_settings(config: CelConfig) -> CelSettings:
    """Return from where to read CEL."""
    password = None if config.password is None else config.password.get_secret_value()
    return CelSettings(config.kind, config.path, config.url, password, config.table)
