"""Passwords and tokens as hashes that can stand in a file: scrypt (RFC 7914) in the PHC string format.

``$scrypt$ln=15,r=8,p=3$SALT$HASH``: cost 2 to the power of ``ln``, block size, parallelism; salt and hash in base64
without padding. Other tools that know the format (passlib, libsodium's relatives) read and make the same.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import unicodedata
from dataclasses import dataclass

LEAST_CHARACTERS = 12
MOST_CHARACTERS = 1_024

_PHC = re.compile(r"\$scrypt\$ln=([0-9]{1,2}),r=([0-9]{1,3}),p=([0-9]{1,3})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)")
_LN, _R, _P = 15, 8, 3  # OWASP's choice for 32 MiB; 0.2 s on a small server
_COSTS = range(10, 20)
_MOST_MIB = 256
_MOST_PARALLEL = 16
_SALT_BYTES, _HASH_BYTES = range(8, 65), range(16, 65)


@dataclass(frozen=True, slots=True)
class Hash:
    """A hash, taken apart. ``cost`` is the N of RFC 7914."""

    cost: int
    block: int
    parallel: int
    salt: bytes
    digest: bytes

    @classmethod
    def read(cls, text: str) -> Hash:
        """Return the hash of a text. Raises ValueError: it is none, or one that is too cheap or too dear to check."""
        match = _PHC.fullmatch(text)
        if match is None:
            raise ValueError("is no scrypt hash; make one with: asterisk-sip password")
        ln, block, parallel = (int(match[group]) for group in (1, 2, 3))
        salt, digest = _decoded(match[4]), _decoded(match[5])
        if len(salt) not in _SALT_BYTES or len(digest) not in _HASH_BYTES:
            raise ValueError("is cut off; copy the whole line that asterisk-sip password printed")
        if ln not in _COSTS or not block or not 0 < parallel <= _MOST_PARALLEL or (block << ln) > _MOST_MIB << 13:
            raise ValueError(f"asks for a cost outside of ln=10 to 19, p=1 to {_MOST_PARALLEL} and {_MOST_MIB} MiB")
        return cls(1 << ln, block, parallel, salt, digest)

    def fits(self, text: str) -> bool:
        """Return whether a text is the one that was hashed. Takes its time: never call it on the event loop."""
        return hmac.compare_digest(self.of(text), self.digest)

    def of(self, text: str) -> bytes:
        """Return the digest of a text under this salt and cost."""
        plain = unicodedata.normalize("NFC", text).encode("utf-8", "surrogatepass")
        return hashlib.scrypt(
            plain,
            salt=self.salt,
            n=self.cost,
            r=self.block,
            p=self.parallel,
            maxmem=256 * self.block * (self.cost + self.parallel),
            dklen=len(self.digest),
        )

    def __repr__(self) -> str:
        return "Hash(...)"


NOBODY = Hash(1 << _LN, _R, _P, bytes(16), bytes(32))
"""Fits nothing, and takes as long: for a name that nobody has."""


def hashed(text: str) -> str:
    """Return the hash of a password or token, with a new salt."""
    made = Hash(1 << _LN, _R, _P, secrets.token_bytes(16), bytes(32))
    return f"$scrypt$ln={_LN},r={_R},p={_P}${_encoded(made.salt)}${_encoded(made.of(text))}"


def token(name: str) -> str:
    """Return a new token: 256 random bits behind the name by which its hash is found."""
    return f"{name}.{secrets.token_urlsafe(32)}"


def _encoded(raw: bytes) -> str:
    return base64.b64encode(raw).decode().rstrip("=")


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        return b""
