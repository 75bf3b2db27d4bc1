"""Records as CSV, JSON lines or Parquet: on standard output, or as a file that is there only when it is whole."""

from __future__ import annotations

import contextlib
import csv
import io
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from asterisk_sip.calls.model import CallRecord
from asterisk_sip.errors import AsteriskSipError
from asterisk_sip.render_plain import CSV_COLUMNS, cell, csv_row, json_line

Write = Callable[[Sequence[CallRecord]], None]

_WHOLE_NUMBERS = frozenset({"duration_ms", "sip_code", "sip_class", "q850_cause", "attempts"})
_TIMES = frozenset({"started_at", "ended_at"})
_ROWS_IN_A_GROUP = 20_000  # of Parquet: so many are held in memory


@contextlib.contextmanager
def written(path: Path | None, format_: str) -> Iterator[Write]:
    """Give what writes records to a file; it has its name when all of them are in it, and is gone when they are not.

    Without a path, what writes them to standard output. Raises AsteriskSipError when the file cannot be written, or the
    format needs a package that is not there.
    """
    if path is None:
        with _FORMATS[format_](sys.stdout.buffer) as write:
            yield write
        sys.stdout.buffer.flush()
        return
    if path.exists() and not path.is_file():
        raise AsteriskSipError(f"{path} is no file; name one that may be replaced")
    part = path.with_name(f".{path.name}.part")
    try:
        with contextlib.ExitStack() as stack:
            stack.callback(part.unlink, missing_ok=True)
            file = stack.enter_context(open(part, "wb", opener=_for_its_owner))  # Path.open takes none
            with _FORMATS[format_](file) as write:
                yield write
            file.flush()
            os.fsync(file.fileno())
            part.replace(path)
    except OSError as error:
        raise AsteriskSipError(f"{path}: {error.strerror or error}") from error


def _for_its_owner(path: str, flags: int) -> int:
    """Open so that others cannot read who called whom."""
    return os.open(path, flags, 0o640)


@contextlib.contextmanager
def _csv(file: IO[bytes]) -> Iterator[Write]:
    text = io.TextIOWrapper(file, "utf-8", "replace", newline="", write_through=True)
    table = csv.writer(text)
    table.writerow(CSV_COLUMNS)

    def write(records: Sequence[CallRecord]) -> None:
        table.writerows([cell(value) for value in csv_row(record)] for record in records)

    try:
        yield write
    finally:
        text.detach()


@contextlib.contextmanager
def _jsonl(file: IO[bytes]) -> Iterator[Write]:
    def write(records: Sequence[CallRecord]) -> None:
        file.write("".join(f"{json_line(record)}\n" for record in records).encode())

    yield write


@contextlib.contextmanager
def _parquet(file: IO[bytes]) -> Iterator[Write]:
    try:
        import pyarrow as pa  # noqa: PLC0415  # an extra, and large
        from pyarrow.parquet import ParquetWriter  # noqa: PLC0415  an extra
    except ImportError as error:
        raise AsteriskSipError("parquet needs a package: pip install 'asterisk-sip[parquet]'") from error
    schema = pa.schema([(name, _arrow_type(pa, name)) for name in CSV_COLUMNS])
    waiting: list[tuple[Any, ...]] = []
    with ParquetWriter(file, schema, compression="zstd") as table:

        def flush() -> None:
            columns = zip(*waiting, strict=True) if waiting else ([] for _ in CSV_COLUMNS)
            table.write_table(pa.table(list(map(list, columns)), schema=schema))
            waiting.clear()

        def write(records: Sequence[CallRecord]) -> None:
            waiting.extend(_values(record) for record in records)
            if len(waiting) >= _ROWS_IN_A_GROUP:
                flush()

        yield write
        flush()


def _arrow_type(pa: Any, name: str) -> Any:
    if name in _TIMES:
        return pa.timestamp("us", tz="UTC")
    if name == "partial":
        return pa.bool_()
    return pa.int64() if name in _WHOLE_NUMBERS else pa.string()


def _values(record: CallRecord) -> tuple[Any, ...]:
    """Return the columns of a record as they are, not as text: no apostrophes, times as times."""
    exact = {"started_at": record.started_at, "ended_at": record.ended_at, "partial": record.partial}
    return tuple(
        exact[name] if name in exact else value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
        for name, value in zip(CSV_COLUMNS, csv_row(record), strict=True)
    )


_FORMATS: dict[str, Callable[[IO[bytes]], contextlib.AbstractContextManager[Write]]] = {
    "csv": _csv,
    "jsonl": _jsonl,
    "parquet": _parquet,
}
