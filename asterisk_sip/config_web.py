"""Where pages and API are served, and to whom, as types."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, Strict, ValidationInfo, field_validator

from asterisk_sip.config_types import (
    FilePath,
    HeaderName,
    Host,
    Line,
    Name,
    Port,
    Section,
    UserName,
    WebUrl,
    filled,
    is_loopback,
)
from asterisk_sip.password import Hash


def _hash(value: SecretStr) -> SecretStr:
    Hash.read(value.get_secret_value())
    return value


def _network(text: str) -> str:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        raise ValueError("must be an IP address or a network: 10.0.0.5, 10.0.0.0/24") from None
    return text


Role = Literal["viewer", "admin"]
PasswordHash = Annotated[SecretStr, AfterValidator(_hash)]
Network = Annotated[str, AfterValidator(_network)]


class WebUser(Section):
    """A person who logs in. A viewer reads; an admin also acknowledges and silences alerts."""

    name: UserName
    role: Role = "viewer"
    password_hash: PasswordHash


class WebToken(Section):
    """A program that sends ``Authorization: Bearer``."""

    name: Name
    role: Role = "viewer"
    token_hash: PasswordHash


class WebProxy(Section):
    """A reverse proxy in front: its addresses, and the header by which it says who has logged in there."""

    addresses: Annotated[tuple[Network, ...], Strict(strict=False), AfterValidator(filled)]
    user_header: HeaderName | None = None
    admins: Annotated[tuple[Line, ...], Strict(strict=False)] = ()


class WebConfig(Section):
    """The address of pages and API. One that other machines can reach needs users, tokens or a proxy that knows them.

    ``host`` stands behind those, as its check looks at them.
    """

    enabled: bool = True
    user: Annotated[tuple[WebUser, ...], Strict(strict=False)] = ()
    token: Annotated[tuple[WebToken, ...], Strict(strict=False)] = ()
    proxy: WebProxy | None = None
    names: Annotated[tuple[Host, ...], Strict(strict=False)] = ()
    session_hours: int = Field(12, ge=1, le=8_760)
    cert_file: FilePath | None = None
    key_file: Annotated[FilePath | None, Field(validate_default=True)] = None
    host: Annotated[Host, Field(validate_default=True)] = "127.0.0.1"
    port: Port = Field(8600)
    metrics: bool = True
    public_url: WebUrl | None = None

    @field_validator("key_file")
    @classmethod
    def _both_or_none(cls, value: FilePath | None, info: ValidationInfo) -> FilePath | None:
        if "cert_file" in info.data and (value is None) != (info.data["cert_file"] is None):
            raise ValueError("goes together with cert_file: set both or none")
        return value

    @field_validator("host")
    @classmethod
    def _whom_to_let_in(cls, value: str, info: ValidationInfo) -> str:
        told = [info.data.get(key, ...) for key in ("user", "token", "proxy")]
        by_proxy = told[2] is ... or getattr(told[2], "user_header", None) is not None
        if not (is_loopback(value) or told[0] or told[1] or by_proxy):
            raise ValueError(
                "can be reached from other machines, and there is nobody to let in: whoever reaches it would read "
                "every call. Add a [[web.user]] or a [[web.token]] (asterisk-sip password makes both), or stay at "
                "127.0.0.1 and use a tunnel: ssh -L 8600:127.0.0.1:8600"
            )
        return value
