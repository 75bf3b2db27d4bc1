"""Records what the doors of all PBXs receive into one file, without a store."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from pathlib import Path

from asterisk_sip.config import Config
from asterisk_sip.daemon_doors import open_agi, open_ari, open_doors, open_hep
from asterisk_sip.privacy import journal_key
from asterisk_sip.sources.capture import Capture, CaptureDesk

TELL_EVERY_S = 1.0


async def capture(
    config: Config, out: Path, for_s: float | None, stop: asyncio.Event, tell: Callable[[float, Capture], None]
) -> Capture:
    """Listen for some seconds, or until stopped; return what was written. ``tell`` hears of it each second.

    Secrets are left out; numbers and names are replaced if the configuration's journal wants that. Raises SourceError.
    """
    key = journal_key(config.journal, config.privacy) if config.journal is not None else None
    written = Capture(out, time.time(), key)
    try:
        heard = [(pbx, CaptureDesk(written, pbx.name, time.time())) for pbx in config.pbx]
        sources = [source for pbx, desk in heard for source in open_doors(pbx, desk)]
        listening = [
            asyncio.create_task(source.run())
            for source in [*sources, *open_ari(heard), *open_hep(heard), *open_agi(heard)]
        ]
        try:
            await _wait(written, for_s, stop, tell)
        finally:
            for task in listening:
                task.cancel()
            await asyncio.gather(*listening, return_exceptions=True)
    finally:
        written.close()
    return written


async def _wait(
    written: Capture, for_s: float | None, stop: asyncio.Event, tell: Callable[[float, Capture], None]
) -> None:
    began = time.monotonic()
    while not stop.is_set() and written.trouble is None:
        lasted = time.monotonic() - began
        left = TELL_EVERY_S if for_s is None else min(TELL_EVERY_S, for_s - lasted)
        tell(lasted, written)
        if left <= 0:
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), left)
