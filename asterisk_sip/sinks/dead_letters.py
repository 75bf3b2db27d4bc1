"""What a sink will never take: one file for each sink, a JSON line for each, for a person to look at and send again."""

from __future__ import annotations

import asyncio
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from asterisk_sip.calls.model import isoformat
from asterisk_sip.errors import TransientSinkError
from asterisk_sip.sinks.base import Delivery
from asterisk_sip.sinks.whole_lines import append

_SUFFIXES = {".jsonl", ".taken", ".sending"}
"""Put aside, and on the way of being sent again."""


def files_below(folder: Path) -> list[Path]:
    """Return every file of dead letters: of sinks, and in folders below of others."""
    return sorted(path for path in folder.rglob("*") if path.suffix in _SUFFIXES and path.is_file())


class DeadLetters:
    """Keeps them in ``folder``, as ``SINK.jsonl``: time, sink, reason, kind, id and the record itself.

    What is no JSON at all is kept as text.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def place(self) -> str:
        """Where they are, for an operator."""
        return str(self._folder)

    def file(self, sink: str) -> Path:
        """Return where those of a sink are; it need not exist."""
        return self._folder / f"{sink}.jsonl"

    async def put(self, sink: str, delivery: Delivery, reason: str) -> None:
        """Keep one; it is on the disk when this returns. Raises TransientSinkError when the disk does not take it."""
        letter = {
            "at": isoformat(datetime.now(UTC)),
            "sink": sink,
            "reason": reason,
            "kind": delivery.kind,
            "id": delivery.id,
            "record": _plain(delivery.text),
        }
        line = json.dumps(letter, ensure_ascii=True) + "\n"
        await asyncio.to_thread(self._append, self.file(sink), line.encode())

    def _append(self, path: Path, line: bytes) -> None:
        try:
            self._folder.mkdir(mode=0o750, parents=True, exist_ok=True)
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
            try:
                append(fd, line, os.fstat(fd).st_size)
            finally:
                os.close(fd)
        except OSError as error:
            raise TransientSinkError(f"{path}: {error.strerror or error}") from error


def _plain(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
