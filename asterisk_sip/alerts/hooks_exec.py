"""Notices to a program, as JSON on its standard input: no shell, a bare environment, and it never outlives its time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass

from asterisk_sip.errors import PermanentSinkError, TransientSinkError
from asterisk_sip.sinks.base import Delivery, Kind

NEVER = 65
"""The exit code of a program that will never take this notice: EX_DATAERR of sysexits.h."""
_OUTPUT_BYTES = 1_000
_LOOK_EVERY_S = 0.02
_LAST_WORDS_S = 0.2  # a child that it left behind may hold its output for ever
_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}


@dataclass(frozen=True, slots=True)
class ExecSettings:
    """Which program, with its arguments, and how long it may take. ``pass_env``: variables of ours that it is given."""

    argv: tuple[str, ...]
    timeout_s: float = 10.0
    pass_env: tuple[str, ...] = ()


class ExecTarget:
    """Runs the program once for each notice. It has taken the notice when it ends with exit code 0."""

    wants: frozenset[Kind] = frozenset({"notice"})
    at_most = 1

    def __init__(self, settings: ExecSettings) -> None:
        self._settings = settings
        self._name = settings.argv[0]

    async def open(self) -> None:
        """There is nothing to open."""

    async def write(self, deliveries: Sequence[Delivery]) -> None:
        """Run it. Raises PermanentSinkError when it ends with 65, TransientSinkError for every other failure."""
        for delivery in deliveries:
            await self._run(delivery.text)

    async def close(self) -> None:
        """There is nothing to close."""

    async def _run(self, text: str) -> None:
        settings = self._settings
        passed = {name: os.environ[name] for name in settings.pass_env if name in os.environ}
        try:
            process = await asyncio.create_subprocess_exec(
                *settings.argv,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env=_ENVIRONMENT | passed,
                cwd="/",
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise TransientSinkError(f"{self._name}: {reason}") from error
        said = bytearray()
        try:
            async with asyncio.timeout(settings.timeout_s):
                await _talk(process, text.encode(), said)
        except TimeoutError as error:
            raise TransientSinkError(f"{self._name}: did not end within {settings.timeout_s:g} s") from error
        finally:
            await _end(process)
        self._judge(process.returncode, said)

    def _judge(self, code: int | None, said: bytearray) -> None:
        if code == 0:
            return
        ended = f"was ended by signal {-code}" if code is not None and code < 0 else f"ended with exit code {code}"
        last = said.decode("utf-8", "replace").strip().splitlines()[-1:]
        reason = f"{self._name}: {': '.join([ended, *last])}"
        raise PermanentSinkError(reason) if code == NEVER else TransientSinkError(reason)


async def _talk(process: asyncio.subprocess.Process, text: bytes, said: bytearray) -> None:
    """Write the notice, keep the beginning of what the program says, and wait for its end."""
    stdin, stdout = process.stdin, process.stdout
    if stdin is None or stdout is None:
        return

    async def tell() -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it need not read
            stdin.write(text)
            await stdin.drain()
        stdin.close()

    async def hear() -> None:
        while chunk := await stdout.read(4_096):
            said.extend(chunk[: max(0, _OUTPUT_BYTES - len(said))])

    told, heard = asyncio.create_task(tell()), asyncio.create_task(hear())
    try:
        while process.returncode is None:  # noqa: ASYNC110  until 3.13, wait() also waits for who holds the pipes
            await asyncio.sleep(_LOOK_EVERY_S)
        await asyncio.wait([heard], timeout=_LAST_WORDS_S)
    finally:
        told.cancel()
        heard.cancel()
        await asyncio.gather(told, heard, return_exceptions=True)


async def _end(process: asyncio.subprocess.Process) -> None:
    """End the program and everything it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
