"""The verbs that read: calls, tail, explain. Each loads only what it needs: `explain` answers at once."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from asterisk_sip.cli_store import MOST, ConfigPath, StorePath, call_query, config_path, opened, store_place, within
from asterisk_sip.errors import AsteriskSipError

if TYPE_CHECKING:
    from asterisk_sip.calls.model import CallRecord
    from asterisk_sip.stores.base import CallQuery, Gap, Store
    from asterisk_sip.stores.place import StorePlace

POLL_S = 0.5

_AT_ONCE = 500


def calls(
    *,
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
    limit: int = 50,
    format_: Annotated[Literal["table", "json", "csv"], Parameter(name="--format")] = "table",
) -> None:
    """Show recorded calls, the newest first.

    Parameters
    ----------
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
    limit
        At most so many calls.
    format_
        table: for a person. json: one whole record a line. csv: for a spreadsheet.
    """
    asked = (since, until, code, class_, trunk, outcome, number, pbx)
    query = call_query(*asked, limit=limit, fault=fault, country=country)
    place = store_place(config, store)
    records, gaps = asyncio.run(_calls(place, query))
    _print_calls(records, format_)
    if not records:
        sys.stderr.write(_nothing(place, query))
    if gaps and format_ == "table":
        _print_completeness(gaps, records, query)


def tail(
    *,
    config: ConfigPath = None,
    store: StorePath = None,
    lines: Annotated[int, Parameter(name=["--lines", "-n"])] = 10,
    follow: bool = True,
    format_: Annotated[Literal["table", "json"], Parameter(name="--format")] = "table",
) -> None:
    """Show the newest calls, then each call as it is recorded. Ctrl-C ends it.

    Parameters
    ----------
    config
        The configuration file; it says where the store is.
    store
        The store itself, instead of a configuration. Without either: asterisk-sip.db in this folder.
    lines
        How many of the calls already there to show first.
    follow
        Wait for more, also when the store does not exist yet.
    format_
        table: for a person. json: one whole record a line.
    """
    place = store_place(config, store)
    within("--lines", lines, 0, MOST)
    try:
        asyncio.run(_tail(place, lines, follow, format_))
    except KeyboardInterrupt:
        return


def explain(
    *query: str,
    lang: str = "en",
    all_: Annotated[bool, Parameter(name="--all", negative="")] = False,
    search: Annotated[bool, Parameter(negative="")] = False,
    trunk: str | None = None,
    config: Annotated[Path | None, Parameter(name=["--config", "-c"])] = None,
    format_: Annotated[Literal["text", "json"], Parameter(name="--format")] = "text",
) -> None:
    """Explain a SIP code, a status line, a Q.850 cause or an Asterisk cause name: what it means and what to do.

    Parameters
    ----------
    query
        For example: 503, 603+, SIP/2.0 486 Busy Here, busy here, q850:34, AST_CAUSE_USER_BUSY.
    lang
        The language of the answer.
    all_
        Explain every SIP code.
    search
        List the codes and causes in whose texts all the words occur.
    trunk
        Show the overrides of the configuration that may change what a code means on this trunk.
    config
        The configuration that holds them; else the environment's ASTERISK_SIP_CONFIG, or asterisk-sip.toml here.
    format_
        text: for a person. json: one explanation a line.
    """
    from asterisk_sip import render_plain
    from asterisk_sip.catalog import explain as catalog

    words = " ".join(query)
    if not (words or all_):
        raise AsteriskSipError(f"name what to explain: {catalog.ACCEPTED}; or --all")
    try:
        if all_:
            entries = catalog.explain_all(lang)
        else:
            entries = catalog.search(words, lang) if search else [catalog.explain(words, lang)]
    except ValueError as error:
        raise AsteriskSipError(str(error)) from error
    if not entries:
        raise AsteriskSipError(f"no code and no cause has {words!r} in its texts; try fewer words, or --all")
    if trunk is not None:
        overrides = _overrides(config)
        for entry in entries:
            entry["overrides"] = [rule for rule in overrides if _may_hold(rule, trunk, entry.get("code"))]
    if format_ == "json":
        sys.stdout.write("".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries))
    else:
        width = min(render_plain.WIDTH, shutil.get_terminal_size((render_plain.WIDTH, 0)).columns)
        tell = render_plain.explained if len(entries) == 1 else render_plain.found
        sys.stdout.write(tell(entries, width))


async def _calls(place: StorePlace, query: CallQuery) -> tuple[list[CallRecord], list[Gap]]:
    store = await opened(place)
    try:
        records = await store.calls(query)
        since, until = _window(records, query)
        return records, await store.gaps(since, until, query.pbx)
    finally:
        await store.close()


def _window(records: list[CallRecord], query: CallQuery) -> tuple[datetime, datetime]:
    """Return the time a listing is about: as asked for, else from the oldest call shown until now."""
    until = query.until or datetime.now(UTC)
    ended = [record.ended_at for record in records if record.ended_at is not None]
    return query.since or min(ended, default=until), until


def _print_completeness(gaps: list[Gap], records: list[CallRecord], query: CallQuery) -> None:
    from asterisk_sip import render_gaps

    for line in render_gaps.told_completeness(gaps, *_window(records, query)):
        sys.stderr.write(f"{line}; see: asterisk-sip gaps\n")


async def _tail(place: StorePlace, lines: int, follow: bool, format_: str) -> None:
    from asterisk_sip.stores.base import CallQuery

    store = await (_waited_for(place) if follow else opened(place))
    try:
        position = await store.last_position()
        newest = await store.calls(CallQuery(limit=lines)) if lines else []
        shown = {record.id for record in newest}  # one written since the position was read comes again below
        _print_live(newest[::-1], format_)
        while follow:
            news = await store.after(position, _AT_ONCE)
            _print_live([record for _, record in news if record.id not in shown], format_)
            if news:
                position = news[-1][0]
            if len(news) < _AT_ONCE:
                await asyncio.sleep(POLL_S)
    finally:
        await store.close()


async def _waited_for(place: StorePlace) -> Store:
    from asterisk_sip.stores.base import MissingStoreError

    told = False
    while True:
        try:
            return await opened(place)
        except MissingStoreError:
            if not told:
                sys.stderr.write(f"waiting for {place}: nothing has been written there yet\n")
                sys.stderr.flush()
            told = True
            await asyncio.sleep(POLL_S)


def _print_calls(records: list[CallRecord], format_: str) -> None:
    from asterisk_sip import render_plain

    if format_ == "json":
        sys.stdout.write("".join(render_plain.json_line(record) + "\n" for record in records))
    elif format_ == "csv":
        render_plain.csv_lines(records, sys.stdout)
    elif records:
        from asterisk_sip import render

        render.print_calls(records)


def _print_live(records: list[CallRecord], format_: str) -> None:
    if format_ == "json":
        _print_calls(records, "json")
    elif records:
        from asterisk_sip import render

        render.print_live(records)
    sys.stdout.flush()


def _nothing(place: StorePlace, query: CallQuery) -> str:
    from asterisk_sip.stores.base import CallQuery

    if query == CallQuery(limit=query.limit):
        return f"{place}: no call has failed since it was begun. To see whether the PBX is heard: asterisk-sip check\n"
    return f"{place}: no call matches. Leave out a filter, or look further back with --since 7d.\n"


def _overrides(config: Path | None) -> list[dict[str, Any]]:
    from asterisk_sip import config as configuration

    return [rule.model_dump() for rule in configuration.load(config_path(config), secrets=False).override]


def _may_hold(rule: dict[str, Any], trunk: str, code: int | None) -> bool:
    return (rule["trunk"] is None or fnmatchcase(trunk, rule["trunk"])) and rule["code"] in (None, code)
