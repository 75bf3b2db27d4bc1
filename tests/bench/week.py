"""A week of a wholesaler's calls, and how a store is filled with it: some hours are written, their rows are copied.

What lies in the tables then is what the store would have written itself, times and ids included.
"""

from __future__ import annotations

import random
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache, partial
from pathlib import Path

from sqlalchemy import Table

from asterisk_sip.calls.model import Attempt, Caller, CallRecord, Fault, Outcome, SipStatus, call_id
from asterisk_sip.calls.refusal_record import worded
from asterisk_sip.catalog import disposition
from asterisk_sip.stores import rollups, schema
from tests.call_records import BEGAN, OK, attempt, failed

ATTEMPTS = 5_000_000
DAYS = 7
UNTIL = BEGAN + timedelta(days=DAYS)
WRITTEN_S = 6 * 3600
COPIES = DAYS * 86_400 // WRITTEN_S
TRUNKS = [f"carrier-{letter}-{place}" for letter in "abcde" for place in ("fra", "ams", "lon", "mad")]
"""The busiest first: a quarter of all calls goes there at first, and a seventieth to the last."""

_ATTEMPTS_A_CALL = 1.16
_TRUNK_WEIGHTS = [1 / rank for rank in range(1, len(TRUNKS) + 1)]
_REFUSALS = {  # SIP code: how often, and the disposition
    486: (30, "busy"),
    480: (22, "no_answer"),
    404: (14, "not_found"),
    503: (12, "congestion"),
    487: (8, "cancelled"),
    408: (4, "no_response"),
    403: (4, "forbidden"),
    500: (2, "server_error"),
    603: (2, "rejected"),
    484: (1, "bad_request"),
    488: (1, "not_acceptable"),
    502: (0.5, "server_error"),
}
CODES = list(_REFUSALS)
_CODE_WEIGHTS = [weight for weight, _ in _REFUSALS.values()]
_STATUSES: dict[int, SipStatus] = {code: worded(code, None, "As the carrier says.") for code in CODES}
_COUNTRIES = {"+49": 50, "+44": 20, "+33": 12, "+1": 10, "+34": 6, "+351": 2}
_CALLERS = 2_000
_A_SECOND = {  # what is shifted with the time of a copy, and by how much a second
    **dict.fromkeys(("at_us", "started_us", "ended_us", "began_us"), 1_000_000.0),
    "minute": 1 / 60,
    "hour": 1 / 3600,
}
_COUNTS = {table.name for table in rollups.TABLES}
_BEGIN = '{"id":"'
_TIME = re.compile(r'(?<=_at":")\d{4}-\d\d-\d\dT\d\d(?=:)')  # to the hour


def calls_to_write(attempts: int) -> int:
    """Return how many calls are written so that, copied, they hold so many attempts."""
    return round(attempts / COPIES / _ATTEMPTS_A_CALL)


def some_calls(count: int, seconds: float, seed: int) -> Iterator[CallRecord]:
    """Yield calls of a wholesale day, evenly spread over a time: 55 % answered, some at the second trunk only."""
    dice = random.Random(seed)
    for number in range(count):
        at = BEGAN + timedelta(seconds=number * seconds / count, milliseconds=dice.randrange(1000))
        first, second = dice.choices(TRUNKS, _TRUNK_WEIGHTS, k=2)
        code = dice.choices(CODES, _CODE_WEIGHTS)[0]
        fate = dice.random()
        pbx = f"pbx-{dice.randrange(2)}"
        linkedid = f"{int(at.timestamp())}.{number}"
        base = replace(failed(number), id=call_id(pbx, linkedid), pbx=pbx, linkedid=linkedid, started_at=at)
        delay_ms = min(60_000, int(dice.lognormvariate(7.3, 0.6)))
        base = replace(
            base,
            ended_at=at + timedelta(milliseconds=delay_ms + 400),
            caller=Caller(caller(dice)(), "Alice", f"desk-{dice.randrange(_CALLERS)}"),
            dialled=dice.choices(list(_COUNTRIES), list(_COUNTRIES.values()))[0] + f"{dice.randrange(10**9):09}",
        )
        tried = partial(_tried, dialled=base.dialled)
        if fate < 0.50:
            talked = timedelta(seconds=dice.expovariate(1 / 120))
            yield _answered(base, at, [tried(1, first, 200, at, delay_ms)], talked)
        elif fate < 0.55:
            tries = [tried(1, first, 503, at, None), tried(2, second, 200, at, delay_ms)]
            yield _answered(base, at, tries, timedelta(seconds=60))
        else:
            tries = [tried(1, first, code, at, delay_ms if code in {486, 480, 487} else None)]
            if fate > 0.88:
                tries.append(tried(2, second, code, at, None))
            outcome = Outcome.ABANDONED if code == 487 else Outcome.FAILED
            last = tries[-1]
            how = {"disposition": last.disposition, "sip": last.sip, "fault": last.fault}
            yield replace(base, outcome=outcome, attempts=tuple(tries), **how)  # type: ignore[arg-type]  # as they are named


