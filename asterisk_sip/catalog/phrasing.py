"""How texts of a language are looked up, and how numbers are written in it. Pure."""

from __future__ import annotations

import tomllib
from typing import Any

from .words import label

_ZERO_IS_ONE = {"fr", "pt"}  # languages in which none is singular too


class Phrases:
    """The texts of one language, of TOML text: ``t("nav.overview")``, ``t("failures.shown", n=3)``.

    KeyError for a key that is not there. ``number.point`` is the decimal point; ``thin`` stands between a number and
    what belongs to it.
    """

    thin = "\u202f"

    def __init__(self, lang: str, text: str) -> None:
        self.lang = lang
        self._texts = _flat(tomllib.loads(text))

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
        return f"{value:,.{places}f}".replace(",", self.thin).replace(".", self._texts["number.point"])

    def share(self, value: float, places: int = 1) -> str:
        """Return a share (0 to 1) in per cent. Only all is 100 % and only nothing is 0 %."""
        percent = 100 * value
        edge = 10**-places
        if 0 < percent < edge / 2:
            return f"<{self.thin}{self.number(edge, places)}{self.thin}%"
        if 100 - edge / 2 < percent < 100:
            percent = 100 - edge
        return f"{self.number(percent, places)}{self.thin}%"

    def seconds(self, ms: float) -> str:
        """Return a time in seconds: 0.35 s, 1.2 s, 75 s."""
        places = 2 if ms < 1000 else 1 if ms < 10_000 else 0
        return f"{self.number(ms / 1000, places)}{self.thin}s"


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, str]:
    texts: dict[str, str] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            texts |= _flat(value, f"{prefix}{key}.")
        else:
            texts[prefix + key] = value
    return texts
