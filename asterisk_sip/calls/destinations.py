"""Where a dialled number leads: its country, and its first digits. Pure."""

from __future__ import annotations

from functools import cache, lru_cache

from asterisk_sip.catalog.tables import rows

PREFIX_DIGITS = 4
"""How many digits ``prefix`` has, in rules and in numbers; rules know ``prefix1`` to ``prefix9`` too."""

_INTERNATIONAL = ("+", "00", "011")  # as in stores.countries
_LONGEST_CALLING_CODE = 3


@lru_cache(4096)
def prefix_of(number: str, digits: int) -> str | None:
    """Return so many digits of a number, and the sign of an international one; None for what has not so many."""
    for sign in _INTERNATIONAL:
        if number.startswith(sign):
            number = "+" + number.removeprefix(sign)
            digits += 1
            break
    found = number[:digits]
    return found if len(found) == digits and found.removeprefix("+").isdigit() else None


@lru_cache(4096)
def country_of(number: str) -> str | None:
    """Return the country of a number dialled with its code; None for one within the country, or of no country."""
    for sign in _INTERNATIONAL:
        if number.startswith(sign):
            digits = number.removeprefix(sign)
            codes = (digits[:length] for length in range(_LONGEST_CALLING_CODE, 0, -1))
            return next((_calling_codes()[code] for code in codes if code in _calling_codes()), None)
    return None


@cache
def _calling_codes() -> dict[str, str]:
    """ITU-T E.164 country codes. What many countries share keeps its digits: +1, +7."""
    return {row["code"]: row["country"] for row in rows("calling_codes")}
