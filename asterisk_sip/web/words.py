"""The words of the pages in each language, and which language a reader wants."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

from aiohttp import web

from asterisk_sip.catalog import LANGUAGES, label

COOKIE = "lang"

_FOLDER = files(__package__) / "lang"
_ZERO_IS_ONE = {"fr", "pt"}  # languages in which none is singular too
_THIN = "\u202f"


class Words:
    """The words of one language: ``t("nav.overview")``, ``t("failures.shown", n=3)``. KeyError for a key not there."""

    def __init__(self, lang: str) -> None:
        self.lang = lang
        self._texts = _flat(tomllib.loads((_FOLDER / f"{lang}.toml").read_text(encoding="utf-8")))

    def __call__(self, key: str, **values: Any) -> str:
        """Return a text. With ``n``, the one for one thing or the one for many, when the text has both."""
        if "n" in values and f"{key}.one" in self._texts:
            one = values["n"] == 1 or (values["n"] == 0 and self.lang in _ZERO_IS_ONE)
            key += ".one" if one else ".many"
        shown = {name: self.number(value) if type(value) is int else value for name, value in values.items()}
        return self._texts[key].format(**shown) if values else self._texts[key]

    def keys(self) -> set[str]:
        """Return all keys."""
        return set(self._texts)

    def label(self, kind: str, key: str) -> str:
        """Return the catalogue's own word, see `catalog.label`."""
        return label(kind, key, self.lang)

    def number(self, value: float, places: int = 0) -> str:
        """Return a number as it is written in this language, thousands apart."""
        return f"{value:,.{places}f}".replace(",", _THIN).replace(".", self._texts["number.point"])

    def share(self, value: float, places: int = 1) -> str:
        """Return a share (0 to 1) in per cent. Only all is 100 % and only nothing is 0 %."""
        percent = 100 * value
        edge = 10**-places
        if 0 < percent < edge / 2:
            return f"<{_THIN}{self.number(edge, places)}{_THIN}%"
        if 100 - edge / 2 < percent < 100:
            percent = 100 - edge
        return f"{self.number(percent, places)}{_THIN}%"

    def seconds(self, ms: float) -> str:
        """Return a time in seconds: 0.35 s, 1.2 s, 75 s."""
        places = 2 if ms < 1000 else 1 if ms < 10_000 else 0
        return f"{self.number(ms / 1000, places)}{_THIN}s"


@cache
def words(lang: str) -> Words:
    """Return the words of a language of `catalog.LANGUAGES`."""
    return Words(lang)


def language(request: web.Request) -> str:
    """Return the language asked for: by ?lang=, by cookie, by the browser, else English."""
    for wanted in (request.query.get("lang"), request.cookies.get(COOKIE), *_accepted(request)):
        if wanted in LANGUAGES:
            return wanted
    return "en"


def _accepted(request: web.Request) -> list[str]:
    """Return the languages of the browser, the most wanted first, without their regions."""
    found = re.findall(r"([A-Za-z]{2})(?:-[\w-]+)?\s*(?:;\s*q=([01](?:\.\d{0,3})?))?(?:,|$)", _header(request))
    return [name.lower() for name, _ in sorted(found, key=lambda each: -float(each[1] or 1))]


def _header(request: web.Request) -> str:
    return request.headers.get("Accept-Language", "")[:200].replace(" ", "")


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, str]:
    texts: dict[str, str] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            texts |= _flat(value, f"{prefix}{key}.")
        else:
            texts[prefix + key] = value
    return texts
