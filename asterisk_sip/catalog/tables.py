"""The catalogue's own files: CSV for facts, one TOML a language for texts. Read once, when first asked for."""

from __future__ import annotations

import csv
import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

_DATA = files(__package__) / "data"


class UnknownLanguageError(ValueError):
    """The language asked for has no file in ``data/lang``."""

    def __init__(self, lang: str) -> None:
        super().__init__(f"no texts in language {lang!r}; there are: {', '.join(languages())}")


@cache
def rows(name: str) -> tuple[dict[str, str], ...]:
    """Return the rows of ``data/<name>.csv``, each as a dict from column to text."""
    return tuple(csv.DictReader((_DATA / f"{name}.csv").read_text(encoding="utf-8").splitlines()))


@cache
def languages() -> tuple[str, ...]:
    """Return the languages that have a file in ``data/lang``, English first."""
    names = {entry.name.removesuffix(".toml") for entry in (_DATA / "lang").iterdir() if entry.name.endswith(".toml")}
    return "en", *sorted(names - {"en"})


@cache
def texts(lang: str) -> dict[str, Any]:
    """Return the texts of one language; the others stay unread.

    Raises UnknownLanguageError.
    """
    return _toml("lang", lang)


@cache
def phrases(lang: str) -> dict[str, Any]:
    """Return the pieces of sentences of one language. Raises UnknownLanguageError."""
    return _toml("phrases", lang)


def _toml(folder: str, lang: str) -> dict[str, Any]:
    if lang not in languages():
        raise UnknownLanguageError(lang)
    with (_DATA / folder / f"{lang}.toml").open("rb") as file:
        return tomllib.load(file)
