"""The tables as ClickHouse keeps them, and whether those of a database are ours.

They are those of ``schema``, and the questions are the same. What differs: ClickHouse has neither transactions nor keys
that refuse a second row. So every table replaces rows of the same key, at its leisure, and is read with FINAL; and what
the other engines count in advance is counted when it is asked for, over ``counted``: one row for every call and every
attempt ever written, narrow, in one insert, so that a call is never there without its attempts. The tables of counts
are views over it. A call is written when its row in ``counted`` is there; all else is written before.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import BigInteger, Boolean, Column, Integer, MetaData, String, Table

from asterisk_sip.errors import StoreError

from . import schema

OLDEST = (24, 8)
"""The first release that will do, as year and month."""

metadata = MetaData()

counted = Table(
    "counted",
    metadata,
    Column("id", String, nullable=False),  # of the call
    Column("seq", BigInteger, nullable=False),  # of the attempt, 0 is the call itself
    Column("at_us", BigInteger, nullable=False),  # that of the call
    Column("minute", BigInteger, nullable=False),  # in which the call, or the attempt, ended
    Column("trunk", String, nullable=False),
    Column("sip_code", BigInteger, nullable=False),
    Column("disposition", String, nullable=False),
    Column("outcome", String, nullable=False),
    Column("pbx", String, nullable=False),
    Column("direction", String, nullable=False),
    Column("talk_ms", BigInteger, nullable=False),
    Column("pdd", BigInteger),
)

writing = Table("writing", metadata, Column("position", BigInteger, nullable=False))
"""One row: the position given last. It is written after all that has such a position."""

_DURABLE = "SETTINGS fsync_after_insert = 1, fsync_part_directory = 1"
_POSITION = "position"  # what is written later has a larger one, and replaces what has the same key
_GONE = "gone"
_TABLES = {
    table.name: table
    for table in (schema.calls, schema.attempts, schema.open_calls, schema.gaps, schema.listened, counted, writing)
}
_MORE = {  # columns that only these tables have
    "attempts": (("at_us", "Int64"),),
    "open_calls": ((_POSITION, "Int64"), (_GONE, "UInt8")),
    "gaps": ((_POSITION, "Int64"),),
    "listened": ((_POSITION, "Int64"),),
}
_KEYS = {
    "calls": "id",
    "attempts": "call_id, seq",
    "open_calls": "pbx, linkedid",
    "gaps": "id",
    "listened": "pbx",
    "counted": "id, seq",
    "writing": "",
}
_ENGINES = {"open_calls": f"{_POSITION}, {_GONE}", "gaps": _POSITION, "listened": _POSITION}
_SOUGHT = {"calls": ("at_us", _POSITION), "attempts": ("at_us",), "counted": ("at_us", "minute")}
BY_MONTH = ("calls", "attempts", "counted")

_FEW_VALUES = frozenset(
    {
        *("pbx", "direction", "trunk", "endpoint", "caller_endpoint"),
        *("outcome", "disposition", "grade", "released_by", "fault_side", "dial_status"),
    }
)

_FIRST_S, _LAST_S = 946_684_800, 4_102_444_799  # what a clock gone wrong says beyond 2000 to 2099 shares two months
MONTH = f"toYYYYMM(toDateTime(greatest({_FIRST_S}, least({_LAST_S}, intDiv(at_us, 1000000))), 'UTC'))"

# Whole hours, also before 1970: intDiv rounds towards zero. Written so that ClickHouse sees that they grow with the
# minutes, and passes over what a window does not touch.
_HOURS_BEFORE = 20_000_000
_HOUR = f"intDiv(minute + {60 * _HOURS_BEFORE}, 60) - {_HOURS_BEFORE}"
_KIND = "if(seq = 0, 'calls', 'attempts')"
_VIEWS = {
    "totals": (f"{_KIND} AS counted", "minute", "trunk", "sip_code", "disposition", "outcome", "pbx", "direction"),
    "minute_totals": (f"{_KIND} AS counted", "minute", "sip_code", "disposition", "outcome", "pbx"),
    "hour_totals": (
        f"{_KIND} AS counted",
        f"{_HOUR} AS hour",
        *("trunk", "sip_code", "disposition", "outcome", "pbx", "direction"),
    ),
    "minute_pdd": ("minute", "trunk", "assumeNotNull(counted.pdd) AS pdd", "pbx"),
    "hour_pdd": (f"{_HOUR} AS hour", "trunk", "assumeNotNull(counted.pdd) AS pdd", "pbx"),
}


def columns_of(table: str) -> list[str]:
    """Return the names of a table's columns, in the order in which rows are written."""
    return [column.name for column in _TABLES[table].columns] + [name for name, _ in _MORE.get(table, ())]


