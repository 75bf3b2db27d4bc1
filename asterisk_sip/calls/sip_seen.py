"""One SIP message as the wire showed it, cut to what says something about a call."""

from __future__ import annotations

from typing import NamedTuple

Address = tuple[str, int]
"""Host and port."""

UDP = 17
"""The number of UDP among the IP protocols."""


class Party(NamedTuple):
    """Who a From, To or P-Asserted-Identity header names."""

    user: str = ""  # of the URI, without parameters or password; the number of a tel URI
    host: str = ""
    display: str | None = None
    tag: str | None = None


class SipMessage(NamedTuple):
    """A request, or a response (then ``status`` is set). Header values are remote text, as they came.

    ``method`` of a response is that of its CSeq: what it answers.
    """

    method: str
    call_id: str
    cseq: int
    uri: str = ""
    status: int | None = None
    phrase: str = ""
    sender: Party = Party()  # From
    target: Party = Party()  # To
    asserted: Party | None = None  # P-Asserted-Identity (RFC 3325), else Remote-Party-ID
    branch: str | None = None  # of the topmost Via
    agent: str | None = None  # User-Agent of a request, Server of a response
    reasons: tuple[str, ...] = ()  # RFC 3326, one by one
    warnings: tuple[str, ...] = ()  # RFC 3261 section 20.43
    retry_after_s: int | None = None
    call_info: tuple[str, ...] = ()
    contacts: tuple[str, ...] = ()
    authorized: bool = False  # it carries credentials
    cut: bool = False  # it had more headers than are read

    @property
    def is_request(self) -> bool:
        """Whether this asks, and does not answer."""
        return self.status is None

    @property
    def user(self) -> str:
        """The user of the request URI."""
        return user_of(self.uri)

    @property
    def line(self) -> str:
        """The start line, short: ``INVITE sip:608@acme``, ``608 Rejected``."""
        return f"{self.method} {self.uri}" if self.status is None else f"{self.status} {self.phrase}".rstrip()


class SipSeen(NamedTuple):
    """A SIP message that the PBX sent or received at ``at``. ``sender`` is the host that told us of it."""

    at: float
    message: SipMessage
    src: Address
    dst: Address
    transport: int = UDP  # number of the IP protocol
    sender: str | None = None


def user_of(uri: str) -> str:
    """Return the user of a SIP URI without parameters and password, or the number of a tel URI; else nothing."""
    scheme, _, rest = uri.partition(":")
    if scheme.lower() == "tel":
        return rest.partition(";")[0]
    user, at, _ = rest.rpartition("@")
    return user.partition(";")[0].partition(":")[0] if at else ""


def host_of(uri: str) -> str:
    """Return the host of a SIP URI, without its port; nothing for a tel URI."""
    scheme, _, rest = uri.partition(":")
    if scheme.lower() not in ("sip", "sips"):
        return ""
    host = rest.rpartition("@")[2].partition(";")[0].partition("?")[0]
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
