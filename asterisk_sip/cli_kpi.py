"""The verb `kpi`: the numbers of a time, by trunk or otherwise."""

from __future__ import annotations

import asyncio
import re
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from asterisk_sip.cli_store import MOST, ConfigPath, StorePath, moment, opened, store_place, within
from asterisk_sip.errors import CommandError

if TYPE_CHECKING:
    from asterisk_sip.stores.numbers import Numbers, NumbersQuery
    from asterisk_sip.stores.place import StorePlace

By = Literal["pbx", "trunk", "direction", "code", "class", "endpoint", "country", "prefix"]

_UNITS_S = {"m": 60, "h": 3_600, "d": 86_400}


def kpi(
    *,
    config: ConfigPath = None,
    store: StorePath = None,
    since: str = "24h",
    until: str | None = None,
    by: Annotated[tuple[By, ...], Parameter(negative="", show_default=" ".join)] = ("trunk",),
    total: Annotated[bool, Parameter(negative="")] = False,
    step: str | None = None,
    pbx: str | None = None,
    trunk: str | None = None,
    least: Annotated[int, Parameter(name="--min")] = 30,
    format_: Annotated[Literal["table", "json", "csv"], Parameter(name="--format")] = "table",
) -> None:
    """Show ASR, NER, SER, SEER, ISA, rescue rate, delays and what failures are made of.

    Parameters
    ----------
    config
        The configuration file; it says where the store is.
    store
        The store itself, instead of a configuration. Without either: asterisk-sip.db in this folder.
    since
        Calls that ended since then: 30m, 1h, 2d ago, or a time such as 2026-11-05T14:00.
    until
        Calls that ended before then; now, if it is not given.
    by
        What to tell apart: pbx, trunk, direction, SIP code, class of the code; endpoint, country or first digits of the
        number dialled, where all calls are kept. Give it again for more than one.
    total
        Tell nothing apart, whatever --by says.
    step
        Show each such time apart: 15m, 1h, 1d.
    pbx
        Only those of one PBX.
    trunk
        Only those of one trunk; * stands for any text.
    least
        A ratio of fewer than so many attempts is not shown: it says nothing.
    format_
        table: for a person. json: one group a line. csv: for a spreadsheet.
    """
    from asterisk_sip import render_kpi
    from asterisk_sip.render_gaps import told_completeness
    from asterisk_sip.stores.numbers import NumbersQuery

    length, least = _step(step), within("--min", least, 1, MOST)
    begin, end = moment("--since", since) or datetime.now(UTC), moment("--until", until) or datetime.now(UTC)
    if length is not None:
        begin -= (begin - datetime.min.replace(tzinfo=UTC)) % length
    query = NumbersQuery(begin, end, () if total else by, length, pbx, trunk, least)
    found = asyncio.run(_numbers(store_place(config, store), query))
    if format_ == "json":
        sys.stdout.write(render_kpi.json_lines(found.groups, query))
    elif format_ == "csv":
        render_kpi.csv_lines(found.groups, query, sys.stdout)
    else:
        render_kpi.print_numbers(found, query)
        return
    for line in told_completeness(found.gaps, begin, end):
        sys.stderr.write(f"{line}; see: asterisk-sip gaps\n")


async def _numbers(place: StorePlace, query: NumbersQuery) -> Numbers:
    from asterisk_sip.stores.numbers import numbers

    store = await opened(place)
    try:
        return await numbers(store, query)
    except ValueError as error:
        raise CommandError(str(error)) from error
    finally:
        await store.close()


def _step(text: str | None) -> timedelta | None:
    if text is None:
        return None
    match = re.fullmatch(r"([1-9]\d{0,4})([mhd])", text)
    if match is None:
        raise CommandError(f"--step {text!r} is no length of time; give 15m, 1h or 1d")
    return timedelta(seconds=int(match[1]) * _UNITS_S[match[2]])
