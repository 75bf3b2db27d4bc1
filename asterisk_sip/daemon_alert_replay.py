"""Sends again what a target once would not take: the notices in its file of dead letters.

The file is moved aside before anything is sent, for a daemon may put more into it meanwhile. What is not taken goes
back into it; what was cut off in between is found and sent by the next replay, under the same ids.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path

from asterisk_sip.alerts.model import Change
from asterisk_sip.config import Config
from asterisk_sip.daemon_alert_targets import dead_letters, targets
from asterisk_sip.errors import AsteriskSipError, PermanentSinkError, SinkError, TransientSinkError
from asterisk_sip.sinks.base import Delivery, Sink


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of a replay: how many notices were taken, how many are in the file still, and why."""

    sent: int
    left: int
    reason: str | None


async def replay_dead(config: Config, name: str) -> Replayed:
    """Send the dead letters of a target. Raises AsteriskSipError when there is no such target, or no reading its file.

    It goes on behind a notice that is refused, and ends when the target takes nothing at the moment.
    """
    every = {target_name: target for target_name, _, _, target in targets(config, lambda _name: _nothing_fires)}
    if name not in every:
        raise AsteriskSipError(f"no target is called {name!r}; there are: {', '.join(every) or 'none'}")
    path = dead_letters(config).file(name)
    try:
        lines = await asyncio.to_thread(_take, path)
    except OSError as error:
        raise AsteriskSipError(f"{path}: {error.strerror or error}") from error
    left: list[str] = list(lines)
    reason = None
    try:
        if lines:
            reason = await _send(every[name], left, config.delivery.timeout_s)
    finally:
        await asyncio.to_thread(_give_back, path, left)
    return Replayed(len(lines) - len(left), len(left), reason)


async def _send(target: Sink, left: list[str], timeout_s: float) -> str | None:
    """Send lines and take away from ``left`` what was taken; return why something is left."""
    reason = None
    try:
        async with asyncio.timeout(timeout_s):
            await target.open()
        for line in list(left):
            try:
                letter = json.loads(line)
                delivery = Delivery(1, "notice", letter["id"], json.dumps(letter["record"]), repeated=True)
                async with asyncio.timeout(timeout_s):
                    await target.write([delivery])
            except (PermanentSinkError, KeyError, TypeError, ValueError) as error:
                reason = str(error) if isinstance(error, SinkError) else f"no notice of this version: {error!r}"
            else:
                left.remove(line)
    except TransientSinkError as error:
        reason = str(error)
    except TimeoutError:
        reason = f"nothing came back within {timeout_s:g} s"
    finally:
        await target.close()
    return reason


def _take(path: Path) -> list[str]:
    """Move the file aside and return its lines, and those of a replay that was cut off. Raises OSError."""
    aside, fresh = _aside(path), path.with_suffix(".taken")
    if path.exists() and not fresh.exists():
        path.rename(fresh)  # from here on, who puts more aside makes a new file
    text = "".join(part.read_text(encoding="utf-8") for part in (aside, fresh) if part.exists())
    if fresh.exists():
        aside.write_text(text, encoding="utf-8")
        fresh.unlink()
    return [line for line in text.splitlines() if line.strip() and not _is_erased(line)]


def _is_erased(line: str) -> bool:
    """Return whether a purge has been here, see `stores.erasure.without`."""
    return line.startswith('{"erased": true}')


def _give_back(path: Path, left: list[str]) -> None:
    if left:
        with path.open("a", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in left)
    _aside(path).unlink(missing_ok=True)


def _aside(path: Path) -> Path:
    return path.with_suffix(".sending")


async def _nothing_fires() -> list[Change]:
    return []
