"""The addresses this program listens at: which cannot be shared, and which can be reached from other machines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from asterisk_sip.config_doors import AgiConfig, AriConfig, HepConfig
from asterisk_sip.config_faults import Findings, Loc, key_path
from asterisk_sip.config_types import is_loopback

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
    _web(tree.get("web"), findings)
    at: dict[tuple[str, str, int], list[_Listener]] = {}
    for one in _listeners(tree):
        if not is_loopback(one.host):
            findings.warn((*one.loc, "listen_host"), _exposed(one))
        at.setdefault((one.protocol, one.host, one.port), []).append(one)
    for first, *others in at.values():
        for one in others:
            if one.door != first.door:
                findings.fault((*one.loc, "listen_port"), f"is the port of {key_path(first.loc)} too")
        if others and first.door == "hep":
            _distinct_captures([first, *others], findings)


def _web(table: object, findings: Findings) -> None:
    host = table.get("host") if isinstance(table, dict) else None
    if (
        isinstance(table, dict)
        and isinstance(host, str)
        and host
        and not is_loopback(host)
        and "cert_file" not in table
    ):
        findings.warn(
            ("web", "host"),
            "can be reached from other machines, and passwords and calls travel there unencrypted; set cert_file and "
            "key_file, or let a reverse proxy with TLS reach 127.0.0.1",
        )


def _distinct_captures(sharing: list[_Listener], findings: Findings) -> None:
    for number, one in enumerate(sharing):
        loc, others = (*one.loc, "capture_id"), sharing[:number]
        same = [other for other in others if other.table.get("capture_id") == one.table.get("capture_id")]
        if "capture_id" not in one.table:
            other = others[0] if others else sharing[1]
            findings.fault(loc, f"is required, for {key_path(other.loc)} listens there too")
        elif same:
            findings.fault(loc, f"is that of {key_path(same[0].loc)} too, which listens there as well")


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


def _exposed(one: _Listener) -> str:
    known = "hep with password" if "capture_password" in one.table else one.door
    where = f"[{one.host}]" if ":" in one.host else one.host
    return f"{where}:{one.port} can be reached from other machines; {_RISKS[known]}{_ADVICE}"
