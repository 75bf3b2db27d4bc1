"""Gathers what a maintainer needs to help from afar, into one file, without secrets and numbers."""

from __future__ import annotations

import asyncio
import io
import json
import platform
import sqlite3
import sys
import tarfile
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path
from typing import Any

import aiohttp

from asterisk_sip import __version__
from asterisk_sip.calls.model import isoformat
from asterisk_sip.config import Config
from asterisk_sip.errors import AsteriskSipError, SourceError, os_words
from asterisk_sip.sources import excerpt
from asterisk_sip.sources.forms import Recording, files
from asterisk_sip.sources.journal_wire import Frame, encode, first_line
from asterisk_sip.stores.base import Store, TotalsQuery, gap_json
from asterisk_sip.stores.place import StorePlace
from asterisk_sip.support_scrub import SHORT_DIGITS, Scrub, config_told

GAPS = 200
DAYS = 7
ASK_S = 5.0
MOST_BYTES = 8 << 20
"""So much of the journal at most: the newest."""

READ_ME = """asterisk-sip support bundle, made {at}

config.json    the configuration in use, defaults filled in; secrets, and what stands behind the host of a URL, are ***
versions.json  what runs here
health.json    what /readyz of the running program says
metrics.txt    its counters
gaps.jsonl     when a PBX was not heard, the last {gaps}
store.json     how large the store is, and what was counted in the last {days} days
journal        what came through the doors last, numbers and names replaced by tokens: asterisk-sip replay reads it

Numbers of more than {short} digits are tokens of a key that was thrown away: the same number has the same token in all
files here. Names of endpoints, trunks, contexts and hosts, and what far ends said, stay. Read it before you send it.

Missing: {missing}
The log is not in it: journalctl -u asterisk-sip --since -1h. Nor is what asterisk-sip check says.
"""


