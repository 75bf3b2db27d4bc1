"""The verb `gaps`: when a PBX was not heard, and why."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from asterisk_sip.cli_store import ConfigPath, StorePath, moment, opened, store_place

if TYPE_CHECKING:
    from asterisk_sip.stores.base import Gap
    from asterisk_sip.stores.place import StorePlace


def gaps(
    *,
    config: ConfigPath = None,
    store: StorePath = None,
    since: str = "24h",
    until: str | None = None,
    pbx: str | None = None,
    format_: Annotated[Literal["table", "json"], Parameter(name="--format")] = "table",
) -> None:
    """Show when a PBX was not heard, why, and how complete the records of that time are.

    Parameters
    ----------
    config
        The configuration file; it says where the store is.
    store
        The store itself, instead of a configuration. Without either: asterisk-sip.db in this folder.
    since
        Gaps that last until then or later: 30m, 1h, 2d ago, or a time such as 2026-11-05T14:00.
    until
        Gaps that began before then; now, if it is not given.
    pbx
        Only those of one PBX.
    format_
        table: for a person. json: one gap a line.
    """
    from asterisk_sip import render_gaps
    from asterisk_sip.stores.base import gap_json

    begin = moment("--since", since) or datetime.now(UTC)
    end = moment("--until", until) or datetime.now(UTC)
    found = asyncio.run(_gaps(store_place(config, store), begin, end, pbx))
    if format_ == "json":
        sys.stdout.write("".join(json.dumps(gap_json(gap)) + "\n" for gap in found))
    else:
        render_gaps.print_gaps(found, begin, end)


async def _gaps(place: StorePlace, since: datetime, until: datetime, pbx: str | None) -> list[Gap]:
    store = await opened(place)
    try:
        return await store.gaps(since, until, pbx)
    finally:
        await store.close()