def caller(dice: random.Random) -> Callable[[], str]:
    """Return what gives the number of somebody who calls."""
    return lambda: f"+4930{7_000_000 + dice.randrange(_CALLERS)}"


def moved(records: Iterator[CallRecord], by: timedelta) -> Iterator[CallRecord]:
    """Yield the same calls, so much later."""
    for record in records:
        assert record.started_at is not None
        assert record.ended_at is not None
        answered_at = record.answered_at and record.answered_at + by
        tries = tuple(replace(each, ended_at=each.ended_at and each.ended_at + by) for each in record.attempts)
        times = {"started_at": record.started_at + by, "ended_at": record.ended_at + by, "answered_at": answered_at}
        yield replace(record, id=_later(record.id, by.total_seconds()), attempts=tries, **times)  # type: ignore[arg-type]  # each is a time


def copies(tables: list[Table], gives_positions: bool, numbers: Iterable[int] = range(1, COPIES)) -> Iterator[str]:
    """Yield the statements that copy what was written to the rest of the week, or to the times of other ``numbers``."""
    for table in tables:
        yield f"CREATE TEMP TABLE first_{table.name} AS SELECT * FROM {table.name}"  # noqa: S608  # our own names
    for copy in numbers:
        for table in tables:
            columns = [column.name for column in table.columns if column.name != "position" or not gives_positions]
            values = ", ".join(value_of(name, copy, text_moves=gives_positions) for name in columns)
            names = f"{table.name} ({', '.join(columns)})"
            put = f"INSERT INTO {names} SELECT {values} FROM first_{table.name} WHERE true"  # noqa: S608  # our own names
            if table.name in _COUNTS:
                sums = [name for name in columns if name in {"total", "talk_ms"}]
                key = ", ".join(name for name in columns if name not in sums)
                added = ", ".join(f"{name} = {table.name}.{name} + excluded.{name}" for name in sums)
                put += f" ON CONFLICT ({key}) DO UPDATE SET {added}"
            yield put
    for table in tables:
        yield f"DROP TABLE first_{table.name}"


def value_of(column: str, copy: int, *, text_moves: bool = False) -> str:
    """Return what a copy has in a column; the text of a record is moved too where it is read afterwards."""
    if column in {"id", "call_id"}:
        return f"later({column}, {copy * WRITTEN_S})"
    if column == "record" and text_moves:
        return f"later_text({column}, {copy * WRITTEN_S})"
    if column == "position":
        return f"position + {copy} * (SELECT position FROM writing)"  # noqa: S608  # a number
    if column in _A_SECOND:
        return f"{column} + {round(copy * WRITTEN_S * _A_SECOND[column])}"
    return column


def copy_in_sqlite(path: Path, counted_days_before: int = 0) -> None:
    """Fill the week of a file with copies of what was written. Of so many days before it there are counts alone."""
    first = -counted_days_before * 86_400 // WRITTEN_S
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -500000")
        connection.create_function("later", 2, _later, deterministic=True)
        connection.create_function("later_text", 2, _later_text, deterministic=True)
        counts = copies([*rollups.TABLES], gives_positions=True, numbers=[n for n in range(first, COPIES) if n])
        for statement in (*counts, *copies([schema.calls, schema.attempts, schema.answered_ids], gives_positions=True)):
            connection.execute(statement)


def _tried(seq: int, trunk: str, code: int, at: datetime, delay_ms: int | None, *, dialled: str | None) -> Attempt:
    name = "answered" if code == OK.code else _REFUSALS[code][1]
    how = disposition(name)
    sip = OK if code == OK.code else _STATUSES[code]
    fault = Fault(how.fault, how.fault_why)
    return replace(attempt(seq, trunk, sip, name, at), pdd_ms=delay_ms, dialled=dialled, fault=fault)


def _answered(base: CallRecord, at: datetime, tries: list[Attempt], talked: timedelta) -> CallRecord:
    outcome = Outcome.ANSWERED if len(tries) == 1 else Outcome.RESCUED
    answered_at = base.ended_at or at
    return replace(
        base,
        outcome=outcome,
        disposition="answered",
        sip=OK,
        answered_at=answered_at,
        ended_at=answered_at + talked,
        attempts=tuple(replace(each, ended_at=answered_at + talked if each.sip is OK else at) for each in tries),
        fault=tries[0].fault,
        hint=None,
    )


def _later(call_id: str, seconds: float) -> str:
    """Return the id of a call like another, so many seconds later: the same hash behind its own second."""
    return f"{int(call_id[:8], 16) + int(seconds):08x}{call_id[8:]}"


def _later_text(record: str, seconds: int) -> str:
    """Return the text of a record so much later, by whole hours."""
    text = _TIME.sub(lambda found: _later_hour(found[0], seconds), record)
    return _BEGIN + _later(text[len(_BEGIN) : len(_BEGIN) + 8], seconds) + text[len(_BEGIN) + 8 :]


@cache
def _later_hour(text: str, seconds: int) -> str:
    return f"{datetime.fromisoformat(text) + timedelta(seconds=seconds):%Y-%m-%dT%H}"
