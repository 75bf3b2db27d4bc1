"""What the tests of the ARI source share: an impatient client, and a source at work."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator
from typing import Any

from asterisk_sip.sources.ari import AriLink, AriSettings, AriSource
from tests.ami_client import Recorder, loop_watched, stop
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


@contextlib.asynccontextmanager
async def running(settings: AriSettings, listener: Recorder) -> AsyncIterator[AriSource]:
    """A source at work; cancelled at the end. Nothing may be left behind."""
    async with loop_watched():
        source = AriSource("pbx", settings, listener)
        task = asyncio.create_task(source.run(), name="source")
        try:
            yield source
        finally:
            await stop(task)


@contextlib.asynccontextmanager
async def opened(settings: AriSettings, listener: Recorder) -> AsyncIterator[AriLink]:
    """One link, closed at the end."""
    async with loop_watched():
        link = AriLink(settings, listener)
        try:
            await link.open()
            yield link
        finally:
            await link.close()
