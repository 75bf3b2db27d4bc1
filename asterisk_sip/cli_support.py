"""The verb `support-bundle`: one file for whoever is to help from afar."""

from __future__ import annotations

import asyncio
import secrets
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from asterisk_sip.cli_store import within
from asterisk_sip.errors import ConfigError

MOST_MINUTES = 525_600.0


def support_bundle(
    *,
    config: Annotated[Path, Parameter(name=["--config", "-c"])],
    out: Path | None = None,
    minutes: float = 10.0,
) -> None:
    """Gather what is needed to help from afar into one file: configuration, versions, health, counters, gaps, journal.

    Secrets are left out. Numbers and names of people are replaced by tokens of a key that is thrown away. A daemon that
    runs is asked, not disturbed; nothing is changed. Read the file before you send it.

    Parameters
    ----------
    config
        The configuration file.
    out
        The file to write, such as bundle.tar.gz. It must not be there yet. Default: named by the time, in this folder.
    minutes
        How much of the journal to take, if one is kept: its last minutes.
    """
    from asterisk_sip import config as configuration
    from asterisk_sip import support_bundle as bundles
    from asterisk_sip.support_scrub import Scrub, secrets_in

    within("--minutes", minutes, 0.0, MOST_MINUTES)
    try:
        loaded = configuration.load(config)
    except ConfigError:
        loaded = configuration.load(config, secrets=False)  # whose secrets cannot be read has none to hide
    key, now = secrets.token_bytes(32), time.time()
    scrub = Scrub(secrets_in(loaded), key)
    bundle = asyncio.run(bundles.gather(loaded, scrub, key, minutes * 60))
    stamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    path = out or Path(f"asterisk-sip-support-{stamp}.tar.gz")
    bundles.packed(bundle, path, now)
    for name, reason in bundle.missing.items():
        sys.stderr.write(f"without {name}: {reason}\n")
    sys.stderr.write(f"{path}: {path.stat().st_size:,} bytes. Read it before you send it.\n")
