"""How one PBX is heard over ARI."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from asterisk_sip.sources import ari_wire


@dataclass(frozen=True, slots=True)
class AriSettings:
    """How to reach one Asterisk and how patient to be (seconds, bytes). ``prefix`` is that of http.conf, or empty."""

    host: str
    port: int
    username: str
    password: str
    prefix: str = ""
    app: str = "asterisk-sip"
    tls: bool = False
    ca_file: Path | None = None
    server_name: str | None = None
    connect_timeout_s: float = 10.0
    heartbeat_s: float = 10.0
    retry_min_s: float = 1.0
    retry_max_s: float = 60.0
    auth_retry_s: float = 300.0
    max_message_bytes: int = ari_wire.DEFAULT_MAX_MESSAGE_BYTES
    gather_ms: int = 75

    @property
    def url(self) -> str:
        """Where ARI is. No secret is in it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        prefix = f"/{self.prefix}" if self.prefix else ""
        return f"http{'s' if self.tls else ''}://{host}:{self.port}{prefix}/ari"

    def __repr__(self) -> str:
        """Leave the password out."""
        return f"AriSettings({self.username}@{self.url})"
