"""The verb `purge`: everything that is stored of one telephone number, found and erased."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from asterisk_sip.cli_store import DEFAULT_STORE, ConfigPath, StorePath
from asterisk_sip.errors import AsteriskSipError, CommandError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asterisk_sip.config import Config
    from asterisk_sip.stores.erasure import Stored, Wanted
    from asterisk_sip.stores.place import StorePlace

LEAST_DIGITS = 6
AT_ONCE = 500


def purge(
    *,
    number: str,
    config: ConfigPath = None,
    store: StorePath = None,
    region: str | None = None,
    yes: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Erase every record in which a number occurs, in whatever spelling; without --yes only say what would be erased.

    Counts by the minute stay: no number is in them. Exit code 1: something could not be erased, run it again.

    Parameters
    ----------
    number
        The number: +49 30 123456, 0049..., 030... An outside-line prefix makes another number: ask for both.
    config
        The configuration: all its stores and its dead letters are looked through; its [privacy] says the home region.
    store
        The store itself, instead of a configuration. Without either: asterisk-sip.db in this folder.
    region
        Where numbers without a country code are at home (DE), if the configuration does not say.
    yes
        Erase.
    """
    from asterisk_sip.stores.place import StorePlace

    loaded = None
    if config is not None:
        from asterisk_sip import config as configuration

        loaded = configuration.load(config, secrets=("store", "privacy"))
    wanted = _wanted(number, region, loaded)
    places = [StorePlace(store or DEFAULT_STORE)]
    if store is None and loaded is not None:
        places = [StorePlace(loaded.store.path)]
        if loaded.store.url is not None:
            places.append(StorePlace(loaded.store.path, loaded.store.url, loaded.store.plain_password))
    whole = True
    for place in places:
        whole = asyncio.run(_stored(place, wanted, yes=yes)) and whole
    if loaded is not None:
        _dead_letters(loaded.delivery.dead_letters, wanted, yes=yes)
        _tell_what_is_not_covered(loaded)
    if not yes:
        _say("Nothing was changed. To erase it: the same command with --yes.")
    return 0 if whole else 1


def _wanted(number: str, region: str | None, config: Config | None) -> Wanted:
    """Return what to look for: the spellings of the number, and of its pseudonym if there is one."""
    from asterisk_sip.privacy import hiding
    from asterisk_sip.privacy_numbers import Plan
    from asterisk_sip.stores.erasure import Wanted

    digits = re.sub(r"[^0-9]", "", number)
    if len(digits) < LEAST_DIGITS or re.search(r"[^0-9+ ()./-]", number):
        raise CommandError(f"--number {number!r} must be a telephone number of {LEAST_DIGITS} digits or more")
    home = region or (config.privacy.region if config is not None else None)
    spellings = [digits]
    if home is None:
        _say("Without a home region (--region DE, or region in [privacy]) only this very spelling is found.")
    else:
        try:
            spellings = Plan(home).spellings(number.strip())
        except ValueError as error:
            raise CommandError(f"--region {error}") from error
    _say(f"Looking for {', '.join(spellings)}.")
    if config is not None and config.privacy.numbers == "masked":
        _say("Masked numbers look alike: records written with stars cannot be told apart, and are not found.")
    hide = hiding(config.privacy) if config is not None and config.privacy.numbers == "pseudonymised" else None
    return Wanted([*spellings, *(hide(spelled) for spelled in spellings if hide is not None)])


async def _stored(place: StorePlace, wanted: Wanted, *, yes: bool) -> bool:
    """Look through one store; return whether nothing is left in its files of what was to be erased."""
    from asterisk_sip.render_plain import counted
    from asterisk_sip.stores.base import MissingStoreError
    from asterisk_sip.stores.sqlite import SqliteStore
    from asterisk_sip.stores.sqlite_backup import copies

    store = place.store(readonly=not yes)
    whole, position, count = True, 0, 0
    try:
        if yes and place.url is None:
            await (visited := place.store(readonly=True)).open()  # nothing is to be made where nothing is
            await visited.close()
        await store.open()
        while calls := await store.texts(position, AT_ONCE):
            position = calls[-1].position
            found = list(_found(calls, wanted))
            count += len(found)
            if yes and found:
                await store.erase(found)
        _say(f"{place}: {counted(count, 'call')} {'erased' if yes else 'found'}.")
        if isinstance(store, SqliteStore):
            for copy in copies(store.path):
                _say(f"Not covered: {copy}, which was kept before an update: it holds what was there then; delete it.")
            rest = await store.pending(wanted, delete=yes)
            if rest.open_calls:
                _say(f"{place}: {counted(rest.open_calls, 'call')} in flight{'; run it again later' if yes else ''}.")
            if rest.deliveries:
                _say(f"{place}: {counted(rest.deliveries, 'record')} on the way to sinks{', erased' if yes else ''}.")
            if yes:
                whole = await store.settle("TRUNCATE")
                if not whole:
                    _say(f"{place}: somebody reads its write-ahead log, which still holds it; run it again.")
        elif yes and count:
            how = "their parts are merged (OPTIMIZE TABLE calls FINAL)" if place.clickhouse else "VACUUM FULL"
            _say(f"{place}: the server's files hold it until {how}, its own log and backups until they go.")
    except MissingStoreError as error:
        _say(f"{error}; nothing to erase there.")
    finally:
        await store.close()
    return whole


def _found(calls: list[Stored], wanted: Wanted) -> Iterator[Stored]:
    from asterisk_sip.calls.model import isoformat
    from asterisk_sip.stores.base import from_microseconds

    for call in calls:
        places = wanted.places(call.text)
        if places:
            _say(f"{call.id}  {isoformat(from_microseconds(call.at_us))}  {', '.join(places)}")
            yield call


def _dead_letters(folder: Path, wanted: Wanted, *, yes: bool) -> None:
    """Look through what no sink or target will take. An erased line is overwritten where it stands."""
    from asterisk_sip.render_plain import counted
    from asterisk_sip.sinks.dead_letters import files_below
    from asterisk_sip.stores.erasure import without

    for path in files_below(folder):
        count = 0
        try:
            with path.open("r+b" if yes else "rb") as file:
                at = 0
                while line := file.readline():
                    if wanted.places(line.decode("utf-8", "replace")):
                        count += 1
                        if yes:
                            file.seek(at)
                            file.write(without(line))
                    at += len(line)
                    file.seek(at)
        except OSError as error:
            raise AsteriskSipError(f"{path}: {error.strerror or error}") from error
        if count:
            _say(f"{path}: {counted(count, 'dead letter')} {'erased' if yes else 'found'}.")


def _tell_what_is_not_covered(config: Config) -> None:
    sinks = config.sink
    told = [f"the files of sink {sink.name!r}: {sink.path}*" for sink in sinks.jsonl]
    told += [f"what sink {sink.name!r} was sent" for sink in (*sinks.webhook, *sinks.nats, *sinks.plugin)]
    told += [f"what alert target {name!r} was told" for name in config.alert_target.names]
    if sinks.stdout is not None:
        told.append("what was printed for a log shipper")
    if config.journal is not None:
        from asterisk_sip.privacy import journal_key

        hidden = journal_key(config.journal, config.privacy) is not None
        how = "pseudonyms, as far as they were on" if hidden else "numbers as they are"
        told.append(f"the journal in {config.journal.folder} ({how})")
    for each in told:
        _say(f"Not covered: {each}.")
    _say("Not covered: Asterisk's own logs, CDR and CEL; backups.")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
