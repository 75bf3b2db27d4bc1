"""Where a request comes from: which machine, which page, and by which name of ours."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from aiohttp import web

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Place:
    """Where we are served: our own names beside those of this machine, who may speak for others, and whether by TLS.

    ``anywhere``: other machines reach us, so our addresses are names too. No page elsewhere can have one of those.
    """

    names: frozenset[str] = frozenset()
    proxies: tuple[Network, ...] = ()
    anywhere: bool = False

    def own(self, host: str) -> bool:
        """Return whether a Host header names us; its owner may have had another name lead here (DNS rebinding)."""
        name = _name(host)
        if name in self.names or name in ("localhost", ""):
            return True
        address = _address(name)
        return address is not None and (self.anywhere or address.is_loopback)

    def trusts(self, address: Address | None) -> bool:
        """Return whether an address is that of our reverse proxy."""
        return address is not None and any(address in network for network in self.proxies)

    def is_secure(self, request: web.Request) -> bool:
        """Return whether the reader's browser speaks TLS: to us, or to the proxy that says so."""
        told = request.headers.get("X-Forwarded-Proto", "") if self.trusts(peer(request)) else ""
        return request.secure or told.rpartition(",")[2].strip().lower() == "https"

    def client(self, request: web.Request) -> str:
        """Return which machine asks, as a key to count by: an IPv4 address, or the /64 of an IPv6 address.

        Behind our proxy it is the last address in X-Forwarded-For that is not a proxy's; what stands before that one
        was written by the machine itself.
        """
        address = peer(request)
        hops = ",".join(request.headers.getall("X-Forwarded-For", ())).split(",")
        while self.trusts(address) and hops:
            hop = _address(hops.pop().strip())
            if hop is None:
                break
            address = hop
        if isinstance(address, ipaddress.IPv6Address):
            return str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))
        return str(address)


def peer(request: web.Request) -> Address | None:
    """Return the address at the other end of the connection."""
    return _address(request.remote or "")


def from_elsewhere(request: web.Request, names: Collection[str] = ()) -> bool:
    """Return whether a page that is not ours made a browser send this, other than by a link that is followed.

    Browsers say so in Sec-Fetch-Site, or, where we are not reached by TLS, in Origin. What is no browser says neither.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site in ("cross-site", "same-site"):
        return request.method not in SAFE or request.headers.get("Sec-Fetch-Mode") != "navigate"
    origin = request.headers.get("Origin")
    if site is not None or origin is None or request.method in SAFE:
        return False
    try:
        netloc = urlsplit(origin).netloc.lower()
    except ValueError:
        return True
    return not netloc or (netloc != request.host.lower() and _name(netloc) not in names)


def by_a_browser(request: web.Request) -> bool:
    """Return whether a request that changes something came from a browser: each of them says from which page."""
    return "Origin" in request.headers or "Sec-Fetch-Site" in request.headers


def followed_from_elsewhere(request: web.Request) -> bool:
    """Return whether somebody followed a link on another page: browsers keep strict cookies back then."""
    return request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site")


def _name(host: str) -> str:
    return (host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]).lower()


def _address(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