@dataclass(slots=True)
class Bundle:
    """The files, by name, and what could not be had, with the reason."""

    files: dict[str, bytes] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, value: Any) -> None:
        """Add plain data as JSON."""
        self.files[name] = (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode("utf-8", "replace")


async def gather(config: Config, scrub: Scrub, key: bytes, journal_s: float) -> Bundle:
    """Return all that can be had at the moment: what fails is named, the rest is there."""
    bundle = Bundle()
    bundle.add("config.json", config_told(config, scrub))
    bundle.add("versions.json", versions())
    await _from_the_program(bundle, config, scrub)
    await _from_the_store(bundle, config, scrub)
    try:
        bundle.files["journal.journal"] = await asyncio.to_thread(_slice, config, key, journal_s)
    except SourceError as error:
        bundle.missing["journal"] = scrub.text(str(error))
    return bundle


def versions() -> dict[str, Any]:
    """Return what runs here."""
    packages: dict[str, str | None] = {}
    for wanted in metadata.requires("asterisk-sip") or ():
        name = wanted.partition(";")[0].rstrip(" ").split("[")[0].split(">")[0].split("=")[0]
        try:
            packages[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            packages[name] = None  # an extra that is not used
    return {
        "asterisk-sip": __version__,
        "python": sys.version,
        "system": platform.platform(),
        "sqlite": sqlite3.sqlite_version,
        "packages": packages,
    }


def packed(bundle: Bundle, path: Path, made_at: float) -> None:
    """Write the bundle; only its owner may read it. Raises AsteriskSipError, also when the file is there already."""
    missing = "; ".join(f"{name} ({reason})" for name, reason in bundle.missing.items()) or "nothing"
    at = isoformat(datetime.fromtimestamp(made_at, UTC))
    read_me = READ_ME.format(at=at, gaps=GAPS, days=DAYS, short=SHORT_DIGITS, missing=missing)
    folder = path.name.partition(".")[0]
    try:
        with path.open("xb") as file:
            path.chmod(0o600)
            with tarfile.open(fileobj=file, mode="w:gz") as tar:
                for name, content in {"README.txt": read_me.encode(), **bundle.files}.items():
                    entry = tarfile.TarInfo(f"{folder}/{name}")
                    entry.size, entry.mtime, entry.mode = len(content), int(made_at), 0o600
                    tar.addfile(entry, io.BytesIO(content))
    except FileExistsError:
        raise AsteriskSipError(f"{path} is there already; name another file with --out") from None
    except OSError as error:
        raise AsteriskSipError(f"{path}: {error.strerror or error}") from error


async def _from_the_program(bundle: Bundle, config: Config, scrub: Scrub) -> None:
    """Ask the program that runs with this configuration, if one does."""
    if not config.web.enabled:
        bundle.missing["health.json"] = bundle.missing["metrics.txt"] = "nothing is served: enabled = false in [web]"
        return
    host = config.web.host if config.web.host not in ("0.0.0.0", "::") else "127.0.0.1"  # noqa: S104  as it may be set
    scheme = "http" if config.web.cert_file is None else "https"
    base = f"{scheme}://{f'[{host}]' if ':' in host else host}:{config.web.port}"
    timeout = aiohttp.ClientTimeout(total=ASK_S)
    # Our own certificate names the world outside, not this loopback: what is asked here are our own numbers.
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(ssl=False)) as session:
        for name, path in (("health.json", "/readyz"), ("metrics.txt", "/metrics")):
            try:
                async with session.get(base + path) as response:
                    text = await response.text()
                    if response.status not in (200, 503):
                        bundle.missing[name] = f"HTTP {response.status}: is a login asked for, or are metrics off?"
                    elif name == "health.json":
                        bundle.add(name, scrub.tree(json.loads(text)))
                    else:
                        bundle.files[name] = scrub.labels(text).encode()
            except aiohttp.ClientConnectorError as error:
                bundle.missing[name] = f"no program answers at {host}:{config.web.port}: {os_words(error)}"
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                reason = scrub.text(str(error)) or f"nothing came within {ASK_S:g} s"
                bundle.missing[name] = f"what answers at {host}:{config.web.port} is not understood: {reason}"


async def _from_the_store(bundle: Bundle, config: Config, scrub: Scrub) -> None:
    place = StorePlace(config.store.path, config.store.url, config.store.plain_password)
    try:
        store = place.store(readonly=True)
        try:
            await store.open()
            await _read(bundle, config, store, scrub)
        finally:
            await store.close()
    except AsteriskSipError as error:
        bundle.missing["gaps.jsonl"] = bundle.missing["store.json"] = scrub.text(str(error))


async def _read(bundle: Bundle, config: Config, store: Store, scrub: Scrub) -> None:
    until = datetime.now(UTC)
    gaps = (await store.gaps(until - timedelta(days=DAYS), until))[-GAPS:]
    lines = (json.dumps(scrub.tree(gap_json(gap)), ensure_ascii=False) + "\n" for gap in gaps)
    bundle.files["gaps.jsonl"] = "".join(lines).encode("utf-8", "replace")
    listened = {pbx.name: await store.listened_until(pbx.name) for pbx in config.pbx}
    query = TotalsQuery(until - timedelta(days=DAYS), until, "attempts", ("disposition", "sip_code", "pbx", "trunk"))
    totals = await store.totals(query)
    sizes = {path.name: path.stat().st_size for path in _parts(config.store.path)}
    told = {
        "files": sizes,
        "last_position": await store.last_position(),
        "listened_until": {name: None if at is None else isoformat(at) for name, at in listened.items()},
        "attempts": [
            {"pbx": each.pbx, "trunk": each.trunk, "disposition": each.disposition, "code": each.sip_code or None}
            | {"count": each.total}
            for each in totals
        ],
    }
    bundle.add("store.json", scrub.tree(told))


def _parts(path: Path) -> Iterable[Path]:
    return (part for end in ("", "-wal", "-shm") if (part := path.with_name(path.name + end)).exists())


def _slice(config: Config, key: bytes, journal_s: float) -> bytes:
    """Return the newest part of the journal, masked. Raises SourceError when there is none."""
    if config.journal is None:
        raise SourceError("no journal is kept: [journal] is not set")
    frames: list[Frame] = []
    size = 0
    for path in reversed([*files([config.journal.folder])]):
        found = list(Recording(path).frames())
        frames = found + frames
        size += sum(len(frame.data) for frame in found)
        if size >= MOST_BYTES or (frames and frames[0].at < time.time() - journal_s):
            break
    if not frames:
        raise SourceError(f"{config.journal.folder}: nothing is in the journal")
    since = frames[-1].at - journal_s
    kept: list[bytes] = []
    room = MOST_BYTES
    for frame in reversed(excerpt.masked([frame for frame in frames if frame.at >= since], key)):
        text = encode(frame)
        room -= len(text)
        if room < 0:
            break
        kept.append(text)
    return first_line(frames[-1].at) + b"".join(reversed(kept))
