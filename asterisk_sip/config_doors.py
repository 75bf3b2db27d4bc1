"""The doors through which one PBX is heard, as types: AMI, ARI, AGI and HEP, and the CEL it keeps itself."""

from __future__ import annotations

from typing import Annotated, Literal, Self, TypeVar

from pydantic import Field, SecretStr, Strict, ValidationInfo, field_validator, model_validator

from asterisk_sip.config_types import (
    Application,
    Derived,
    FilePath,
    Host,
    Line,
    Name,
    Port,
    PostgresqlUrl,
    Seconds,
    Secret,
    Section,
    SipAddress,
    SqlName,
    UrlPath,
    UserName,
    no_blanks_around,
    not_below,
    without,
)

T = TypeVar("T")

LIVE_DOORS = ("ami", "ari", "agi", "hep")
DOORS = (*LIVE_DOORS, "cel")

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

_MessageBytes = Annotated[int, Field(ge=4_096, le=67_108_864)]


class _Connection(Section):
    """What every connection that this program opens to Asterisk has."""

    tls: bool = False
    ca_file: FilePath | None = None
    server_name: Host | None = None
    connect_timeout_s: Seconds = 10.0
    retry_min_s: Seconds = 1.0
    retry_max_s: Annotated[Seconds, Field(validate_default=True)] = 60.0
    auth_retry_s: Seconds = 300.0
    max_message_bytes: _MessageBytes = 1_048_576

    @field_validator("ca_file", "server_name")
    @classmethod
    def _only_with_tls(cls, value: T, info: ValidationInfo) -> T:
        return without(value, lacking=info.data.get("tls") is False, what="tls = true")

    @field_validator("retry_max_s")
    @classmethod
    def _not_below_min(cls, value: float, info: ValidationInfo) -> float:
        return not_below(value, info.data.get("retry_min_s", 0), "retry_min_s")


class AmiConfig(_Connection):
    """How to reach the Asterisk Manager Interface of one PBX."""

    host: Host = "127.0.0.1"
    port: Port = 5038
    username: UserName = "asterisk-sip"
    secret: Annotated[Secret, Derived()]
    secret_file: FilePath | None = None
    event_mask: Line = "call,system,agent"
    login_timeout_s: Seconds = 10.0
    ping_interval_s: Seconds = 10.0
    ping_timeout_s: Seconds = 10.0
    gather_ms: int = Field(90, ge=0, le=1_000)

    @field_validator("secret")
    @classmethod
    def _fits_manager_conf(cls, value: SecretStr) -> SecretStr:
        return no_blanks_around(value, "manager.conf")

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
        if not words & {"call", "user"}:
            raise ValueError("must hold 'call' (or 'user', for reports of hangup handlers): else nothing is recorded")
        return value


class AriConfig(_Connection):
    """How to reach the Asterisk REST Interface of one PBX; or, with ``outbound``, where that PBX reaches us."""

    host: Host = "127.0.0.1"
    port: Port = 8088
    prefix: UrlPath = ""
    username: UserName = "asterisk-sip"
    password: Annotated[Secret, Derived()]
    password_file: FilePath | None = None
    app: Application = "asterisk-sip"
    heartbeat_s: Seconds = 10.0
    gather_ms: int = Field(75, ge=0, le=1_000)
    outbound: bool = False
    listen_host: Host = "127.0.0.1"
    listen_port: Port = 8099

    @field_validator("password")
    @classmethod
    def _fits_ari_conf(cls, value: SecretStr) -> SecretStr:
        return no_blanks_around(value, "ari.conf")


class AgiConfig(Section):
    """Where the hangup handlers of one PBX report over FastAGI. PBXs may share an address: the path is their name."""

    listen_host: Host = "127.0.0.1"
    listen_port: Port = 4573
    deadline_ms: int = Field(500, ge=1, le=60_000)
    max_connections: int = Field(200, ge=1, le=100_000)


class HepPeer(Section):
    """Which endpoint of pjsip.conf an address is."""

    address: SipAddress
    endpoint: Line


class HepConfig(Section):
    """Where one PBX sends its SIP messages. PBXs may share an address: the capture id tells them apart."""

    listen_host: Host = "127.0.0.1"
    listen_port: Port = 9060
    capture_id: int | None = Field(None, ge=0, le=4_294_967_295)
    capture_password: Annotated[Secret | None, Derived()] = None
    capture_password_file: FilePath | None = None
    local: Annotated[tuple[SipAddress, ...], Strict(strict=False)] = ()
    receive_buffer_kb: int = Field(4_096, ge=64, le=1_048_576)
    peer: Annotated[tuple[HepPeer, ...], Strict(strict=False)] = ()

    @field_validator("capture_password")
    @classmethod
    def _fits_hep_conf(cls, value: SecretStr | None) -> SecretStr | None:
        return value and no_blanks_around(value, "hep.conf")

    @field_validator("peer")
    @classmethod
    def _distinct_addresses(cls, value: tuple[HepPeer, ...]) -> tuple[HepPeer, ...]:
        if len({peer.address for peer in value}) < len(value):
            raise ValueError("names the same address twice")
        return value


class CelConfig(Section):
    """Where Asterisk keeps its channel event log, from which calls are read that ended while nobody listened."""

    kind: Literal["sqlite", "postgresql", "csv"]
    path: Annotated[FilePath | None, Field(validate_default=True)] = None
    url: Annotated[PostgresqlUrl | None, Field(validate_default=True)] = None
    password: Annotated[Secret | None, Derived()] = None
    password_file: FilePath | None = None
    table: SqlName = "cel"

    @field_validator("path")
    @classmethod
    def _file_for_files(cls, value: T, info: ValidationInfo) -> T:
        return _belongs_to(info, value, ("sqlite", "csv"), needed=True)

    @field_validator("url")
    @classmethod
    def _url_for_servers(cls, value: T, info: ValidationInfo) -> T:
        return _belongs_to(info, value, ("postgresql",), needed=True)

    @field_validator("password_file")
    @classmethod
    def _password_for_servers(cls, value: T, info: ValidationInfo) -> T:
        return _belongs_to(info, value, ("postgresql",), needed=False)


class PbxConfig(Section):
    """One Asterisk and the doors through which it is heard. Its name is part of the id of each of its records."""

    name: Name
    ami: AmiConfig | None = None
    ari: AriConfig | None = None
    agi: AgiConfig | None = None
    hep: HepConfig | None = None
    cel: CelConfig | None = None

    @property
    def doors(self) -> tuple[str, ...]:
        """The doors through which this PBX is heard while it works: names out of `LIVE_DOORS`."""
        return tuple(door for door in LIVE_DOORS if getattr(self, door) is not None)

    @model_validator(mode="after")
    def _heard(self) -> Self:
        if not self.doors:
            raise ValueError("is never heard: add [pbx.ami], [pbx.ari], [pbx.agi] or [pbx.hep]")
        return self


def _belongs_to(info: ValidationInfo, value: T, kinds: tuple[str, ...], *, needed: bool) -> T:
    """Refuse a value that its kind of CEL has no use for, or lacks."""
    kind = info.data.get("kind")
    if kind is None:
        return value  # the kind itself is at fault
    if value is not None and kind not in kinds:
        raise ValueError(f'has no effect with kind = "{kind}"')
    if value is None and needed and kind in kinds:
        raise ValueError(f'is required with kind = "{kind}"')
    return value
