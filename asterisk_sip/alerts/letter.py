"""Writes a notice out: as text and HTML by templates, and as the JSON that every target is given.

Templates run in a sandbox. One of the configuration that does not work is told in the log, and the built-in one takes
its place: an alert is never lost over its looks.
"""

from __future__ import annotations

import json
import re
import textwrap
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import structlog
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup, escape

from asterisk_sip.alerts.notice import Notice, notice_json
from asterisk_sip.alerts.notice_page import Page, Part, page
from asterisk_sip.alerts.notice_words import words

log = structlog.get_logger(__name__)

_FOLDER = files(__package__) / "templates"
_WIDTH = 100
_LARGEST_BYTES = 262_144
_COMMAND = re.compile("`([^`]{1,200})`")
_COLOURS = {"fired": "#b42318", "cleared": "#1a7f37", "hook": "#7a5af8"}


@dataclass(frozen=True, slots=True)
class Templates:
    """Files that replace the built-in templates; None keeps these."""

    text: Path | None = None
    html: Path | None = None


class Scribe:
    """Writes notices with the templates of a configuration, which it reads anew when they change."""

    def __init__(self, templates: Templates | None = None) -> None:
        self._templates = templates or Templates()
        self._read: dict[Path, tuple[int, jinja2.Template]] = {}
        self._told: dict[Path, str] = {}

    def write(self, notice: Notice) -> str:
        """Return the JSON of a notice, with the same as text and as HTML in it."""
        shown = page(notice)
        text = self._filled(self._templates.text, "text.txt", shown)
        html = self._filled(self._templates.html, "mail.html", shown)
        return json.dumps(notice_json(notice, text, html), separators=(",", ":"), ensure_ascii=False)

    def faults(self, notice: Notice) -> dict[Path, str]:
        """Return what is wrong with the files, tried on a notice."""
        self.write(notice)
        return dict(self._told)

    def _filled(self, path: Path | None, built_in: str, shown: Page) -> str:
        if path is not None:
            try:
                text = self._template(path, html=built_in.endswith(".html")).render(_filling(shown))
            except Exception as error:  # noqa: BLE001  a template of a third party may raise anything; see above
                self._complain(path, f"{type(error).__name__}: {error}")
            else:
                if text.strip() and len(text) <= _LARGEST_BYTES:
                    self._told.pop(path, None)
                    return text
                self._complain(path, "gives nothing" if not text.strip() else "gives too much")
        return _built_in(built_in).render(_filling(shown))

    def _template(self, path: Path, *, html: bool) -> jinja2.Template:
        changed_at = path.stat().st_mtime_ns
        known = self._read.get(path)
        if known is None or known[0] != changed_at:
            known = changed_at, _environment(html=html).from_string(path.read_text(encoding="utf-8"))
            self._read[path] = known
        return known[1]

    def _complain(self, path: Path, reason: str) -> None:
        if self._told.get(path) != reason:
            log.error("a template of notices does not work; the built-in one is used", file=str(path), reason=reason)
        self._told[path] = reason


@cache
def _built_in(name: str) -> jinja2.Template:
    return _environment(html=name.endswith(".html")).from_string((_FOLDER / name).read_text(encoding="utf-8"))


@cache
def _environment(*, html: bool) -> jinja2.Environment:
    environment = ImmutableSandboxedEnvironment(
        autoescape=html, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, auto_reload=False
    )
    environment.filters |= {"wrapped": _wrapped, "solid": _solid, "code": _code}
    return environment


def _filling(shown: Page) -> dict[str, Any]:
    return {"page": shown, "t": words(shown.lang), "colour": _colour}


def _wrapped(text: str, indent: str = "") -> str:
    return f"\n{indent}".join(textwrap.wrap(text, _WIDTH, break_on_hyphens=False, break_long_words=False))


def _solid(text: str) -> str:
    """Return a text in which no line breaks between a number and its per cent."""
    return text.replace(" %", "\u00a0%")


def _code(text: str) -> Markup:
    """Return advice as HTML: what stands between backticks is a command."""
    return Markup(_COMMAND.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704  it was escaped just before


def _colour(part: Part) -> str:
    return _COLOURS.get(part.state, "#475467")
