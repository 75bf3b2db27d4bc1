"""SIP response codes: what each one is, and what it says about a call that ended with it.

Codes, phrases and references: the IANA registry of SIP response codes. Classes: RFC 3261 sections 7.2 and 21.
Codes outside the table follow RFC 3261 section 8.1.3.2: any final code is handled as the x00 of its class,
any provisional one other than 100 as 183.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache

from .tables import rows, texts


@dataclass(frozen=True, slots=True)
class SipClass:
    """One of the six classes of response codes (RFC 3261 sections 7.2 and 21)."""

    digit: int
    name: str
    meaning: str
    heading: str  # the heading in RFC 3261 section 21, English in every language
    retry: str  # whether another try elsewhere makes sense, one sentence


@dataclass(frozen=True, slots=True)
class SipCode:
    """A response code, and how a call that ended with it is judged by default.

    For 100..199 the judgement is for a call that Dial gave up when this was the last thing heard.
    ``retry`` is about another trunk: ``yes``, ``no`` (pointless) or ``never`` (RFC 3261 section 21.6, or harmful).
    ``e425`` is the group of ITU-T E.425: ``answered``, ``busy``, ``no_answer`` and ``rejected_by_user`` count as
    delivered in NER, ``cancelled`` and ``other`` do not, ``not_counted`` stays out of the denominator too.
    """

    code: int
    variant: str  # "" or "603+"
    phrase: str
    other_phrases: tuple[str, ...]
    sip_class: int
    reference: str
    registered: bool
    known: bool  # False: in no table, judged by the rule of its class
    disposition: str
    disposition_why: str
    fault: str  # caller | callee | carrier | us | unknown
    fault_why: str
    retry: str
    e425: str
    notes: str
    status: str = "registered"  # registered | deprecated | unregistered-but-seen | unknown

    @property
    def key(self) -> str:
        """The name under which the texts and the pages have it: ``"486"``, ``"603+"``."""
        return self.variant or str(self.code)


def sip_class(code_or_digit: int, lang: str = "en") -> SipClass:
    """Return the class of a code (100..699), or of its first digit (1..6).

    Raises ValueError for any other number.
    """
    digit = code_or_digit if code_or_digit < 10 else _checked(code_or_digit) // 100
    row = _class_rows().get(digit)
    if row is None:
        raise ValueError(f"{code_or_digit} is neither a SIP response code (100..699) nor a class (1..6)")
    text = texts(lang)["class"][str(digit)]
    return SipClass(digit, text["name"], text["meaning"], row["heading"], text["retry"])


@lru_cache(maxsize=4096)  # asked several times for every call; remote phrases cannot make it grow
def sip_code(code: int, phrase: str | None = None) -> SipCode:
    """Return what is known about a response code.

    603 with the phrase "Network Blocked" is the variant 603+ (ATIS-1000099). A code in no table comes back with
    ``known`` False and the judgement of its class (RFC 3261 section 8.1.3.2).

    Raises ValueError outside 100..699.
    """
    key = str(_checked(code))
    if phrase is not None:
        key = _variants().get((code, fold(phrase)), key)
    return _codes().get(key) or _by_class_rule(code)


def all_codes() -> tuple[SipCode, ...]:
    """Return every code of the table in order, 603+ after 603."""
    return tuple(_codes().values())


def class_rule(code: int) -> int:
    """Return the code as which an unknown one is handled: 183 for 1xx, else x00 (RFC 3261 section 8.1.3.2)."""
    return int(_class_rows()[_checked(code) // 100]["treated_as"])


def fold(phrase: str) -> str:
    """Return a phrase without the differences that do not matter: case and white space."""
    return "".join(phrase.split()).casefold()


def _checked(code: int) -> int:
    if not 100 <= code <= 699:
        raise ValueError(f"{code} is not a SIP response code (100..699)")
    return code


@cache
def _class_rows() -> dict[int, dict[str, str]]:
    return {int(row["digit"]): row for row in rows("sip_classes")}


@cache
def _codes() -> dict[str, SipCode]:
    return {row["code"]: _from_row(row) for row in rows("sip_codes")}


@cache
def _variants() -> dict[tuple[int, str], str]:
    return {(entry.code, fold(entry.phrase)): entry.variant for entry in all_codes() if entry.variant}


def _from_row(row: dict[str, str]) -> SipCode:
    code = int(row["code"].rstrip("+"))
    return SipCode(
        code=code,
        variant=row["code"] if row["code"] != str(code) else "",
        phrase=row["phrase"],
        other_phrases=tuple(row["other_phrases"].split(";")) if row["other_phrases"] else (),
        sip_class=code // 100,
        reference=row["reference"],
        registered=row["status"] != "unregistered-but-seen",
        known=True,
        disposition=row["disposition"],
        disposition_why=row["disposition_why"],
        fault=row["fault"],
        fault_why=row["fault_why"],
        retry=row["retry"],
        e425=row["e425"],
        notes=row["notes"],
        status=row["status"],
    )


def _by_class_rule(code: int) -> SipCode:
    row = _class_rows()[code // 100]
    return SipCode(
        code=code,
        variant="",
        phrase="",
        other_phrases=(),
        sip_class=code // 100,
        reference="RFC 3261 section 8.1.3.2",
        registered=False,
        known=False,
        disposition=row["disposition"],
        disposition_why=row["disposition_why"],
        fault=row["fault"],
        fault_why=row["fault_why"],
        retry=row["retry"],
        e425=row["e425"],
        notes=f"In no table: handled as {row['treated_as']}.",
        status="unknown",
    )
