"""Which addresses a program may be sent to by a name: never, unseen, to this machine or this network."""

from __future__ import annotations

import errno
import ipaddress
import socket
from urllib.parse import urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address


def is_public(address: str) -> bool:
    """Return whether an IP address is one of the internet: not of this machine, a private net, or a group.

    IPv6 addresses that only wrap an IPv4 one (mapped, 6to4, Teredo, NAT64) are as public as that. Raises ValueError for
    what is no address.
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inside = ip.ipv4_mapped or ip.sixtofour or (ip.teredo and ip.teredo[1])
        if inside is None and ip in _NAT64:
            inside = ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
        if inside is not None:
            return is_public(str(inside))
    return ip.is_global and not ip.is_multicast


class Guard(AbstractResolver):
    """Resolves names for one URL, and gives only addresses that may be connected to: what was checked is what is used.

    Public addresses may. Others may when ``allow_private`` says so, or when the URL itself names this very host by an
    address, or as localhost: then whoever wrote the URL meant it.
    """

    def __init__(self, url: str, *, allow_private: bool, inner: AbstractResolver | None = None) -> None:
        self._allow_private = allow_private
        host = urlsplit(url).hostname or ""
        self._own = host if _is_address(host) or host == "localhost" else None
        self._inner: AbstractResolver | None = inner

    def check(self, url: str) -> None:
        """Check a URL that names its host by an address: that is never resolved. Raises OSError when it may not be."""
        host = urlsplit(url).hostname or ""
        if _is_address(host) and not self._permits(host, host):
            raise _refused(host, host)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return where a host may be connected to. Raises OSError when nowhere."""
        if self._inner is None:
            self._inner = ThreadedResolver()
        found = await self._inner.resolve(host, port, family)
        permitted = [each for each in found if self._permits(host, each["host"])]
        if found and not permitted:
            raise _refused(host, found[0]["host"])
        return permitted

    async def close(self) -> None:
        """Let go of what resolves."""
        if self._inner is not None:
            await self._inner.close()

    def _permits(self, host: str, address: str) -> bool:
        return self._allow_private or host == self._own or is_public(address)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _refused(host: str, address: str) -> OSError:
    where = "is" if host == address else f"is at {address},"
    return OSError(errno.EACCES, f"{host} {where} no address of the internet; allow_private = true would allow it")
