"""The configuration as types: what may be set, in which range, and what holds when it is not set.

The attribute path is the key path of the TOML file: ``config.pbx[0].ami.port`` is ``pbx[0].ami.port``.
Reading a file and the environment into these types is ``config.load``.
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    Strict,
    ValidationInfo,
    field_validator,
    model_validator,
)

T = TypeVar("T")

# The classes of events that manager.conf knows for `read`. "on" and "all" mean every one of them.
EVENT_CLASSES = (
    "system",
    "call",
    "log",
    "verbose",
    "agent",
    "user",
    "config",
    "command",
    "dtmf",
    "reporting",
    "cdr",
    "dialplan",
    "originate",
    "agi",
    "cc",
    "aoc",
    "test",
    "security",
    "message",
)
EVERY_EVENT = frozenset({"on", "all"})

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_HALF = re.compile("[\ud800-\udfff]")  # what the environment makes of bytes that are not UTF-8
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HOST_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_HOST_LENGTH = 253


class Derived:
    """Marks a field that `load` fills in: it is no key of the TOML file."""


def _one_line(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError("must not hold a line break or another control character")
    return text


def _filled(items: tuple[T, ...]) -> tuple[T, ...]:
    if not items:
        raise ValueError("needs at least one entry")
    return items


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


def _file(path: Path) -> Path:
    if path == Path():
        raise ValueError("must not be empty")
    _one_line(str(path))
    return path


Line = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_one_line)]
UserName = Annotated[str, Field(min_length=1, max_length=79), AfterValidator(_one_line)]  # Asterisk cuts longer ones
Name = Annotated[str, AfterValidator(_name)]
Host = Annotated[str, AfterValidator(_host)]
FilePath = Annotated[Path, Strict(strict=False), AfterValidator(_file)]
Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]


class _Section(BaseModel):
    """What all sections share: no unknown key, no silent conversion, no change after loading."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


