"""Looks at the HEP door: whether the port is free, packets come, and are those of this PBX."""

from __future__ import annotations

import hmac

from asterisk_sip.calls.model import Grade
from asterisk_sip.check_ports import datagrams, look_at_port
from asterisk_sip.check_remark import Evidence, Level, Remark
from asterisk_sip.config import HepConfig
from asterisk_sip.sources import hep_wire

HEP_TELLS = "every SIP message: status and phrase, Reason, Warning, ringing times, also of calls without a channel"


async def look_at_hep(config: HepConfig, wait_s: float, *, running: bool) -> tuple[list[Remark], Evidence]:
    """Listen for ``wait_s`` seconds if the port is free, and return what was found. Raises nothing."""

    async def look() -> list[Remark]:
        return _of_datagrams(config, await datagrams(config.listen_host, config.listen_port, wait_s), wait_s)

    remarks, came = await look_at_port("HEP", config.listen_host, config.listen_port, running=running, look=look)
    return remarks, Evidence("HEP", True, Grade.WIRE if came else None, HEP_TELLS)


def _of_datagrams(config: HepConfig, heard: list[bytes], wait_s: float) -> list[Remark]:
    packets = []
    fault = None
    for data in heard:
        try:
            packets.append(hep_wire.parse(data))
        except hep_wire.PacketError as error:
            fault = str(error)
    if not packets and fault is not None:
        return [Remark(Level.PROBLEM, f"HEP: what comes to port {config.listen_port} is not read: {fault}")]
    if not packets:
        text = f"HEP: nothing came in {wait_s:g} s. Place a call while checking (--wait 60), or look at hep.conf:"
        return [Remark(Level.NOTE, text, "hep.conf [general]", _lines(config))]
    mine = [packet for packet in packets if config.capture_id in (None, packet.capture_id)]
    if not mine:
        text = f"HEP: packets come, but none with capture_id {config.capture_id}: those have {packets[0].capture_id}."
        return [Remark(Level.PROBLEM, text, "hep.conf [general]", (f"capture_id = {config.capture_id}",))]
    if config.capture_password is not None:
        wanted = config.capture_password.get_secret_value().encode()
        if not any(hmac.compare_digest(packet.password or b"", wanted) for packet in mine):
            text = "HEP: packets come, but without the right capture_password: they are dropped."
            return [Remark(Level.PROBLEM, text, "hep.conf [general]", ("capture_password = <the one given here>",))]
    sip = sum(packet.protocol == hep_wire.SIP for packet in mine)
    if not sip:
        text = "HEP: packets come, but none with SIP: is res_hep_pjsip loaded?"
        return [Remark(Level.PROBLEM, text, "modules.conf [modules]", ("load = res_hep_pjsip.so",))]
    return [Remark(Level.OK, f"HEP: SIP messages come (capture_id {mine[0].capture_id})")]


def _lines(config: HepConfig) -> tuple[str, ...]:
    host = f"[{config.listen_host}]" if ":" in config.listen_host else config.listen_host
    lines = ["enabled = yes", f"capture_address = {host}:{config.listen_port}"]
    if config.capture_id is not None:
        lines.append(f"capture_id = {config.capture_id}")
    if config.capture_password is not None:
        lines.append("capture_password = <the one given here>")
    return tuple(lines)
