"""The verb `alerts`: rules, what fired, what would have, a sample to every target, silence."""

from __future__ import annotations

import asyncio
import getpass
import json
import os
import re
import secrets
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

from cyclopts import App, Parameter

from asterisk_sip.cli_store import MOST, ConfigPath, config_path, moment, opened, within
from asterisk_sip.errors import AsteriskSipError, CommandError

if TYPE_CHECKING:
    from asterisk_sip.alerts.engine_past import Backtest
    from asterisk_sip.alerts.model import Rule
    from asterisk_sip.config import Config
    from asterisk_sip.stores.alert_book import AlertBook, Entry, Silence

Answer = TypeVar("Answer")
Format = Annotated[Literal["table", "json"], Parameter(name="--format")]

_UNITS_S = {"m": 60, "h": 3_600, "d": 86_400}
_LONGEST_S = 366 * 86_400
_LONGEST_LINE = 200

alerts = App(name="alerts", help="Show rules and what fired, try rules on the past, send samples, silence.")


@alerts.command(name="list")
def list_(*, config: ConfigPath = None, format_: Format = "table") -> None:
    """Show the rules of the configuration, what fires now, and what is silenced.

    Parameters
    ----------
    config
        The configuration file; asterisk-sip.toml in this folder, if it is not given.
    format_
        table: for a person. json: one rule a line.
    """
    from asterisk_sip import render_alerts
    from asterisk_sip.config_alerts import rules

    loaded = _loaded(config)
    firing, silences = asyncio.run(_now(loaded))
    states = [render_alerts.RuleState(rule, firing, silences) for rule in rules(loaded.alerts)]
    if format_ == "json":
        sys.stdout.write("".join(json.dumps(state.json()) + "\n" for state in states))
    else:
        render_alerts.print_rules(states)


@alerts.command
def history(
    *,
    config: ConfigPath = None,
    since: str = "7d",
    rule: str | None = None,
    limit: int = 100,
    format_: Format = "table",
) -> None:
    """Show what fired, the newest first: since when, until when, and who has taken it on.

    Parameters
    ----------
    config
        The configuration file; asterisk-sip.toml in this folder, if it is not given.
    since
        What fired since then: 30m, 1h, 2d ago, or a time such as 2026-11-05T14:00.
    rule
        Only of this rule.
    limit
        At most so many.
    format_
        table: for a person. json: one alert a line, whole.
    """
    from asterisk_sip import render_alerts
    from asterisk_sip.stores.alert_book import entry_json

    begin = moment("--since", since)
    within("--limit", limit, 1, MOST)
    rule = None if rule is None else _line("--rule", rule)

    async def read(book: AlertBook) -> list[Entry]:
        return await book.history(begin, rule, limit)

    found = asyncio.run(_with_book(_loaded(config), read))
    if format_ == "json":
        sys.stdout.write("".join(json.dumps(entry_json(entry)) + "\n" for entry in found))
    else:
        render_alerts.print_history(found)


@alerts.command
def backtest(
    name: str, *, config: ConfigPath = None, since: str = "30d", until: str | None = None, format_: Format = "table"
) -> None:
    """Show when a rule would have fired and cleared: the same engine over stored calls. Nothing is sent.

    Parameters
    ----------
    name
        The rule; also one that is not enabled.
    config
        The configuration file; asterisk-sip.toml in this folder, if it is not given.
    since
        From then on: 1h, 2d, 30d ago, or a time such as 2026-11-05T14:00.
    until
        Until then; now, if it is not given.
    format_
        table: for a person. json: one alert a line.
    """
    from asterisk_sip import render_alerts
    from asterisk_sip.alerts.past import backtest as judged
    from asterisk_sip.stores.place import StorePlace

    loaded = _loaded(config)
    rule = _rule(loaded, name)
    now = datetime.now(UTC)
    begin, end = moment("--since", since) or now, moment("--until", until) or now
    place = StorePlace(loaded.store.path, loaded.store.url, loaded.store.plain_password)

    async def judge() -> Backtest:
        store = await opened(place)
        try:
            return await judged(rule, store, begin, end, tuple(pbx.name for pbx in loaded.pbx))
        finally:
            await store.close()

    found = asyncio.run(judge())
    if format_ == "json":
        sys.stdout.write(render_alerts.backtest_lines(found))
    else:
        render_alerts.print_backtest(found)


@alerts.command(name="test")
def sample(name: str, *, config: ConfigPath = None) -> int:
    """Send a sample, marked as one, to every target of a rule: at once, whatever is silenced.

    Parameters
    ----------
    name
        The rule.
    config
        The configuration file; asterisk-sip.toml in this folder, if it is not given.
    """
    from asterisk_sip.daemon_alert_sample import send_sample

    loaded = _loaded(config, secrets=True)
    results = asyncio.run(send_sample(loaded, _rule(loaded, name), datetime.now(UTC)))
    if not results:
        raise AsteriskSipError(f"alert {name!r} has no target: add [[alert_target.webhook]] or another; docs/alerts.md")
    for target, trouble in results:
        sys.stdout.write(f"{target}: {'delivered' if trouble is None else trouble}\n")
    return 1 if any(trouble for _, trouble in results) else 0


