"""The verb `export`: recorded calls as one file, however many there are."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from asterisk_sip.cli_store import ConfigPath, StorePath, call_query, opened, store_place

if TYPE_CHECKING:
    from asterisk_sip.render_export import Write
    from asterisk_sip.stores.base import CallQuery
    from asterisk_sip.stores.place import StorePlace

AT_ONCE = 500
TELL_EVERY_S = 2.0
STDOUT = Path("-")


def export(
    *,
    out: Annotated[Path | None, Parameter(allow_leading_hyphen=True)] = None,
    format_: Annotated[Literal["csv", "jsonl", "parquet"], Parameter(name="--format")] = "csv",
    config: ConfigPath = None,
    store: StorePath = None,
    since: str | None = None,
    until: str | None = None,
    code: int | None = None,
    class_: Annotated[str | None, Parameter(name="--class")] = None,
    trunk: str | None = None,
    outcome: Literal["failed", "rescued", "abandoned", "answered"] | None = None,
    number: str | None = None,
    pbx: str | None = None,
    fault: Literal["caller", "callee", "carrier", "us", "unknown"] | None = None,
    country: str | None = None,
) -> None:
    """Write recorded calls into a file or to standard output, in the order they were recorded.

    The file has its name when it is whole. Memory stays the same, however many calls there are.

    Parameters
    ----------
    out
        The file. One that is there is replaced. Without it, or with -: standard output.
    format_
        csv: for a spreadsheet, the columns of calls --format csv. jsonl: one whole record a line. parquet: those
        columns with types (needs asterisk-sip[parquet]).
    config
        The configuration file; it says where the store is.
    store
        The store itself, instead of a configuration. Without either: asterisk-sip.db in this folder.
    since
        Calls that ended since then: 30m, 1h, 2d ago, or a time such as 2026-11-05T14:00 (local, unless it ends in Z).
    until
        Calls that ended before then, given in the same ways.
    code
        The SIP status that decided the call, such as 503.
    class_
        The class of that status: 4 or 4xx.
    trunk
        A trunk or endpoint that any attempt of the call went to; * stands for any text.
    outcome
        How the call ended.
    number
        Any part of the caller's number or of the dialled one.
    pbx
        Only those of one PBX.
    fault
        Whose side the failure was on.
    country
        The country of the dialled number: DE, 49 or +49.
    """
    from asterisk_sip.render_export import written
    from asterisk_sip.render_plain import counted

    asked = (since, until, code, class_, trunk, outcome, number, pbx)
    query = call_query(*asked, fault=fault, country=country)
    place = store_place(config, store)
    file = None if out == STDOUT else out
    with written(file, format_) as write:
        count = asyncio.run(_copied(place, query, write))
    sys.stderr.write(f"{counted(count, 'call')}{'' if file is None else f' in {file}'}\n")


async def _copied(place: StorePlace, query: CallQuery, write: Write) -> int:
    """Write every call that was recorded when this began; return how many."""
    store = await opened(place)
    count, position, told_at = 0, 0, time.monotonic()
    try:
        end = await store.last_position()
        while rows := [row for row in await store.after(position, AT_ONCE, query) if row[0] <= end]:
            position = rows[-1][0]
            write([record for _, record in rows])
            count += len(rows)
            if time.monotonic() - told_at >= TELL_EVERY_S:
                told_at = time.monotonic()
                sys.stderr.write(f"{count:,} calls, {100 * position // max(end, 1)} %\n")
    finally:
        await store.close()
    return count
