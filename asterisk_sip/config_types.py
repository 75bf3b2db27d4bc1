"""The kinds of values a configuration holds, and what each must look like."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from pathlib import Path
from typing import Annotated, TypeVar
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, Strict

T = TypeVar("T")

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_HALF = re.compile("[\ud800-\udfff]")  # what the environment makes of bytes that are not UTF-8
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HOST_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_HOST_LENGTH = 253
_BRACKETED = re.compile(r"\[(?P<host>[^\]]*)\](:(?P<port>[0-9]{1,5}))?")
_WITH_PORT = re.compile(r"(?P<host>[^:]*):(?P<port>[0-9]{1,5})")
_PORT_MAX = 65_535
_URL_PATH = re.compile(r"[A-Za-z0-9._~-]+(/[A-Za-z0-9._~-]+)*")
_SQL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}(\.[A-Za-z_][A-Za-z0-9_]{0,62})?")
_NATS_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_WEBHOOK_SECRET_BYTES = range(24, 65)
_PASSWORDS_IN_URLS = frozenset({"password", "sslpassword", "passfile"})
_CLICKHOUSE_OPTIONS = ("secure", "ca_cert")


NOT_READ = "not read"
"""What stands in the place of a secret that is needed, and not read: it opens nothing."""


class Derived:
    """Marks a field that `load` fills in: it is no key of the TOML file."""


class Section(BaseModel):
    """What all sections share: no unknown key, no silent conversion, no change after loading."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


def filled(items: tuple[T, ...]) -> tuple[T, ...]:
    """Refuse a list of nothing."""
    if not items:
        raise ValueError("needs at least one entry")
    return items


def without(value: T, *, lacking: bool, what: str) -> T:
    """Refuse a value that nothing uses, because something else is lacking."""
    if value is not None and lacking:
        raise ValueError(f"has no effect without {what}")
    return value


def not_below(value: float, lowest: float, key: str) -> float:
    """Refuse a bound below the one that another key sets."""
    if value < lowest:
        raise ValueError(f"must not be less than {key} ({lowest:g})")
    return value


