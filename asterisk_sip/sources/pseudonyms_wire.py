"""Phone numbers, names and the user parts of SIP addresses replaced by tokens that look alike. Pure.

A token has the length and the kinds of characters of what it stands for: digits for digits, letters for letters; all
else stays where it is. The same text has the same token wherever it stands, and two texts never share one (a keyed
permutation, no hash: short extensions would fall together), so calls, legs and patterns still fit together.
Who has the key can undo it; nobody else can, but short numbers can be guessed from how often they come.
"""

from __future__ import annotations

import binascii
import re
from functools import lru_cache

from asterisk_sip.calls.permutation import Permutation
from asterisk_sip.calls.privacy import SAID_OF_NOBODY
from asterisk_sip.sources.ami_event_wire import reads_status

REMEMBERED = 65_536

_RUN = re.compile(r"\\.|[0-9]+|[A-Za-z]+|[^\x00-\x7f]")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_OTHERS = "àáâãäåæçèéêëìíîïðñòóôõöøùúûüýþÿ"

TECHNOLOGIES = (
    *("PJSIP", "SIP", "IAX2", "Local", "DAHDI", "SCCP", "MGCP", "Skinny", "Motif", "Console", "Dongle", "Quectel"),
    *("Mobile", "Khomp", "WebSocket", "AudioSocket", "Agent", "Message", "Unistim", "USTM", "OOH323", "H323"),
)

_TECH = rf"(?:{'|'.join(TECHNOLOGIES)})"
_TECH_PREFIX = re.compile(rf"{_TECH}/")
_NAME_WITH_USER = re.compile(rf"(?<![A-Za-z])({_TECH}/)([^@/\s,&()<>\"]+)(?=@)")
_ISDN = re.compile(r"(DAHDI/i\d+/)([^-:\s,)]+)")
_USER = re.compile(r"(?i)(?P<scheme>sips?:|tel:)?(?P<user>[^@:;]*)")

_HOST = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?")

_PIECES = rf"""(?xs)
    (?P<status> \bSIP(?:/2\.0)?\ [1-6]\d\d\b .* )
    | (?P<dial> (?<![A-Za-z]) {_TECH}/[^\s,|"<>()]+ )
    | (?P<stays>
        (?<![\w.]) (?:[\w-]+-)? [12]\d{{9}}\.\d+                                   # a uniqueid, a time
        | [0-9a-fA-F]{{8}}-[0-9a-fA-F]{{4}}-[0-9a-fA-F]{{4}}-[0-9a-fA-F]{{4}}-[0-9a-fA-F]{{12}}
        | (?<![\d.]) \d{{1,3}}(?:\.\d{{1,3}}){{3}} (?![\d.])                       # an address
        | \d{{4}}-\d\d-\d\d[T\ ]\d\d:\d\d:\d\d[.\d]*(?:[+-]\d{{4}})?               # a time
      )
    | (?P<scheme> \b(?:sips?|tel): ) (?P<user> [^@;>\s,]+ ) (?P<at> @? )
    | " (?P<name> [^"<>]* ) " (?= \s*< )
    | (?P<number> \+?\d{{3,}} (?=@) | (?<![\w-]) \+?\d{{5,}} (?![\w])"""
_TEXT = re.compile(_PIECES + ")")
_APPLICATION = re.compile(_PIECES + r" | (?<![\w.:-]) \d{3,4} (?![\w.:-]) )")


