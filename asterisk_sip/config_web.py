"""Where the API is served, as types."""

from __future__ import annotations

from pydantic import Field, field_validator

from asterisk_sip.config_types import Host, Port, Section, is_loopback


class WebConfig(Section):
    """The address of the API: one of this machine, as long as there is no login."""

    enabled: bool = True
    host: Host = "127.0.0.1"
    port: Port = Field(8600)

    @field_validator("host")
    @classmethod
    def _only_this_machine(cls, value: str) -> str:
        if not is_loopback(value):
            raise ValueError(
                "must be an address of this machine, such as 127.0.0.1: there is no login yet, so whoever reaches it "
                "reads every call; from elsewhere use a tunnel: ssh -L 8600:127.0.0.1:8600"
            )
        return value
