"""What the tests of the ARI source share: an impatient client, and a source at work."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import Any

from asterisk_sip.sources.ari import AriLink, AriSettings, AriSource
from tests.ami_client import Recorder, at_work, held_open
from tests.ari_server import SECRET, ScriptedAri

PATIENT = AriSettings(
    host="127.0.0.1",
    port=0,
    username="asterisk-sip",
    password=SECRET,
    retry_min_s=0.01,
    retry_max_s=0.02,
    auth_retry_s=60.0,
    gather_ms=1,
)
"""Time-outs that no healthy test reaches; a test about one of them makes that one short."""


def patient(pbx: ScriptedAri, **changes: Any) -> AriSettings:
    """Settings for this server."""
    return dataclasses.replace(PATIENT, **{"host": pbx.host, "port": pbx.port, **changes})


def running(settings: AriSettings, listener: Recorder) -> contextlib.AbstractAsyncContextManager[AriSource]:
    """A source at work; cancelled at the end. Nothing may be left behind."""
    return at_work(AriSource("pbx", settings, listener))


def opened(settings: AriSettings, listener: Recorder) -> contextlib.AbstractAsyncContextManager[AriLink]:
    """One link, closed at the end."""
    return held_open(AriLink(settings, listener))
