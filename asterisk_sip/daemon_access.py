"""Whom the configuration lets in, as the pages and the API take it; and the certificate they are served with."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Callable, Iterable
from pathlib import Path

from asterisk_sip.config import Config
from asterisk_sip.config_types import is_loopback
from asterisk_sip.config_web import WebConfig, WebToken, WebUser
from asterisk_sip.errors import ConfigError
from asterisk_sip.password import Hash
from asterisk_sip.web.access import Gate, Rules
from asterisk_sip.web.origin import Place
from asterisk_sip.web.proof import Known


def rules(config: WebConfig) -> Rules:
    """Return who is let in."""
    proxy = config.proxy
    place = Place(
        names=frozenset(name.lower() for name in (*config.names, config.host)),
        proxies=tuple(ipaddress.ip_network(network) for network in proxy.addresses) if proxy else (),
        anywhere=not is_loopback(config.host),
    )
    return Rules(
        place=place,
        users={user.name: _known(user) for user in config.user},
        tokens={token.name: _known(token) for token in config.token},
        header=proxy.user_header if proxy else None,
        admins=frozenset(proxy.admins if proxy else ()),
        lifetime_s=config.session_hours * 3_600.0,
    )


TAKEN = ("web.user", "web.token", "web.proxy", "web.names", "web.session_hours")
"""The keys that can change while pages are served."""


def gate_of(config: WebConfig) -> Gate:
    """Return what lets them in."""
    return Gate(rules(config))


def taker(gate: Gate, served: WebConfig) -> Callable[[Config], Callable[[], None]]:
    """Return what prepares to let in whom another configuration lets in, at the address that is served now.

    What it returns raises ConfigError when that address would be open to everybody.
    """

    def prepare(config: Config) -> Callable[[], None]:
        new = rules(config.web.model_copy(update={"host": served.host}))
        if new.open and not is_loopback(served.host):
            reason = f"{served.host} is served until a restart, and would be open to everybody"
            raise ConfigError("the configuration", [("web", reason)])
        return lambda: gate.take(new)

    return prepare


class Certificate:
    """The certificate we show, from files that are renewed while we run."""

    def __init__(self, cert: Path, key: Path) -> None:
        self._files = (cert, key)
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._seen = _changed(self._files)
        self._load()

    def renew(self) -> bool:
        """Read the files again if they changed; return whether they did. Raises ConfigError, and the old one stays."""
        seen = _changed(self._files)
        if seen == self._seen:
            return False
        self._seen = seen
        self._load()
        return True

    def _load(self) -> None:
        cert, key = self._files
        try:
            # tried apart: one that does not fit its key must not take the place of one that does
            for context in (ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), self.context):
                context.load_cert_chain(cert, key, password="")
        except (OSError, ssl.SSLError) as error:
            reason = f"{cert}, {key}: {_reason(error)}"
            raise ConfigError("the configuration", [("web.cert_file", reason)]) from error


def certificate(config: WebConfig) -> Certificate | None:
    """Return the certificate, None when we are served without TLS. Raises ConfigError."""
    if config.cert_file is None or config.key_file is None:
        return None
    return Certificate(config.cert_file, config.key_file)


def _known(one: WebUser | WebToken) -> Known:
    text = one.password_hash if isinstance(one, WebUser) else one.token_hash
    return Known(one.name, one.role, Hash.read(text.get_secret_value()))


def _changed(files: Iterable[Path]) -> list[int]:
    try:
        return [file.stat().st_mtime_ns for file in files]
    except OSError:
        return []


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return "no certificate in PEM form with a key that fits it and has no password"
    return (error.strerror or type(error).__name__).lower()
