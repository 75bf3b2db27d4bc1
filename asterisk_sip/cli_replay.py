"""The verb that reads recordings: replay, to print, to store, or to compare with what is stored."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from asterisk_sip.calls.changes import Change, changes
from asterisk_sip.calls.enrich import Surroundings, TrunkRule
from asterisk_sip.calls.model import CallRecord
from asterisk_sip.calls.own_address import Addresses
from asterisk_sip.cli_store import opened, store_place
from asterisk_sip.render_plain import counted, json_line, plain
from asterisk_sip.sources.forms import case_trunks
from asterisk_sip.sources.recording import Replay

if TYPE_CHECKING:
    from asterisk_sip.stores.place import StorePlace

STORE_BATCH = 500
ANY_NUMBER = 10_000_000
AROUND = timedelta(seconds=5)
"""How far from its end by the recording a stored call is looked for."""

Patterns = Annotated[list[str] | None, Parameter(negative=())]


def replay(
    files: Annotated[list[Path], Parameter(allow_leading_hyphen=True)],
    /,
    *,
    format: Literal["json", "table"] | None = None,  # noqa: A002  the option is called --format
    pbx: str | None = None,
    trunk: Patterns = None,
    config: Annotated[Path | None, Parameter(name=["--config", "-c"])] = None,
    asterisk_version: str | None = None,
    store: Path | None = None,
    keep: Literal["failures", "all"] = "all",
    against_store: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Read recordings and print every call that ended in them.

    A recording is a journal (a file or its folder), the raw bytes of AMI, or AMI or ARI events as JSON, one a line or
    in an array; plain or gzipped. What it is shows in its content. The folder of a case from export-case will do, too:
    its trunks hold where no others are given.

    Parameters
    ----------
    files
        The recordings, in order: files, folders of journals or cases; - for stdin.
    format
        json: one record, or one change, a line. table: for a person.
    pbx
        The name of the PBX in recordings that do not tell it (pbx1). Of a journal, read this PBX alone.
    trunk
        An endpoint that leads to a carrier; * and ? are allowed. May be given several times.
    config
        A configuration whose trunks, overrides and SIP addresses hold (its secrets are not used). With a store, its
        [privacy] holds too, and the key of that is needed.
    asterisk_version
        The version of the Asterisk that was recorded, if the recording does not tell it.
    store
        Write the records into this database instead of printing them. Doing it twice changes nothing.
    keep
        With --store: failures keeps answered calls as totals only.
    against_store
        Change nothing; print what would be recorded otherwise now than it is in the store of --config or --store.
        The exit code is 1 when something would be.
    """
    trunks = trunk or ([] if config else case_trunks(files))
    around, addresses = surroundings(pbx or "pbx1", asterisk_version, trunks, config)
    reader = Replay(around, only=pbx, addresses=addresses)
    records = reader.read(files)
    if config is not None and (against_store or store is not None):
        records = _as_stored(records, config)
    code = 0
    if against_store:
        code = asyncio.run(_compare(records, store_place(config, store), as_json=format == "json"))
    elif store is not None:
        new, count = asyncio.run(_store(records, store, keep))
        sys.stderr.write(f"{counted(count, 'call')}, {new:,} new in {store}\n")
    elif format == "table":
        from asterisk_sip import render

        render.print_calls(list(records))
    else:
        for record in records:
            sys.stdout.write(json_line(record) + "\n")
    tell_leftovers(reader)
    return code if reader.events or reader.recognised else 1


def surroundings(
    pbx: str, version: str | None, trunks: list[str], config: Path | None
) -> tuple[Surroundings, Mapping[str, Addresses]]:
    """Return what records say of the place they are made in, and the SIP addresses of each PBX. Raises ConfigError."""
    rules = tuple(TrunkRule(None, (pattern,)) for pattern in trunks)
    if config is None:
        return Surroundings(pbx, version, rules), {}
    from asterisk_sip import config as configuration
    from asterisk_sip import daemon, daemon_doors

    loaded = configuration.load(config, secrets=False)
    around = Surroundings(pbx, version, rules + daemon.trunk_rules(loaded), daemon.override_rules(loaded))
    return around, {each.name: daemon_doors.sip_addresses(each) for each in loaded.pbx}


def tell_leftovers(reader: Replay) -> None:
    """Say on stderr what of some recordings came to nothing."""
    for count, told in (
        (reader.unfinished, "calls had not ended at the end of the recording; they are not shown"),
        (reader.unreadable, "messages could not be read"),
        (reader.torn, "places where a journal is cut off or damaged were passed over"),
        (reader.unknown, "pieces are of doors this version cannot read"),
    ):
        if count:
            sys.stderr.write(f"{count} {told}\n")
    if not reader.events:
        sys.stderr.write(
            "no events found: a recording is a journal, the bytes of an AMI connection, or events as JSON\n"
        )


def _as_stored(records: Iterator[CallRecord], config: Path) -> Iterator[CallRecord]:
    """Return the records as the configuration lets them be written. Raises ConfigError."""
    from asterisk_sip import config as configuration
    from asterisk_sip.privacy import private

    hidden = private(configuration.load(config, secrets=("privacy",)).privacy)
    return records if hidden is None else map(hidden, records)


async def _store(records: Iterator[CallRecord], path: Path, keep: Literal["failures", "all"]) -> tuple[int, int]:
    from asterisk_sip.stores.base import Batch
    from asterisk_sip.stores.sqlite import SqliteStore

    store = SqliteStore(path, keep=keep)
    await store.open()
    new = count = 0
    try:
        while records_now := list(islice(records, STORE_BATCH)):
            count += len(records_now)
            new += await store.write(Batch(records=records_now))
    finally:
        await store.close()
    return new, count


async def _compare(records: Iterator[CallRecord], place: StorePlace, *, as_json: bool) -> int:
    """Print what a store would be told otherwise now; return 1 when there is something, else 0."""
    from asterisk_sip.stores.base import CallQuery, ended_at

    store = await opened(place)
    counts: Counter[str] = Counter()
    try:
        while some := list(islice(records, STORE_BATCH)):
            times = sorted(map(ended_at, some))
            query = CallQuery(since=times[0] - AROUND, until=times[-1] + AROUND, limit=ANY_NUMBER)
            stored = {record.id: record for record in await store.calls(query)}
            for now in some:
                counts[_compared(stored.get(now.id), now, as_json=as_json)] += 1
    finally:
        await store.close()
    sys.stderr.write(
        f"{counted(counts.total(), 'call')} replayed: {counts['changed']} would change, "
        f"{counts['same']} stay as they are, {counts['unstored']} are not stored one by one, "
        f"{counts['partial']} not compared (a gap, now or then)\n"
    )
    return 1 if counts["changed"] else 0


def _compared(was: CallRecord | None, now: CallRecord, *, as_json: bool) -> str:
    if was is None:
        return "unstored"
    if was.partial != now.partial:
        return "partial"
    found = changes(was, now)
    for change in found:
        sys.stdout.write(_line(now, change, as_json=as_json) + "\n")
    return "changed" if found else "same"


def _line(record: CallRecord, change: Change, *, as_json: bool) -> str:
    if as_json:
        return json.dumps({"id": record.id, "linkedid": record.linkedid, **change._asdict()}, ensure_ascii=False)
    return f"{record.id}  {change.field}: {_shown(change.was)} -> {_shown(change.now)}"


def _shown(value: Any) -> str:
    return plain(json.dumps(value, ensure_ascii=False))