class AmiConfig(_Section):
    """How to reach the Asterisk Manager Interface of one PBX."""

    host: Host = "127.0.0.1"
    port: int = Field(5038, ge=1, le=65_535)
    username: UserName = "asterisk-sip"
    secret: Annotated[SecretStr, Derived()]
    secret_file: FilePath | None = None
    tls: bool = False
    ca_file: FilePath | None = None
    server_name: Host | None = None
    event_mask: Line = "call,system,agent"
    connect_timeout_s: Seconds = 10.0
    login_timeout_s: Seconds = 10.0
    ping_interval_s: Seconds = 10.0
    ping_timeout_s: Seconds = 10.0
    retry_min_s: Seconds = 1.0
    retry_max_s: Annotated[Seconds, Field(validate_default=True)] = 60.0
    auth_retry_s: Seconds = 300.0
    max_message_bytes: int = Field(1_048_576, ge=4_096, le=67_108_864)
    gather_ms: int = Field(75, ge=0, le=1_000)

    @field_validator("secret")
    @classmethod
    def _usable_secret(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        if not text:
            raise ValueError("is empty")
        _one_line(text)
        if _HALF.search(text):
            raise ValueError("is not UTF-8 text")
        if text != text.strip():
            raise ValueError("begins or ends with a blank; Asterisk strips those from manager.conf, so it never fits")
        return value

    @field_validator("ca_file", "server_name")
    @classmethod
    def _only_with_tls(cls, value: T, info: ValidationInfo) -> T:
        if value is not None and info.data.get("tls") is False:
            raise ValueError("has no effect without tls = true")
        return value

    @field_validator("event_mask")
    @classmethod
    def _known_events(cls, value: str) -> str:
        words = {word.strip() for word in value.split(",")}
        if words & EVERY_EVENT and len(words) == 1:
            return value
        unknown = sorted(words.difference(EVENT_CLASSES))
        if unknown:
            known = ", ".join(EVENT_CLASSES)
            raise ValueError(f"has no event class {', '.join(map(repr, unknown))}; there are: {known}; or 'on' for all")
        if "call" not in words:
            raise ValueError("must hold 'call': without those events there is nothing to record")
        return value

    @field_validator("retry_max_s")
    @classmethod
    def _not_below_min(cls, value: float, info: ValidationInfo) -> float:
        lowest = info.data.get("retry_min_s", 0)
        if value < lowest:
            raise ValueError(f"must not be less than retry_min_s ({lowest:g})")
        return value


class PbxConfig(_Section):
    """One Asterisk. Its name is part of the id of each of its records."""

    name: Name
    ami: AmiConfig


class TrunkRule(_Section):
    """Which endpoints lead to one carrier: patterns as the shell has them (``*``, ``?``, ``[ab]``), case matters."""

    name: Line
    endpoints: Annotated[tuple[Line, ...], Strict(strict=False), AfterValidator(_filled)]


class OverrideRule(_Section):
    """What a status of one trunk really means. Unset conditions hold for all; the first rule that holds is taken."""

    name: Line
    trunk: Line | None = None
    code: int | None = Field(None, ge=100, le=699)
    phrase: Line | None = None
    under_ms: int | None = Field(None, ge=1, le=3_600_000)
    rang: bool | None = None
    meaning: Line | None = None
    disposition: Line | None = None
    fault: Literal["caller", "callee", "carrier", "us", "unknown"] | None = None
    reason: Line | None = None
    hint: Line | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not any((self.meaning, self.disposition, self.fault, self.reason, self.hint)):
            raise ValueError("changes nothing; set meaning, disposition, fault, reason or hint")
        return self


class RecordsConfig(_Section):
    """Which calls become records, and the bounds on calls still open."""

    keep: Literal["failures", "all"] = "failures"
    max_open_calls: int = Field(50_000, ge=1, le=10_000_000)
    max_call_age_s: Annotated[float, Field(gt=0, le=31_536_000, allow_inf_nan=False)] = 86_400.0


class StoreConfig(_Section):
    """Where records are kept."""

    path: FilePath = Path("asterisk-sip.db")
    flush_ms: int = Field(5, ge=0, le=10_000)


class PipelineConfig(_Section):
    """The buffer between the PBX and the core."""

    inbox_max_events: int = Field(200_000, ge=1, le=100_000_000)


class LogConfig(_Section):
    """What the log says, and in which form."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["console", "json"] = "console"


class Config(_Section):
    """The whole configuration. ``warnings`` are what an operator should hear about although it works."""

    pbx: Annotated[tuple[PbxConfig, ...], Strict(strict=False), AfterValidator(_filled)]
    trunk: Annotated[tuple[TrunkRule, ...], Strict(strict=False)] = ()
    override: Annotated[tuple[OverrideRule, ...], Strict(strict=False)] = ()
    records: RecordsConfig = RecordsConfig()
    store: StoreConfig = StoreConfig()
    pipeline: PipelineConfig = PipelineConfig()
    log: LogConfig = LogConfig()
    warnings: Annotated[tuple[str, ...], Derived()] = ()

    @classmethod
    def example_keys(cls) -> tuple[str, ...]:
        """Every key the TOML file may hold, as ``pbx[].ami.port``: what the commented example must show."""
        return tuple(".".join(path).replace(".[]", "[]") for path in key_paths(cls))


def key_paths(model: type[BaseModel]) -> tuple[tuple[str, ...], ...]:
    """The path to every settable value below ``model``; ``[]`` stands for the entries of a list of tables."""
    found: list[tuple[str, ...]] = []
    for name in keys_of(model):
        below, is_list = table_of(model, name)
        if below is None:
            found.append((name,))
        else:
            step = (name, "[]") if is_list else (name,)
            found.extend(step + rest for rest in key_paths(below))
    return tuple(found)


def value_type(model: type[BaseModel], path: tuple[str, ...]) -> object:
    """The type of the value at a path that `key_paths` gave."""
    for key in path[:-1]:
        model = (table_of(model, key)[0] or model) if key != "[]" else model
    return model.model_fields[path[-1]].annotation


def keys_of(model: type[BaseModel]) -> tuple[str, ...]:
    """The keys a table of this kind may hold."""
    fields = model.model_fields.items()
    return tuple(name for name, field in fields if not any(isinstance(mark, Derived) for mark in field.metadata))


def table_of(model: type[BaseModel], key: str) -> tuple[type[BaseModel] | None, bool]:
    """The table behind a key and whether it is a list of them; (None, False) for a plain value."""
    annotation = model.model_fields[key].annotation
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    entries = getattr(annotation, "__args__", ())
    if entries and isinstance(entries[0], type) and issubclass(entries[0], BaseModel):
        return entries[0], True
    return None, False
