"""A keyed permutation of texts of one length over one alphabet: a Feistel network. Pure.

The same text has the same token, two texts of one length never share one, and a token has the alphabet and the length
of its text. Who has the key can undo it. After NIST SP 800-38G (FF1), with BLAKE2b as the round function. Below six
digits a domain is so small that who knows many pairs learns much of the rest: that lies in the length, not in the key.
"""

from __future__ import annotations

import hashlib

ROUNDS = 8  # as many as FF3 has
DIGITS = "0123456789"


class Permutation:
    """Tokens by one key. Any text may be the key; the same key gives the same tokens, anywhere and for ever."""

    def __init__(self, key: bytes) -> None:
        self._key = hashlib.blake2b(key, digest_size=32, person=b"asterisk-sip").digest()

    def __repr__(self) -> str:
        """Leave the key out."""
        return "Permutation()"

    def token(self, text: str, alphabet: str = DIGITS, tweak: str = "") -> str:
        """Return the token of a text, one letter at least, all of the alphabet. Each tweak has tokens of its own."""
        radix, size = len(alphabet), len(text)
        tweak = tweak and f"\0{tweak}"
        if size == 1:
            order = sorted(range(radix), key=lambda value: self.number(f"{alphabet}{tweak}", 0, value))
            return alphabet[order[alphabet.index(text)]]
        left_size = size // 2
        sizes = (left_size, size - left_size)
        left, right = _value(text[:left_size], alphabet), _value(text[left_size:], alphabet)
        for turn in range(ROUNDS):
            mixed = left + self.number(f"{alphabet}{size}.{turn}{tweak}", size, right)
            left, right = right, mixed % radix ** sizes[turn % 2]
        return _text(left, sizes[0], alphabet) + _text(right, sizes[1], alphabet)

    def number(self, purpose: str, size: int, value: int) -> int:
        """Return a number that nobody can foretell without the key, far larger than texts of ``size`` letters need."""
        data = f"{purpose}\0{value}".encode()
        digest = hashlib.blake2b(data, key=self._key, digest_size=16 + min(size, 48)).digest()
        return int.from_bytes(digest, "big")


def _value(text: str, alphabet: str) -> int:
    value = 0
    for letter in text:
        value = value * len(alphabet) + alphabet.index(letter)
    return value


def _text(value: int, size: int, alphabet: str) -> str:
    letters = []
    for _ in range(size):
        value, rest = divmod(value, len(alphabet))
        letters.append(alphabet[rest])
    return "".join(reversed(letters))
