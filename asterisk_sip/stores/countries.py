"""Countries as the numbers that people dial name them."""

from __future__ import annotations

import re

PREFIXES = ("+", "00", "011")
"""What stands before a country's digits: as in E.164, in most of the world, in North America."""


def calling_code(text: str) -> str:
    """Return the digits of a country: ``49`` for 49, +49 and DE. Raises ValueError for what is none.

    Some countries share them: US, CA and others are all 1.
    """
    import phonenumbers  # noqa: PLC0415  # large, and seldom needed

    digits = text.removeprefix("+")
    if re.fullmatch(r"[0-9]{1,3}", digits) and int(digits) in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
        return digits
    code = phonenumbers.country_code_for_region(text.upper()) if re.fullmatch(r"[A-Za-z]{2}", text) else 0
    if not code:
        raise ValueError(f"{text!r} is no country: DE, 49 or +49")
    return str(code)
