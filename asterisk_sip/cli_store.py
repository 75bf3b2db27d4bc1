"""What the verbs that read a store share: which store, from when, and its opening."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

from cyclopts import Parameter

from asterisk_sip.errors import AsteriskSipError, CommandError

if TYPE_CHECKING:
    from asterisk_sip.stores.base import CallQuery, Store
    from asterisk_sip.stores.place import StorePlace

Number = TypeVar("Number", int, float)

DEFAULT_STORE = Path("asterisk-sip.db")

MOST = 10_000_000
"""So many calls can be asked for at once."""

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}

ConfigPath = Annotated[Path | None, Parameter(name=["--config", "-c"])]
StorePath = Annotated[Path | None, Parameter(name=["--store"])]


def config_path(config: Path | None) -> Path:
    """Return where the configuration is: as named, else as the environment says, else in this folder."""
    return config or Path(os.environ.get("ASTERISK_SIP_CONFIG") or "asterisk-sip.toml")


def store_place(config: Path | None, store: Path | None) -> StorePlace:
    """Return where the store is: as named, else as the configuration says, else in this folder.

    The configuration is the one that is named, else that of the environment's ASTERISK_SIP_CONFIG.
    """
    from asterisk_sip.stores.place import StorePlace

    if store is not None or not (config or os.environ.get("ASTERISK_SIP_CONFIG")):
        return StorePlace(store or DEFAULT_STORE)
    from asterisk_sip import config as configuration

    told = configuration.load(config_path(config), secrets=("store",)).store
    return StorePlace(told.path, told.url, told.plain_password)


def moment(option: str, text: str | None) -> datetime | None:
    """Return the time meant: so long ago, or an ISO time, which is local unless it says otherwise."""
    if text is None:
        return None
    try:
        if match := re.fullmatch(r"(\d{1,6})([smhdw])", text):
            return datetime.now(UTC) - timedelta(seconds=int(match[1]) * _UNITS[match[2]])
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        hint = "give 30m, 1h, 2d, or a time such as 2026-11-05T14:00"
        raise CommandError(f"{option} {text!r} is no time; {hint}") from None


def call_query(  # noqa: PLR0917  # the options, in the order of the help
    since: str | None,
    until: str | None,
    code: int | None,
    class_: str | None,
    trunk: str | None,
    outcome: str | None,
    number: str | None,
    pbx: str | None,
    *,
    limit: int = 50,
    fault: str | None = None,
    country: str | None = None,
) -> CallQuery:
    """Return which calls are meant by the options of the verbs that list them. Raises CommandError."""
    from asterisk_sip.stores.base import CallQuery

    return CallQuery(
        since=moment("--since", since),
        until=moment("--until", until),
        code=None if code is None else within("--code", code, 100, 699),
        sip_class=_class(class_),
        trunk=trunk,
        outcome=outcome,
        number=None if number is None else re.sub(r"[\s()/-]", "", number),
        pbx=pbx,
        fault=fault,
        country=_country(country),
        limit=within("--limit", limit, 1, MOST),
    )


def within(option: str, value: Number, least: Number, most: Number) -> Number:
    """Return a number that an option may have. Raises CommandError."""
    if not least <= value <= most:  # nor is what is no number
        raise CommandError(f"{option} must be {least:,} to {most:,}, not {value:,}")
    return value


def folder_made(path: Path) -> None:
    """Make a folder, if it is not there. Raises AsteriskSipError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AsteriskSipError(f"{path}: {error.strerror or error}") from error


async def opened(place: StorePlace) -> Store:
    """Open a store for reading. Raises StoreError; MissingStoreError when there is none yet."""
    from asterisk_sip.stores.base import MissingStoreError

    store = place.store(readonly=True)
    try:
        await store.open()
    except MissingStoreError as error:
        await store.close()
        raise MissingStoreError(f"{error}; name the right one with --store or --config, or start the daemon") from error
    except BaseException:
        await store.close()
        raise
    return store


def _country(text: str | None) -> str | None:
    if text is None:
        return None
    from asterisk_sip.stores.countries import calling_code

    try:
        return calling_code(text)
    except ValueError as error:
        raise CommandError(f"--country {error}") from None


def _class(text: str | None) -> int | None:
    if text is None:
        return None
    match = re.fullmatch(r"([1-6])(?:xx)?", text.lower())
    if match is None:
        raise CommandError(f"--class {text!r} is no class of SIP status; give 1 to 6, or 1xx to 6xx")
    return int(match[1])
