"""The words of the pages in each language, and which language a reader wants."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

from aiohttp import web

from asterisk_sip.catalog import LANGUAGES
from asterisk_sip.catalog.phrasing import Phrases

COOKIE = "lang"

_FOLDER = files(__package__) / "lang"


class Words(Phrases):
    """The words of one language, see `Phrases`."""

    def __init__(self, lang: str) -> None:
        super().__init__(lang, (_FOLDER / f"{lang}.toml").read_text(encoding="utf-8"))


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
