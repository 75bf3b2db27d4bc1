"""SIGHUP: reads the configuration again, takes what can change while it runs, and says what cannot."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

import structlog
from pydantic import BaseModel

from asterisk_sip import daemon_notify
from asterisk_sip.config import Config
from asterisk_sip.daemon_log import THRESHOLD
from asterisk_sip.errors import ConfigError

log = structlog.get_logger(__name__)

Load = Callable[[], Config]
Prepare = Callable[[Config], Callable[[], None]]
"""Looks at a configuration and returns what takes it into use. Raises ConfigError, and then nothing is taken."""


def log_level(config: Config) -> Callable[[], None]:
    """Prepare to change the level of the log."""
    return lambda: THRESHOLD.set(config.log.level)


def together(*prepares: Prepare) -> Prepare:
    """Return what prepares several things for the same key."""

    def prepare(config: Config) -> Callable[[], None]:
        steps = [each(config) for each in prepares]

        def take() -> None:
            for step in steps:
                step()

        return take

    return prepare


class Reloading:
    """The configuration in use. ``takers`` are by the key, or table, that they take: ``trunk``, ``log.level``."""

    def __init__(self, config: Config, load: Load, takers: Mapping[str, Prepare]) -> None:
        self.config = config
        self._load = load
        self._takers = takers

    async def once(self) -> None:
        """Read the file again. One that is broken changes nothing; the log says what came of it."""
        daemon_notify.reloading()
        try:
            new = await asyncio.to_thread(self._load)
            keys = changed(self.config, new)
            taken = {key: taker for key in keys if (taker := self._taker(key)) is not None}
            steps = [self._takers[name](new) for name in dict.fromkeys(taken.values())]
        except ConfigError as error:
            faults = [f"{key}: {reason}" for key, reason in error.faults]
            told = {"source": error.source, "faults": faults}
            log.error("configuration not reloaded: the running one stays", **told)  # noqa: TRY400  it says all there is
        else:
            for step in steps:
                step()
            with THRESHOLD.open():
                self._tell(new, [*taken], [key for key in keys if key not in taken])
            self.config = _with(self.config, new, set(taken.values()))
        finally:
            daemon_notify.notify("READY=1")

    def _taker(self, key: str) -> str | None:
        return next((name for name in self._takers if key == name or key.startswith((f"{name}.", f"{name}["))), None)

    def _tell(self, new: Config, taken: list[str], waiting: list[str]) -> None:
        for warning in new.warnings:
            log.warning(warning)
        log.info("configuration reloaded", changed=taken or "nothing")
        if waiting:
            log.warning("these changes wait for a restart", keys=waiting)


def changed(old: Config, new: Config) -> list[str]:
    """Return the keys in which two configurations differ, as ``pbx[0].ami.port``; of lists of another length the list.

    Values are not told: some are secrets.
    """
    return [key for key in _differences("", old, new) if key != "warnings"]


def _differences(path: str, old: object, new: object) -> Iterator[str]:
    if isinstance(old, BaseModel) and type(old) is type(new):
        for name in type(old).model_fields:
            yield from _differences(f"{path}.{name}".lstrip("."), getattr(old, name), getattr(new, name))
    elif isinstance(old, tuple) and isinstance(new, tuple) and len(old) == len(new):
        for number, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from _differences(f"{path}[{number}]", one, other)
    elif old != new:
        yield path


def _with(old: Config, new: Config, names: set[str]) -> Config:
    """Return the old configuration with some keys, or tables, of the new one."""
    values: dict[str, Any] = {}
    for name in names:
        table, _, key = name.partition(".")
        before, after = values.get(table, getattr(old, table)), getattr(new, table)
        values[table] = before.model_copy(update={key: getattr(after, key)}) if key else after
    return old.model_copy(update=values)


@contextlib.asynccontextmanager
async def reloaded(config: Config, load: Load | None, takers: Mapping[str, Prepare]) -> AsyncIterator[None]:
    """Reload at each SIGHUP while the body runs. Without ``load`` the signal ends the program, as ever."""
    if load is None:
        yield
        return
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, asked.set)
    task = asyncio.create_task(_for_ever(Reloading(config, load, takers), asked))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        loop.remove_signal_handler(signal.SIGHUP)


async def _for_ever(reloading: Reloading, asked: asyncio.Event) -> None:
    while True:
        await asked.wait()
        asked.clear()
        try:
            await reloading.once()
        except Exception:  # whatever it is, the running configuration stays
            log.exception("configuration not reloaded: the running one stays")