@alerts.command
def silence(
    name: str, *, for_: Annotated[str, Parameter(name="--for")], why: str, config: ConfigPath = None, by: str = ""
) -> None:
    """Let a rule be recorded only, and not told, for a time. What still fires afterwards is told then.

    Parameters
    ----------
    name
        The rule; * stands for any text.
    for_
        How long: 30m, 2h, 1d.
    why
        The reason, for those who wonder why nothing was told.
    config
        The configuration file; asterisk-sip.toml in this folder, if it is not given.
    by
        Who does it; the user of this terminal, if it is not given.
    """
    from fnmatch import fnmatchcase

    from asterisk_sip.stores.alert_book import Silence

    loaded = _loaded(config)
    if not any(fnmatchcase(alert.name, name) for alert in loaded.alerts):
        raise AsteriskSipError(f"no alert is called {name!r}; there are: {_names(loaded)}")
    now = datetime.now(UTC)
    until = now + timedelta(seconds=_length("--for", for_))
    entry = Silence(secrets.token_hex(8), name, now, until, _line("--why", why), _line("--by", by or _me()))
    asyncio.run(_with_book(loaded, lambda book: book.silence(entry), write=True))
    sys.stdout.write(f"{name} is silent until {until.astimezone():%d %b %H:%M}.\n")


@alerts.command
def unsilence(name: str, *, config: ConfigPath = None) -> None:
    """End the silence of a rule.

    Parameters
    ----------
    name
        As it was given to silence.
    config
        The configuration file; asterisk-sip.toml in this folder, if it is not given.
    """
    now, name = datetime.now(UTC), _line("NAME", name)
    if not asyncio.run(_with_book(_loaded(config), lambda book: book.unsilence(name, now), write=True)):
        raise AsteriskSipError(f"nothing called {name!r} is silent now")
    sys.stdout.write(f"{name} is told again.\n")


@alerts.command
def acknowledge(alert: str, *, why: str | None = None, config: ConfigPath = None, by: str = "") -> None:
    """Note that somebody has taken an alert on.

    Parameters
    ----------
    alert
        Its id, as history shows it; the first digits will do.
    why
        What is being done.
    config
        The configuration file; asterisk-sip.toml in this folder, if it is not given.
    by
        Who has; the user of this terminal, if it is not given.
    """
    who, note = _line("--by", by or _me()), None if why is None else _line("--why", why)
    alert = _line("ALERT", alert)

    async def note_it(book: AlertBook) -> str | None:
        entry = await book.alert(alert)
        if entry is not None:
            await book.acknowledge(entry.id, who, note, datetime.now(UTC))
        return None if entry is None else entry.rule

    rule = asyncio.run(_with_book(_loaded(config), note_it, write=True))
    if rule is None:
        hint = "see: asterisk-sip alerts history"
        raise AsteriskSipError(f"no alert has the id {alert!r}, or more than one begins so; {hint}")
    sys.stdout.write(f"{rule}: taken on by {who}.\n")


@alerts.command(name="replay-dead")
def replay_dead(target: str, *, config: ConfigPath = None) -> int:
    """Send again what a target once would not take: the notices that were put aside for it.

    Parameters
    ----------
    target
        The name of the target.
    config
        The configuration file; asterisk-sip.toml in this folder, if it is not given.
    """
    from asterisk_sip.daemon_alert_replay import replay_dead as replayed

    found = asyncio.run(replayed(_loaded(config, secrets=True), target))
    sys.stdout.write(f"{target}: {found.sent} sent, {found.left} put aside still\n")
    if found.reason is not None:
        sys.stdout.write(f"{found.reason}\n")
    return 1 if found.left else 0


def _loaded(config: Path | None, *, secrets: bool = False) -> Config:
    """Return the configuration: the one named, else the environment's, else that of this folder."""
    from asterisk_sip import config as configuration

    return configuration.load(config_path(config), secrets=secrets or ("store",))


def _rule(config: Config, name: str) -> Rule:
    for alert in config.alerts:
        if alert.name == name:
            return alert.rule()
    raise AsteriskSipError(f"no alert is called {name!r}; there are: {_names(config)}")


def _me() -> str:
    """Return who works at this terminal; the user of a container may have no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def _names(config: Config) -> str:
    return ", ".join(alert.name for alert in config.alerts) or "none: see docs/alerts.md"


async def _now(config: Config) -> tuple[list[Entry], list[Silence]]:
    """Return what fires and what is silenced; nothing when no daemon has run yet."""
    from asterisk_sip.stores.base import MissingStoreError

    try:
        async with _book(config, write=False) as book:
            return await book.firing(), await book.silences(datetime.now(UTC))
    except MissingStoreError:
        return [], []


async def _with_book(config: Config, work: Callable[[AlertBook], Awaitable[Answer]], *, write: bool = False) -> Answer:
    async with _book(config, write=write) as book:
        return await work(book)


@asynccontextmanager
async def _book(config: Config, *, write: bool) -> AsyncIterator[AlertBook]:
    """Open the book. It is in the local file, wherever else records go: who makes none there writes to none."""
    from asterisk_sip.stores.alert_book import AlertBook
    from asterisk_sip.stores.place import StorePlace
    from asterisk_sip.stores.sqlite import SqliteStore

    await (await opened(StorePlace(config.store.path))).close()  # nothing is made where nothing is
    store = SqliteStore(config.store.path, readonly=not write)
    await store.open()
    try:
        yield AlertBook(store)
    finally:
        await store.close()


def _length(option: str, text: str) -> int:
    match = re.fullmatch(r"([1-9]\d{0,4})([mhd])", text)
    seconds = int(match[1]) * _UNITS_S[match[2]] if match else 0
    if not 0 < seconds <= _LONGEST_S:
        raise CommandError(f"{option} {text!r} is no length of time; give 30m, 2h or 1d")
    return seconds


def _line(option: str, text: str) -> str:
    if not text.strip() or len(text) > _LONGEST_LINE or not text.isprintable():
        raise CommandError(f"{option} must be one line of text, {_LONGEST_LINE} characters at most")
    return text.strip()
