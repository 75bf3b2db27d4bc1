"""Real PBXs that send every SIP message as HEP, and the configuration of a companion that takes them."""

from __future__ import annotations

import contextlib
import secrets
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.lab.asterisk import Asterisk
from tests.lab.fixtures import need_roots
from tests.lab.options import THE_LINE, PbxOptions, Release

HEP_CONF = """
[general]
enabled = yes
capture_address = 127.0.0.1:{port}
capture_id = {capture_id}
capture_password = {password}
uuid_type = call-id
"""

PBX_HEP = """
[pbx.hep]
listen_port = {hep.port}
capture_id = {hep.capture_id}
capture_password_file = "hep.password"
"""


@dataclass(frozen=True, slots=True)
class HepPbx:
    """A PBX and where it sends its SIP messages."""

    pbx: Asterisk
    port: int
    capture_id: int
    password: str

    def prepare(self, folder: Path) -> str:
        """Write the capture password into a companion's folder; give the section of its configuration."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "hep.password").write_text(self.password)
        (folder / "hep.password").chmod(0o600)
        return PBX_HEP.format(hep=self)


@contextlib.contextmanager
def sending_hep(release: Release, *, line: bool = False, extra: dict[str, str] | None = None) -> Iterator[HepPbx]:
    """Start a PBX that sends HEP; it gives a silent trunk up after 6.4 s."""
    need_roots(release)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    password, capture_id = secrets.token_urlsafe(12), int(release)
    text = HEP_CONF.format(port=port, capture_id=capture_id, password=password)
    options = PbxOptions(
        release,
        channelvars=THE_LINE if line else None,
        timer_t1_ms=100,
        timer_b_ms=6400,
        extra={"hep.conf": text, **(extra or {})},
        modules=("res_hep.so", "res_hep_pjsip.so"),
    )
    with Asterisk(options) as pbx:
        yield HepPbx(pbx, port, capture_id, password)
