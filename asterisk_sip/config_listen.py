"""The addresses this program listens at: which cannot be shared, and which can be reached from other machines."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from asterisk_sip.config_doors import AgiConfig, AriConfig, HepConfig
from asterisk_sip.config_faults import Findings, Loc, key_path

Table = dict[str, Any]


@dataclass(frozen=True)
class _Listener:
    """One door that listens: where in the file it stands, and what the file says."""

    loc: Loc
    door: str
    protocol: str
    host: str
    port: int
    table: Table


_LISTENING: tuple[tuple[str, str, type[BaseModel]], ...] = (
    ("ari", "tcp", AriConfig),
    ("agi", "tcp", AgiConfig),
    ("hep", "udp", HepConfig),
)
_RISKS = {
    "ari": "Asterisk must log in with username and password, but they and the events travel unencrypted",
    "agi": "AGI has neither password nor encryption: whoever reaches it can tell false hangup causes",
    "hep": "it has no password, so whoever reaches it can show false SIP messages; SIP travels unencrypted",
    "hep with password": "packets without the capture password are dropped, but it and SIP travel unencrypted",
}
_ADVICE = "; let only the PBX through the firewall"


def look(tree: Table, findings: Findings) -> None:
    """Tell of addresses that two doors cannot share, and warn of those that other machines can reach."""
    first: dict[tuple[str, str, int], _Listener] = {}
    ids: dict[tuple[str, int, object], _Listener] = {}
    for one in _listeners(tree):
        if not _is_loopback(one.host):
            findings.warn((*one.loc, "listen_host"), _exposed(one))
        other = first.setdefault((one.protocol, one.host, one.port), one)
        if other is not one and (one.door != other.door or one.door == "ari"):
            findings.fault((*one.loc, "listen_port"), f"is the port of {key_path(other.loc)} too")
        elif one.door == "hep":
            _capture_ids(one, other, ids.setdefault((one.host, one.port, one.table.get("capture_id")), one), findings)


def _capture_ids(one: _Listener, other: _Listener, same: _Listener, findings: Findings) -> None:
    if other is one:
        return
    for listener in (other, one):
        if "capture_id" not in listener.table:
            loc = (*listener.loc, "capture_id")
            reason = f"is required, for {key_path((one if listener is other else other).loc)} listens there too"
            if (findings.name(loc), reason) not in findings.faults:
                findings.fault(loc, reason)
    if same is not one and "capture_id" in one.table:
        findings.fault((*one.loc, "capture_id"), f"is that of {key_path(same.loc)} too, which listens there as well")


def _listeners(tree: Table) -> Iterator[_Listener]:
    """The doors that listen, as far as the file says something sensible of them."""
    pbxs = tree.get("pbx")
    for number, pbx in enumerate(pbxs if isinstance(pbxs, list) else ()):
        for door, protocol, model in _LISTENING:
            table = pbx.get(door) if isinstance(pbx, dict) else None
            if not isinstance(table, dict) or (door == "ari" and table.get("outbound") is not True):
                continue
            host, port = (table.get(key, model.model_fields[key].default) for key in ("listen_host", "listen_port"))
            if isinstance(host, str) and host and type(port) is int:
                yield _Listener(("pbx", number, door), door, protocol, host, port, table)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _exposed(one: _Listener) -> str:
    known = "hep with password" if "capture_password" in one.table else one.door
    where = f"[{one.host}]" if ":" in one.host else one.host
    return f"{where}:{one.port} can be reached from other machines; {_RISKS[known]}{_ADVICE}"