def no_blanks_around(secret: SecretStr, file: str) -> SecretStr:
    """Refuse a secret that a configuration file of Asterisk cannot hold."""
    text = secret.get_secret_value()
    if text != text.strip():
        raise ValueError(f"begins or ends with a blank; Asterisk strips those from {file}, so it never fits")
    return secret


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine itself, and no other can reach what listens there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _one_line(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError("must not hold a line break or another control character")
    return text


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError("must be 1 to 64 letters, digits, '.', '_' or '-', and begin with a letter or digit")
    return text


def _host(text: str) -> str:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        _host_name(text)
    return text


def _host_name(text: str) -> None:
    labels = text.removesuffix(".").split(".")
    if len(text) <= _HOST_LENGTH and all(_HOST_LABEL.fullmatch(label) for label in labels) and not labels[-1].isdigit():
        return
    if "://" in text:
        raise ValueError("must be a host name or an IP address, not a URL")
    if text.startswith("["):
        raise ValueError("an IPv6 address is written without brackets; the port has its own key")
    if ":" in text:
        raise ValueError("must be a host name or an IP address; the port has its own key")
    raise ValueError("must be a host name or an IP address")


def _sip_address(text: str) -> str:
    parts = _BRACKETED.fullmatch(text) or _WITH_PORT.fullmatch(text)
    host, port = (parts["host"], parts["port"]) if parts else (text, None)
    try:
        ipaddress.ip_address(host)
    except ValueError:
        raise ValueError("must be an IP address, with or without a port: 192.0.2.1, 192.0.2.1:5060") from None
    if port is not None and not 0 < int(port) <= _PORT_MAX:
        raise ValueError(f"must have a port of 1 to {_PORT_MAX}, or none")
    return text


def _file(path: Path) -> Path:
    if path == Path():
        raise ValueError("must not be empty")
    _one_line(str(path))
    return path


def _url_path(text: str) -> str:
    if text and not _URL_PATH.fullmatch(text):
        raise ValueError("must be as in http.conf, without a slash at either end")
    return text


def _application(text: str) -> str:
    if "," in text or " " in text:
        raise ValueError("must be one name, without commas and blanks")
    return text


def _postgresql_url(text: str) -> str:
    if not text.startswith("postgresql://"):
        raise ValueError("must begin with postgresql://")
    return _server_url(text, "postgresql://user@host:5432/database")


def _store_url(text: str) -> str:
    if text.startswith("clickhouse://"):
        return _clickhouse_url(text)
    if not text.startswith("postgresql://"):
        raise ValueError("must begin with postgresql:// or clickhouse://")
    return _postgresql_url(text)


def _clickhouse_url(text: str) -> str:
    text = _server_url(text, example := "clickhouse://user@host:8123/database")
    parts = urlsplit(text)
    try:
        host = parts.port != 0 and parts.hostname
    except ValueError:
        host = None
    if not host or not parts.path.strip("/"):
        raise ValueError(f"is no URL: {example}")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if options.keys() - _CLICKHOUSE_OPTIONS or options.get("secure", "true") not in {"true", "false"}:
        raise ValueError("may only have the options secure=true or secure=false, and ca_cert")
    if "secure" not in options and not is_loopback(host):
        raise ValueError("must end in ?secure=true, or in ?secure=false where nobody can listen on the way")
    return text


def _server_url(text: str, example: str) -> str:
    if " " in text:
        raise ValueError("must not hold a blank")
    try:
        parts = urlsplit(text)
        asked = {key.lower() for key, _ in parse_qsl(parts.query, keep_blank_values=True)}
    except ValueError:
        raise ValueError(f"is no URL: {example}") from None
    if ":" in parts.netloc.rpartition("@")[0] or asked & _PASSWORDS_IN_URLS:
        raise ValueError("must not hold a password; it is given by a variable or a file")
    return text


def _host_port(text: str) -> str:
    parts = _BRACKETED.fullmatch(text) or _WITH_PORT.fullmatch(text)
    if not parts or not parts["port"] or not 0 < int(parts["port"]) <= _PORT_MAX:
        raise ValueError("must be a host and a port: 127.0.0.1:4222")
    _host(parts["host"])
    return text


def _nats_name(text: str) -> str:
    if not _NATS_NAME.fullmatch(text):
        raise ValueError("must be 1 to 64 letters, digits, '_' or '-'")
    return text


def _header(text: str) -> str:
    if not text.isascii() or not text.replace("-", "").isalnum():
        raise ValueError("must be the name of an HTTP header: letters, digits and '-'")
    return text


def _web_url(text: str) -> str:
    if not text.startswith(("https://", "http://")):
        raise ValueError("must begin with https:// or http://")
    if not text.isascii() or " " in text:
        raise ValueError("must be plain ASCII without blanks")
    try:
        parts = urlsplit(text)
        host = parts.port != 0 and parts.hostname
    except ValueError:
        host = None
    if not host or parts.fragment:
        raise ValueError("is no URL: https://host/path")
    if "@" in parts.netloc:
        raise ValueError("must not hold a user or a password")
    return text


def _sql_name(text: str) -> str:
    if not _SQL_NAME.fullmatch(text):
        raise ValueError("must be the name of a table, or schema.table: letters, digits and '_'")
    return text


def _secret(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not text:
        raise ValueError("is empty")
    _one_line(text)
    if _HALF.search(text):
        raise ValueError("is not UTF-8 text")
    return value


def _webhook_secrets(value: SecretStr) -> SecretStr:
    for secret in value.get_secret_value().split(" "):
        try:
            size = len(base64.b64decode(secret.removeprefix("whsec_"), validate=True))
        except (binascii.Error, ValueError):
            size = 0
        if size not in _WEBHOOK_SECRET_BYTES:
            raise ValueError("must be whsec_ and 24 to 64 bytes in base64, or several of these with a blank between")
    return value


Line = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_one_line)]
UserName = Annotated[str, Field(min_length=1, max_length=79), AfterValidator(_one_line)]  # Asterisk cuts longer ones
Name = Annotated[str, AfterValidator(_name)]
Host = Annotated[str, AfterValidator(_host)]
Port = Annotated[int, Field(ge=1, le=_PORT_MAX)]
SipAddress = Annotated[str, AfterValidator(_sip_address)]
FilePath = Annotated[Path, Strict(strict=False), AfterValidator(_file)]
UrlPath = Annotated[str, Field(max_length=255), AfterValidator(_url_path)]
Application = Annotated[Line, AfterValidator(_application)]
PostgresqlUrl = Annotated[Line, AfterValidator(_postgresql_url)]
StoreUrl = Annotated[Line, AfterValidator(_store_url)]
HostPort = Annotated[Line, AfterValidator(_host_port)]
NatsName = Annotated[str, AfterValidator(_nats_name)]
HeaderName = Annotated[Line, AfterValidator(_header)]
WebUrl = Annotated[Line, AfterValidator(_web_url)]
SqlName = Annotated[str, AfterValidator(_sql_name)]
Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
Secret = Annotated[SecretStr, AfterValidator(_secret)]
WebhookSecrets = Annotated[Secret, AfterValidator(_webhook_secrets)]
