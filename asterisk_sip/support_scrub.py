"""What may leave the house: a configuration and texts without secrets, and without the numbers of people."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, SecretStr

from asterisk_sip.calls.privacy import Privacy
from asterisk_sip.sources.pseudonyms_wire import Pseudonyms

HIDDEN = "***"
SHORT_DIGITS = 4
"""Numbers of so many digits or fewer stay: extensions, ports, codes."""

_LABEL = re.compile(r'"((?:[^"\\]|\\.)*)"')
_SHORTEST_SECRET = 4
"""A shorter text is no secret worth the name, and would be found everywhere."""


_LIKELY_SECRET = 8
"""A shorter option of a plugin is rather a word."""


class Scrub:
    """Takes secrets out of any text, and puts tokens of a key in the place of numbers. The key is thrown away later."""

    def __init__(self, secrets: Iterable[str], key: bytes) -> None:
        parts = {part for secret in secrets for part in (secret, *secret.split()) if len(part) >= _SHORTEST_SECRET}
        self._secrets = sorted(parts, key=len, reverse=True)
        self._privacy = Privacy(Pseudonyms(key).number, SHORT_DIGITS)

    def bare(self, text: str) -> str:
        """Return a text without secrets."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text

    def text(self, text: str) -> str:
        """Return a text without secrets and numbers. Of a URL only scheme and host stay."""
        return self._privacy.text(_host_only(self.bare(text)))

    def labels(self, text: str) -> str:
        """Return what Prometheus is told, without numbers in the labels."""
        return _LABEL.sub(lambda match: f'"{self.text(match[1])}"', self.bare(text))

    def tree(self, value: Any) -> Any:
        """Return plain data, with each text in it scrubbed; keys stay."""
        if isinstance(value, dict):
            return {key: self.tree(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.tree(inner) for inner in value]
        return self.text(value) if isinstance(value, str) else value


def config_told(config: BaseModel, scrub: Scrub) -> dict[str, Any]:
    """Return a configuration as plain data: of a secret, and of the options of a plugin, only that there are some."""
    return {name: _told(name, getattr(config, name), scrub) for name in type(config).model_fields}


def secrets_in(value: object) -> Iterator[str]:
    """Give every secret of a configuration, in the clear: to look for them, and for nothing else."""
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from secrets_in(getattr(value, name))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from secrets_in(inner)
    elif isinstance(value, dict):  # the options of a plugin: who knows what they are
        for inner in value.values():
            long = isinstance(inner, str) and len(inner) >= _LIKELY_SECRET
            yield from [inner] if long else secrets_in(inner)


def _told(name: str, value: object, scrub: Scrub) -> Any:
    if isinstance(value, SecretStr):
        return HIDDEN
    if isinstance(value, BaseModel):
        return config_told(value, scrub)
    if isinstance(value, dict):
        return dict.fromkeys(value, HIDDEN)
    if isinstance(value, list | tuple):
        return [_told(name, inner, scrub) for inner in value]
    if isinstance(value, str | Path):
        return scrub.text(str(value))
    return value


def _host_only(text: str) -> str:
    if "://" not in text or " " in text:
        return text
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return HIDDEN
    more = "/***" if parts.path.strip("/") or parts.query else ""
    return f"{parts.scheme}://{host}{f':{port}' if port else ''}{more}"
