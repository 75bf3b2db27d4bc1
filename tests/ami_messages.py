"""What an AMI peer says, as bytes and as data: messages, the usual answers, and certificates for TLS."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import trustme

Action = dict[str, str]
Headers = Mapping[str, str] | Sequence[tuple[str, str]]
Reply = Callable[[Action], Iterable[Headers]]

BANNER = b"Asterisk Call Manager/11.0.0\r\n"


def message(*pairs: tuple[str, str], **headers: str) -> bytes:
    """One AMI message as bytes: pairs first (for repeated or odd names), then keywords."""
    lines = [f"{name}: {value}\r\n" for name, value in (*pairs, *headers.items())]
    return ("".join(lines) + "\r\n").encode()


def core_settings(version: str = "22.10.1", system_name: str = "") -> Reply:
    """What Asterisk answers to CoreSettings."""
    settings = {
        "Response": "Success",
        "AMIversion": "11.0.0",
        "AsteriskVersion": version,
        "SystemName": system_name,
        "CoreMaxCalls": "0",
        "CoreMaxLoadAvg": "0.000000",
        "CoreRunUser": "asterisk",
        "CoreRunGroup": "asterisk",
        "CoreMaxFilehandles": "0",
        "CoreRealTimeEnabled": "No",
        "CoreCDRenabled": "Yes",
        "CoreHTTPenabled": "Yes",
    }
    return lambda _: [settings]


def core_show_channels(*channels: Mapping[str, str]) -> Reply:
    """What Asterisk answers to CoreShowChannels while these channels are up."""
    start = {"Response": "Success", "EventList": "start", "Message": "Channels will follow"}
    rows = [{"Event": "CoreShowChannel", **channel} for channel in channels]
    count = str(len(channels))
    end = {"Event": "CoreShowChannelsComplete", "EventList": "Complete", "ListItems": count}
    return lambda _: [start, *rows, end]


def usual_replies() -> dict[str, Reply]:
    """The answers of an idle Asterisk, by lower-case action; the server adds the ActionID."""
    core_status = {
        "Response": "Success",
        "CoreStartupDate": "2026-11-01",
        "CoreStartupTime": "08:00:00",
        "CoreReloadDate": "2026-11-01",
        "CoreReloadTime": "08:00:00",
        "CoreCurrentCalls": "0",
    }
    return {
        "ping": lambda _: [{"Response": "Success", "Ping": "Pong", "Timestamp": "1793520000.000001"}],
        "events": lambda _: [{"Response": "Success", "Events": "On"}],
        "coresettings": core_settings(),
        "corestatus": lambda _: [core_status],
        "coreshowchannels": core_show_channels(),
        "logoff": lambda _: [{"Response": "Goodbye", "Message": "Thanks for all the fish."}],
    }


@dataclass(frozen=True)
class Certificates:
    """What a TLS server shows and what its client must trust."""

    server: ssl.SSLContext
    ca_file: Path

    @classmethod
    def make(cls, folder: Path, *names: str) -> Self:
        """Certificates for these names (default: localhost), the CA as a PEM file in ``folder``."""
        authority = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*(names or ("localhost", "127.0.0.1"))).configure_cert(context)
        ca_file = folder / "ca.pem"
        authority.cert_pem.write_to_path(ca_file)
        return cls(context, ca_file)


def with_id(headers: Headers, action_id: str | None) -> bytes:
    """An answer as bytes, with the ActionID as its second header, where Asterisk puts it."""
    pairs = list(headers.items() if isinstance(headers, Mapping) else headers)
    if action_id is not None:
        pairs.insert(1, ("ActionID", action_id))
    return message(*pairs)
