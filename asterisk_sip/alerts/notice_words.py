"""How notices say numbers, times and statuses in each language. Pure."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from importlib.resources import files

from asterisk_sip.calls.plain_text import disarmed
from asterisk_sip.catalog import LANGUAGES, UnknownLanguageError, sip_code
from asterisk_sip.catalog.phrasing import Phrases

_FOLDER = files(__package__) / "lang"


class Words(Phrases):
    """The words of notices in one language. Blanks are plain ones: a text message cannot hold others."""

    thin = " "

    def __init__(self, lang: str) -> None:
        super().__init__(lang, (_FOLDER / f"{lang}.toml").read_text(encoding="utf-8"))

    def has(self, key: str) -> bool:
        """Return whether there is such a text."""
        return key in self._texts

    def part(self, share: float) -> str:
        """Return a share (0 to 1) in per cent: below a tenth with a decimal, above it that would only be noise."""
        return self.share(share, 1 if 0 < share < 0.1 else 0)

    def amount(self, value: float) -> str:
        """Return a number with a decimal where that tells something: 12, 4.5, 0.25."""
        places = 0 if value >= 100 or value == int(value) else 1 if value >= 1 else 2
        return self.number(value, places)

    def lasting(self, seconds: float) -> str:
        """Return a time in its two largest units: 45 s, 5 min, 1 h 30 min, 2 d 4 h."""
        whole = max(0, round(seconds))
        units = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
        parts = []
        for unit, length_s in units:
            count, whole = divmod(whole, length_s)
            if count:
                parts.append(f"{count} {self('time.day') if unit == 'd' else unit}")
        return " ".join(parts[:2]) or "0 s"

    def moment(self, at: datetime, seen_at: datetime) -> str:
        """Return a UTC time as who reads it at ``seen_at`` needs it: with the date when that is another day."""
        form = "%H:%M UTC" if at.date() == seen_at.date() else "%Y-%m-%d %H:%M UTC"
        return at.strftime(form)

    def in_unit(self, value: float, unit: str) -> str:
        """Return what a rule compares, see ``Change.unit``."""
        if unit == "share":
            return self.part(value)
        if unit == "ms":
            return self.seconds(value)
        if unit == "s":
            return self.lasting(value)
        return self.amount(value)

    def status(self, code: int | None, phrase: str | None, name: str | None) -> str | None:
        """Return a status in words: its code with the phrase, else how the call ended, else nothing."""
        if code is not None:
            said = phrase or sip_code(code).phrase
            return disarmed(f"{code} {said}".rstrip())
        return self.label("disposition", name) if name else None


@cache
def words(lang: str) -> Words:
    """Return the words of a language. Raises UnknownLanguageError."""
    if lang not in LANGUAGES:
        raise UnknownLanguageError(lang)
    return Words(lang)