def needed(table: str) -> list[int]:
    """Return which columns of a table always have a value, by their place."""
    return [place for place, column in enumerate(_TABLES[table].columns) if not column.nullable]


def statements() -> Iterator[str]:
    """Return what makes the tables that are missing. An insert is on the disk when it returns.

    The table of the version is first, its row is last: tables without either are not ours.
    """
    one_row = f"ENGINE = ReplacingMergeTree ORDER BY () {_DURABLE}"
    yield f"CREATE TABLE IF NOT EXISTS {schema.VERSION_TABLE} (`version_num` String) {one_row}"
    for name, table in _TABLES.items():
        columns = [f"`{column.name}` {_type(column)}" for column in table.columns]
        columns += [f"`{column}` {kind}" for column, kind in _MORE.get(name, ())]
        columns += [f"INDEX ix_{column} {column} TYPE minmax" for column in _SOUGHT.get(name, ())]
        month = f"PARTITION BY {MONTH} " if name in BY_MONTH else ""
        yield (
            f"CREATE TABLE IF NOT EXISTS {name} ({', '.join(columns)})"
            f" ENGINE = ReplacingMergeTree({_ENGINES.get(name, '')}) {month}ORDER BY ({_KEYS[name]}) {_DURABLE}"
        )
    for name, listed in _VIEWS.items():
        known, talked = (" WHERE isNotNull(counted.pdd)", "") if name.endswith("_pdd") else ("", ", talk_ms")
        select = f"SELECT {', '.join(listed)}, toInt64(1) AS total{talked} FROM counted FINAL{known}"  # noqa: S608  # ours
        yield f"CREATE VIEW IF NOT EXISTS {name} AS {select}"
    yield f"INSERT INTO {schema.VERSION_TABLE} VALUES ('{schema.REVISIONS[-1]}')"  # noqa: S608  # ours


def check(version: str, tables: set[str], revision: str | None, place: str) -> bool:
    """Return whether the tables of a database are current, False when there are none yet.

    Raises StoreError for a server that is too old, tables that are newer than this program, or another program's.
    """
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST:
        raise StoreError(f"{place}: this is ClickHouse {version}; it must be {'.'.join(map(str, OLDEST))} or newer")
    if schema.VERSION_TABLE not in tables and not tables & {*_TABLES, *_VIEWS}:
        return False
    if schema.VERSION_TABLE not in tables or (revision is not None and writing.name not in tables):
        raise StoreError(f"{place}: this is the database of another program; name one of its own for the calls")
    if revision is None:  # who made them was stopped half-way
        return False
    if revision not in schema.REVISIONS:
        raise StoreError(
            f"{place}: written by a newer asterisk-sip (its schema is {revision}, this program knows up to"
            f" {schema.REVISIONS[-1]}); update asterisk-sip"
        )
    return True


def _type(column: Column[object]) -> str:
    kind = "Int64"
    if isinstance(column.type, Boolean):
        kind = "Bool"
    elif isinstance(column.type, String):
        kind = "String"
    elif not isinstance(column.type, Integer):
        raise TypeError(f"{column}: no type of ClickHouse stands for {column.type!r}")
    kind = f"Nullable({kind})" if column.nullable else kind
    return f"LowCardinality({kind})" if column.name in _FEW_VALUES else kind
