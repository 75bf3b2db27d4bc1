"""A SIP message as data: parsed from bytes and written back, odd bytes kept. Pure, shared by peer and caller."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

Headers = tuple[tuple[str, str], ...]

LONG_NAMES = {
    "v": "via",
    "f": "from",
    "t": "to",
    "i": "call-id",
    "m": "contact",
    "l": "content-length",
    "c": "content-type",
}


def text(raw: bytes) -> str:
    """Give the text of raw bytes; what is not UTF-8 survives a round trip through ``raw``."""
    return raw.decode("utf-8", "surrogateescape")


def raw(value: str) -> bytes:
    """Give the bytes of a text made by ``text``."""
    return value.encode("utf-8", "surrogateescape")


def token() -> str:
    """Give a fresh tag, branch end or Call-ID."""
    return secrets.token_hex(8)


@dataclass(slots=True)
class SipMessage:
    """One request or response: its start line, its headers in order, its body."""

    start: str
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    @property
    def method(self) -> str:
        """The method of a request; ``SIP/2.0`` for a response."""
        return self.start.split(" ", 1)[0]

    @property
    def is_request(self) -> bool:
        """Whether this asks (a request) and does not answer."""
        return not self.start.startswith("SIP/2.0 ")

    @property
    def uri(self) -> str:
        """The request URI."""
        return self.start.split(" ", 2)[1]

    @property
    def user(self) -> str:
        """The user part of the request URI, without parameters; empty when there is none."""
        bare = self.uri.partition(":")[2]
        return bare.rpartition("@")[0].partition(";")[0]

    @property
    def status(self) -> int:
        """The status of a response."""
        return int(self.start.split(" ", 2)[1])

    @property
    def phrase(self) -> str:
        """The phrase of a response, as received."""
        return " ".join(self.start.split(" ")[2:])

    def all(self, name: str) -> list[str]:
        """Give every value of a header, in order."""
        wanted = name.lower()
        return [value for key, value in self.headers if LONG_NAMES.get(key.lower(), key.lower()) == wanted]

    def get(self, name: str) -> str:
        """Give the first value of a header, or an empty text."""
        found = self.all(name)
        return found[0] if found else ""

    @property
    def call_id(self) -> str:
        """The Call-ID."""
        return self.get("call-id")

    @property
    def cseq_number(self) -> int:
        """The number of CSeq."""
        return int(self.get("cseq").split()[0])

    @property
    def cseq_method(self) -> str:
        """The method of CSeq: what a response answers."""
        return self.get("cseq").split()[1]

    @property
    def branch(self) -> str:
        """The branch of the topmost Via: the transaction."""
        return parameter(self.get("via"), "branch")

    @property
    def to_tag(self) -> str:
        """The tag of To: empty in the first INVITE of a call."""
        return parameter(self.get("to").rpartition(">")[2], "tag")

    def encode(self) -> bytes:
        """Write the message as bytes, with its Content-Length."""
        lines = [self.start, *(f"{key}: {value}" for key, value in self.headers), f"Content-Length: {len(self.body)}"]
        return raw("\r\n".join(lines) + "\r\n\r\n") + self.body


def parameter(value: str, name: str) -> str:
    """Give a ``;name=value`` parameter of a header value, or an empty text."""
    for part in value.split(";")[1:]:
        key, _, found = part.partition("=")
        if key.strip().lower() == name:
            return found.strip()
    return ""


def address(value: str) -> str:
    """Give the bare URI of a From, To or Contact value."""
    return value.partition("<")[2].partition(">")[0] if "<" in value else value.partition(";")[0].strip()


def parse(data: bytes) -> SipMessage | None:
    """Read one datagram; None for keep-alives and rubbish."""
    head, _, body = data.partition(b"\r\n\r\n")
    lines = text(head).split("\r\n")
    if "SIP/2.0" not in lines[0]:
        return None
    headers: list[tuple[str, str]] = []
    for line in lines[1:]:
        key, colon, value = line.partition(":")
        if colon:
            headers.append((key.strip(), value.strip()))
    message = SipMessage(lines[0], headers, body)
    message.headers = [pair for pair in headers if LONG_NAMES.get(pair[0].lower(), pair[0].lower()) != "content-length"]
    return message


def sdp(host: str, port: int = 9) -> bytes:
    """Offer or answer plain G.711 at an address."""
    lines = ["v=0", f"o=- 1 1 IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0", f"m=audio {port} RTP/AVP 0 8"]
    lines += ["a=rtpmap:0 PCMU/8000", "a=rtpmap:8 PCMA/8000", "a=sendrecv", ""]
    return "\r\n".join(lines).encode()


BETWEEN_KEYS_S = 0.15


def key(digit: str) -> tuple[Headers, bytes]:
    """Give headers and body of the INFO that says a key was pressed."""
    return (("Content-Type", "application/dtmf-relay"),), f"Signal={digit}\r\nDuration=100\r\n".encode()


def response(
    request: SipMessage, status: int, phrase: str, to_tag: str = "", *, headers: Headers = (), body: bytes = b""
) -> SipMessage:
    """Answer a request: same Via, From, To, Call-ID and CSeq; ``to_tag`` is added to To when it has none."""
    copied: list[tuple[str, str]] = [("Via", value) for value in request.all("via")]
    copied += [("Record-Route", value) for value in request.all("record-route")]
    to = request.get("to")
    if to_tag and not request.to_tag:
        to += f";tag={to_tag}"
    copied += [("From", request.get("from")), ("To", to), ("Call-ID", request.call_id), ("CSeq", request.get("cseq"))]
    if body:
        copied.append(("Content-Type", "application/sdp"))
    return SipMessage(f"SIP/2.0 {status} {phrase}", [*copied, *headers], body)
