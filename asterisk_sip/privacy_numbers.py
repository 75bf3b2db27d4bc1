"""How one telephone number is hidden: by stars, or by a token that keeps its country and area or operator."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from asterisk_sip.calls.permutation import Permutation

REMEMBERED = 65_536
"""How many numbers' tokens are kept in memory. One costs some 0.1 ms to make."""

LEAST_HIDDEN = 4
"""So many digits at least are hidden, whatever belongs to the area."""

_DIGIT = re.compile(r"\d", re.ASCII)
_OTHERS = re.compile(r"\D", re.ASCII)
_NORTH_AMERICA = 1


@dataclass(frozen=True, slots=True)
class Numbered:
    """A number as its numbering plan has it: the country, the area or operator ("" when not known), and the rest."""

    country: str
    area: str
    rest: str

    @property
    def international(self) -> str:
        """All digits, as in E.164, without the ``+``."""
        return self.country + self.area + self.rest


def masked(digits: int) -> Callable[[str], str]:
    """Return what puts a star for each of the last ``digits`` digits of a number."""

    def hide(text: str) -> str:
        return _with_last(text, "*" * min(digits, len(_OTHERS.sub("", text))))

    return lru_cache(REMEMBERED)(hide)


def pseudonymised(key: bytes, region: str) -> Callable[[str], str]:
    """Return what gives a number its token, by a key; ``region`` is where national numbers are at home (``DE``).

    Every spelling of a number has the same digits behind its area. Raises ValueError for a region that does not exist.
    """
    plan = Plan(region)
    permutation = Permutation(key)

    def hide(text: str) -> str:
        found = plan.read(text)
        if found is None:
            return _with_last(text, permutation.token(_OTHERS.sub("", text), tweak="no plan"))
        return _with_last(text, permutation.token(found.rest, tweak=f"{found.country} {found.area}"))

    return lru_cache(REMEMBERED)(hide)


class Plan:
    """The numbering plans of the world, seen from one region."""

    def __init__(self, region: str) -> None:
        import phonenumbers  # noqa: PLC0415  # large, and not needed where numbers stay as they are

        if region not in phonenumbers.SUPPORTED_REGIONS:
            raise ValueError(f"{region!r} is no region: DE, US, GB ... (ISO 3166)")
        self._library: Any = phonenumbers
        self._region = region
        self._country = phonenumbers.country_code_for_region(region)
        metadata = phonenumbers.PhoneMetadata.metadata_for_region(region)
        self._trunk_prefix = metadata.national_prefix if metadata and self._country != _NORTH_AMERICA else None

    def read(self, text: str) -> Numbered | None:
        """Return what a number is, however it is spelled (+49 30 ..., 0049..., 49..., 030...); None when no plan fits.

        A number without any prefix, in a region that has one, is taken for an international one if it is one.
        """
        digits = _OTHERS.sub("", text)
        number = self._parsed(text, None if text.startswith("+") else self._region)
        if not text.startswith("+") and (number is None or not self._is_national(number, digits)):
            international = self._parsed(f"+{digits}", None)
            fits = international is not None and self._library.is_valid_number(international)
            bare = number is None or self._significant(number) == digits
            number = international if fits else None if bare else number
        if number is None:
            return None
        significant = self._significant(number)
        if not digits.endswith(significant) or len(significant) < LEAST_HIDDEN:
            return None  # a plan that rewrites numbers: nobody could say which digits are the area; or no number
        valid = self._library.is_valid_number(number)
        area = self._library.length_of_national_destination_code(number) if valid else 0
        area = max(0, min(area, len(significant) - LEAST_HIDDEN))
        return Numbered(str(number.country_code), significant[:area], significant[area:])

    def spellings(self, text: str) -> list[str]:
        """Return the digits under which a number may be written down, itself first."""
        digits = _OTHERS.sub("", text)
        found = self.read(text)
        if found is None:
            return [digits]
        written = [digits, found.international, f"00{found.international}", f"011{found.international}"]
        if found.country == str(self._country):
            national = found.area + found.rest
            written += [f"{self._trunk_prefix or ''}{national}", national]
        return list(dict.fromkeys(written))

    def _is_national(self, number: Any, digits: str) -> bool:
        """Whether a number fits its plan, and is spelled with the prefix that its region asks for, if any."""
        prefixed = self._trunk_prefix is None or self._significant(number) != digits
        return prefixed and bool(self._library.is_valid_number(number))

    def _parsed(self, text: str, region: str | None) -> Any:
        try:
            return self._library.parse(text, region)
        except self._library.NumberParseException:
            return None

    def _significant(self, number: Any) -> str:
        return str(self._library.national_significant_number(number))


def _with_last(text: str, new: str) -> str:
    """Put ``new`` in the place of as many last digits of a text; all else stays where it is."""
    if not new:
        return text
    places = [match.start() for match in _DIGIT.finditer(text)][-len(new) :]
    characters = list(text)
    for place, digit in zip(places, new, strict=True):
        characters[place] = digit
    return "".join(characters)
