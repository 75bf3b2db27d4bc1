"""What a PBX of the lab is started with."""

from __future__ import annotations

import dataclasses
import random
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Release = Literal["22", "16"]

# The line of the product: each leg's snapshot carries the last SIP status line received on it.
THE_LINE = (
    r"EVAL(${${IF(${FIELDNUM(HANGUPCAUSE_KEYS(),\\,,${CHANNEL(name)})}?HANGUPCAUSE:LEN)}(${CHANNEL(name)},tech)})"
)


@dataclass(frozen=True, slots=True)
class AmiTls:
    """Certificate and key (PEM) for AMI over TLS."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class PbxOptions:
    """How one PBX is set up. The defaults are what the README recommends, with Asterisk's real timers."""

    release: Release = "22"
    channelvars: str | None = THE_LINE  # None: no channelvars line at all
    timestamps: bool = True  # manager.conf timestampevents
    chan_sip: bool = False  # release 16 only: the trunks also as SIP/acme, SIP/globex, SIP/silent
    ami_tls: AmiTls | None = None
    cel_events: bool = False  # CEL over AMI
    cdr_events: bool = False  # CDR over AMI (the CSV file is always written)
    timer_t1_ms: int = 500  # a trunk that says nothing is given up after 64 times this; 100 is the least
    timer_b_ms: int = 32_000  # chan_sip goes by this; for PJSIP keep it at 64 times T1
    extra: Mapping[str, str] = field(default_factory=dict)  # file name -> text appended to it (or the file itself)
    modules: tuple[str, ...] = ()  # more modules to load, such as res_hep.so


@dataclass(frozen=True, slots=True)
class Ports:
    """Where everybody lives, all on one loopback address of the PBX's own."""

    sip: int
    chan_sip: int
    ami: int
    ami_tls: int
    http: int
    acme: int
    globex: int
    initech: int
    phones: int
    silent: int
    refused: int  # nobody ever listens here

    @classmethod
    def free(cls, host: str) -> Ports:
        """Find ports that are free both for UDP and for TCP."""
        held: list[socket.socket] = []
        numbers: list[int] = []
        try:
            while len(numbers) < len(dataclasses.fields(cls)):
                udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                held.append(udp)
                udp.bind((host, 0))
                tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
                held.append(tcp)
                try:
                    tcp.bind((host, udp.getsockname()[1]))
                except OSError:
                    continue
                numbers.append(udp.getsockname()[1])
        finally:
            for one in held:
                one.close()
        return cls(*numbers)


def own_address() -> str:
    """Give a loopback address that nobody else uses: many PBXs run at once, also from several processes."""
    return f"127.{random.randint(2, 254)}.{random.randint(0, 255)}.{random.randint(1, 254)}"
