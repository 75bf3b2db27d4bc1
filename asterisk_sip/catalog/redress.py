"""Whom to ask when analytics blocked a call: the contact that 603+, 607 and 608 may carry. Pure.

603+ (ATIS-1000099): ``Reason: SIP;cause=603;text="v=analytics1;url=https://...;tel=+1...;email=..."``, also with
``Q.850;cause=21``. 608 (RFC 8688 section 3.2): ``Call-Info: <https://.../contact>;purpose=jwscard``, the URI of a
signed jCard. The values are remote text: they are given as they came, never fetched.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_QUOTED_TEXT = re.compile(r';\s*text\s*=\s*"((?:[^"\\]|\\.)*)"', re.IGNORECASE)
_CALL_INFO = re.compile(r"<([^<>\s]+)>((?:\s*;\s*[^;,<]+)*)")
_PURPOSE = re.compile(r';\s*purpose\s*=\s*"?(jwscard|jcard|card)"?\s*(?:;|$)', re.IGNORECASE)
_ESCAPED = re.compile(r"%([2-7][0-9A-Fa-f])")
_CONTACT_KEYS = ("url", "tel", "email")


@dataclass(frozen=True, slots=True)
class Redress:
    """How to reach who blocked the call: a web page, a telephone number, an e-mail address, a signed contact card."""

    url: str | None = None
    tel: str | None = None
    email: str | None = None
    card: str | None = None


def redress_contact(reasons: Iterable[str] = (), call_info: Iterable[str] = ()) -> Redress | None:
    """Return the contact in the values of Reason and Call-Info headers, None when they hold none.

    The first value of each kind counts. A Reason whose text is not ``v=analytics...`` is somebody's plain words.
    """
    found: dict[str, str] = {}
    for reason in reasons:
        for text in _QUOTED_TEXT.findall(reason):
            pairs = dict(_pairs(text))
            if pairs.get("v", "").lower().startswith("analytics"):
                for key in _CONTACT_KEYS:
                    if pairs.get(key):
                        found.setdefault(key, pairs[key])
    for value in call_info:
        for uri, parameters in _CALL_INFO.findall(value):
            if _PURPOSE.search(parameters):
                found.setdefault("card", uri)
    return Redress(**found) if found else None


def _pairs(text: str) -> Iterable[tuple[str, str]]:
    for part in re.sub(r"\\(.)", r"\1", text).split(";"):
        key, equals, value = part.partition("=")
        if equals:
            yield key.strip().lower(), _ESCAPED.sub(lambda match: chr(int(match[1], 16)), value.strip())