class Pseudonyms:
    """Tokens by one key. Any text may be the key; the same key gives the same tokens, anywhere and for ever."""

    def __init__(self, key: bytes) -> None:
        self._permutation = Permutation(key)
        self._run = lru_cache(REMEMBERED)(self._token)

    def __repr__(self) -> str:
        """Leave the key out."""
        return "Pseudonyms()"

    def words(self, text: str) -> str:
        """Replace every number and word of a text: a name, a user."""
        if text.strip("<>").lower() in SAID_OF_NOBODY:
            return text
        return _RUN.sub(lambda match: self._run(match[0]), text)

    def number(self, text: str) -> str:
        """Replace a number or extension. What the dialplan calls its own (``s``, ``h``, ``fax``) stays; so do hosts."""
        return text if len(text) < 2 or _HOST.fullmatch(text) else self.words(text)

    def user(self, text: str, *neighbours: str) -> str:
        """Replace the user part of an address; one named as the endpoint beside it stays: it is no number."""
        return text if text in neighbours else self.number(text)

    def channel(self, name: str) -> str:
        """Replace the number in a channel's name: ``Local/5550100@out-00000001;1``, ``DAHDI/i1/5550100-1``."""
        return _NAME_WITH_USER.sub(
            lambda match: match[1] + self.number(match[2]),
            _ISDN.sub(lambda match: match[1] + self.number(match[2]), name),
        )

    def dial_string(self, text: str) -> str:
        """Replace the numbers in a dial string, of one destination or several. Endpoints and contexts stay."""
        return "&".join(map(self._destination, text.split("&")))

    def _destination(self, text: str) -> str:
        tech = _TECH_PREFIX.match(text)
        start = tech.end() if tech is not None else 0
        if text.startswith("DAHDI/i"):
            return self.channel(text)
        head, slash, tail = text[start:].partition("/")
        if not slash or "@" in head:  # 608@acme, 608@context/n; or an endpoint alone
            user, at, rest = head.partition("@")
            head = self._address(user, rest) + at + rest if at else head
        else:  # acme/608, acme/sip:608@host, g1/5550100
            user, at, rest = tail.partition("@")
            tail = self._address(user, head) + at + rest
        return text[:start] + head + slash + tail

    def _address(self, text: str, endpoint: str) -> str:
        match = _USER.match(text)
        if match is None:
            return text
        return text[: match.start("user")] + self.user(match["user"], endpoint) + text[match.end() :]

    def forward(self, text: str) -> str:
        """Replace the number a call was forwarded to: alone, or in a dial string."""
        return self.dial_string(text) if "@" in text or "/" in text else self.number(text)

    def member(self, text: str) -> str:
        """Replace the name of a queue's member, unless it is that of its endpoint."""
        return self.dial_string(text) if "/" in text else self.words(text)

    def text(self, text: str) -> str:
        """Replace what looks like a number, an address or a name in any text. Status lines and times stay."""
        return _TEXT.sub(self._piece, text)

    def application(self, text: str) -> str:
        """Replace as `text` does, and short numbers too: what an application of the dialplan was given."""
        return _APPLICATION.sub(self._piece, text)

    def _piece(self, match: re.Match[str]) -> str:
        kind, text = match.lastgroup, match[0]
        if match["scheme"]:
            if match["at"] or match["scheme"] == "tel:":
                user, colon, password = match["user"].partition(":")
                text = match["scheme"] + self.number(user) + colon + password + match["at"]
        elif kind == "status":
            text = self.channel(text)
        elif kind == "dial":
            text = self.dial_string(text)
        elif kind == "name":
            text = f'"{self.words(match["name"])}"'
        elif kind == "number":
            text = self.number(text)
        return text

    def assignment(self, text: str) -> str:
        """Replace what is in the value of ``NAME=value``. The line that tells the SIP status keeps its phrase."""
        if reads_status(text):
            return self.channel(text)
        name, equals, value = text.partition("=")
        return name + equals + self.application(value)

    def base64(self, text: str, kind: str) -> str:
        """Replace what Base64 hides behind a ``=``, as `handler_wire` has it; what cannot be read is left out."""
        try:
            hidden = binascii.a2b_base64(text.encode("ascii"), strict_mode=True).decode("utf-8", "surrogateescape")
        except ValueError:
            return ""
        shown = hidden[:1] + getattr(self, kind)(hidden[1:])
        return binascii.b2a_base64(shown.encode("utf-8", "surrogateescape"), newline=False).decode()

    # the permutation

    def _token(self, run: str) -> str:
        if run[0] == "\\":
            return run  # an escape of AMI's, not a letter
        if run.isdigit() and run.isascii():
            return self._permutation.token(run)
        if run.isascii():
            permuted = self._permutation.token(run.lower(), _LETTERS)
            return "".join(new.upper() if old.isupper() else new for old, new in zip(run, permuted, strict=True))
        return _OTHERS[(ord(run) + self._permutation.number("", 0, ord(run) // len(_OTHERS))) % len(_OTHERS)]
