"""Which of the two ends of a message is the PBX itself: told by the configuration, else learned. Pure; bounded.

A capture shows who sent a packet to whom, not which of them is Asterisk. Every packet has Asterisk at one end, so the
end that talks with more others is Asterisk; and as no two strangers talk to each other, who talks with a known stranger
is Asterisk too, whatever its port (an outgoing TCP connection has a new one each time).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, TypeVar

from asterisk_sip.calls.bounded import Bounded
from asterisk_sip.calls.sip_seen import UDP, Address, SipSeen

K = TypeVar("K")

MAX_ADDRESSES = 10_000
MAX_OTHERS = 4  # who talks with so many others is told from who talks with fewer
MARKS = ("Asterisk PBX", "FPBX-")


class Addresses(NamedTuple):
    """What the configuration tells of SIP addresses: hosts (``192.0.2.10``), or hosts with port (``192.0.2.10:5060``,
    ``[2001:db8::1]:5060``).
    """

    local: tuple[str, ...] = ()  # the PBX's own
    endpoints: tuple[tuple[str, str], ...] = ()  # others, with the names of their endpoints


class EndpointNames:
    """The endpoints of pjsip.conf behind addresses, as far as the configuration tells."""

    def __init__(self, endpoints: Iterable[tuple[str, str]] = ()) -> None:
        self._names = {read_address(text): name for text, name in endpoints}

    def at(self, address: Address) -> str:
        """Return the name of the endpoint at an address, else its host."""
        return self._names.get(address) or self._names.get((address[0], 0)) or address[0]


class OwnAddresses:
    """What is known of the PBX's own addresses. ``local``: see ``Addresses``."""

    def __init__(self, local: Iterable[str] = ()) -> None:
        self._local = {read_address(text) for text in local}
        self._hosts: Bounded[str, set[str]] = Bounded(MAX_ADDRESSES)  # with which other hosts each talks
        self._ends: Bounded[Address, set[Address]] = Bounded(MAX_ADDRESSES)  # the same by port, UDP only
        self._marked: Bounded[Address, bool] = Bounded(MAX_ADDRESSES)  # who names itself Asterisk, and who does not
        self._own: Bounded[Address, bool] = Bounded(MAX_ADDRESSES)  # what was found out: True for our own

    def __len__(self) -> int:
        return len(self._hosts) + len(self._ends) + len(self._marked) + len(self._own)

    def learn(self, seen: SipSeen) -> None:
        """Take what a message shows of who talks with whom."""
        src, dst = seen.src, seen.dst
        if src[0] != dst[0]:
            _add(self._hosts, src[0], dst[0])
            _add(self._hosts, dst[0], src[0])
        if seen.transport == UDP:
            _add(self._ends, src, dst)
            _add(self._ends, dst, src)
        if seen.message.agent is not None and self._marked.get(src) is None:
            self._marked[src] = seen.message.agent.startswith(MARKS)

    def sent(self, seen: SipSeen) -> bool | None:
        """Return whether the PBX sent this message: False when it received it, None as long as nobody can tell."""
        return self.sent_between(seen.src, seen.dst, udp=seen.transport == UDP, sender=seen.sender)

    def sent_between(self, src: Address, dst: Address, *, udp: bool, sender: str | None = None) -> bool | None:
        """Return the same for whatever goes from ``src`` to ``dst``; ``sender`` is the host that told us of it."""
        told = _either(self._is_local(src), self._is_local(dst))
        if told is None and sender is not None and not _is_loopback(sender):
            told = _either(src[0] == sender, dst[0] == sender)
        if told is None and src[0] != dst[0]:
            told = _more(self._hosts, src[0], dst[0])
        if told is None:
            told = self._by_ends(src, dst, udp=udp)
        if told is None:
            told = _either(bool(self._marked.get(src)), bool(self._marked.get(dst)))
        return told

    def _is_local(self, address: Address) -> bool:
        return (address[0], 0) in self._local or address in self._local

    def _by_ends(self, src: Address, dst: Address, *, udp: bool) -> bool | None:
        told = _more(self._ends, src, dst) if udp else None
        if told is not None:
            self._own[src], self._own[dst] = told, not told
            return told
        known = self._own.get(src)
        if known is not None:
            return known
        known = self._own.get(dst)
        return None if known is None else not known


def read_address(text: str) -> Address:
    """Return host and port of a text; port 0 when it names none. Raises ValueError when the port is no number."""
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        return host, int(port.removeprefix(":") or 0)
    if text.count(":") != 1:
        return text, 0
    host, _, port = text.partition(":")
    return host, int(port)


def _is_loopback(host: str) -> bool:
    return host == "::1" or host.startswith("127.")


def _either(one: bool, other: bool) -> bool | None:
    """Return whether it is the first, when it is one of the two."""
    return one if one != other else None


def _add(table: Bounded[K, set[K]], key: K, other: K) -> None:
    others = table.get(key)
    if others is None:
        table[key] = {other}
    elif len(others) < MAX_OTHERS:
        others.add(other)


def _more(table: Bounded[K, set[K]], src: K, dst: K) -> bool | None:
    counts = len(table.get(src) or ()), len(table.get(dst) or ())
    return None if counts[0] == counts[1] else counts[0] > counts[1]
