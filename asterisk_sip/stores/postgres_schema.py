"""The tables as PostgreSQL keeps them: calls and attempts in one partition a month, so that a month can be dropped.

They are those of ``schema``, and the questions are the same. What differs: a partition is found by ``at_us``, which
attempts therefore have too; ids are unique over all partitions by a table of their own; positions are given under a
lock, so that whoever follows them misses none. Texts sort by their bytes, as in the other engines.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Connection,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    inspect,
    select,
)
from sqlalchemy.types import TypeEngine

from asterisk_sip.errors import StoreError

from . import rollups, schema
from .base import MissingStoreError, from_microseconds, microseconds

OLDEST = 150_000
"""The first release that will do, as ``server_version_num`` says it."""

_FIRST_YEAR, _LAST_YEAR = 2000, 2099  # what a clock gone wrong says beyond these years shares two partitions
_LOCK = 0x61737470  # "astp": one program at a time makes or migrates the tables

metadata = MetaData()


def _columns(table: Table) -> list[Column[Any]]:
    """Return copies of a table's columns, keys left out and texts sorted by their bytes."""
    return [Column(column.name, _type(column), nullable=column.nullable) for column in table.columns]


def _type(column: Column[Any]) -> TypeEngine[Any]:
    if isinstance(column.type, String):
        return Text(collation="C")
    return BigInteger() if isinstance(column.type, Integer) else column.type  # as wide as the other engines have it


def _like(table: Table) -> Table:
    key = [column.name for column in table.primary_key]
    return Table(table.name, metadata, *_columns(table), PrimaryKeyConstraint(*key))


calls = Table(
    "calls",
    metadata,
    *_columns(schema.calls),
    PrimaryKeyConstraint("position", "at_us"),
    UniqueConstraint("at_us", "id"),  # listings run along it
    postgresql_partition_by="RANGE (at_us)",
)

attempts = Table(
    "attempts",
    metadata,
    *_columns(schema.attempts),
    Column("at_us", BigInteger, nullable=False),  # that of the call
    PrimaryKeyConstraint("call_id", "seq", "at_us"),
    ForeignKeyConstraint(["at_us", "call_id"], ["calls.at_us", "calls.id"], ondelete="CASCADE"),
    postgresql_partition_by="RANGE (at_us)",
)

written_ids = Table(
    "written_ids",
    metadata,
    Column("id", Text(collation="C"), primary_key=True),  # of every call, kept whole or only counted
    Column("at_us", BigInteger, nullable=False),  # so that old ones can be forgotten
)

writing = Table(
    "writing",
    metadata,
    Column("only", Boolean, CheckConstraint('"only"'), primary_key=True),  # one row, whose lock is that of the writer
    Column("position", BigInteger, nullable=False),  # given last
)

version = Table(schema.VERSION_TABLE, metadata, Column("version_num", String(32), primary_key=True))

for _table in (*rollups.TABLES, schema.open_calls, schema.gaps, schema.listened):
    _like(_table)

Index("ix_written_ids_at", written_ids.c.at_us)


def check(connection: Connection, place: str) -> bool:
    """Return whether the tables are there and current, False when they are older or there are none.

    Raises StoreError for a server that is too old, tables that are newer than this program, or another program's.
    """
    number = int(connection.exec_driver_sql("SHOW server_version_num").scalar_one())
    if number < OLDEST:
        raise StoreError(f"{place}: this is PostgreSQL {number // 10_000}; it must be {OLDEST // 10_000} or newer")
    found = set(inspect(connection).get_table_names())
    if not found & metadata.tables.keys():
        return False
    if not {schema.VERSION_TABLE, calls.name, writing.name} <= found:
        raise StoreError(f"{place}: this is the database of another program; name one of its own for the calls")
    revision = connection.execute(version.select()).scalar()
    if revision not in schema.REVISIONS:
        raise StoreError(
            f"{place}: written by a newer asterisk-sip (its schema is {revision}, this program knows up to"
            f" {schema.REVISIONS[-1]}); update asterisk-sip"
        )
    return bool(revision == schema.REVISIONS[-1])


def check_readable(connection: Connection, place: str) -> None:
    """Raise StoreError when the calls cannot be read with the current schema, MissingStoreError when there is none."""
    if check(connection, place):
        return
    if _made(connection):
        raise StoreError(
            f"{place}: written by an older asterisk-sip; start the daemon once, it brings the database up to date"
        )
    raise MissingStoreError(f"{place}: nothing has been written there yet")


def bring_up_to_date(connection: Connection, place: str) -> None:
    """Make or migrate the tables, unless they are current.

    In the caller's transaction: a crash leaves everything as it was. New tables are made as ``metadata`` has them; the
    migrations take those of an older schema from there on.
    """
    if check(connection, place):
        return
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
    if check(connection, place):  # another program was first
        return
    if _made(connection):
        from . import migrations  # noqa: PLC0415  # alembic takes longer to load than all the rest

        connection.execute(select(writing).with_for_update())  # who is writing a batch finishes it first
        migrations.migrate(connection, schema.REVISIONS[-1])
        return
    metadata.create_all(connection, checkfirst=False)
    connection.execute(writing.insert(), {"only": True, "position": 0})
    connection.execute(version.insert(), {"version_num": schema.REVISIONS[-1]})


def _made(connection: Connection) -> bool:
    return inspect(connection).has_table(schema.VERSION_TABLE)


def partitions(connection: Connection) -> set[str]:
    """Return the months that have partitions, as `month_of` names them."""
    names = connection.exec_driver_sql(
        "SELECT relname FROM pg_inherits JOIN pg_class ON inhrelid = oid WHERE inhparent = 'calls'::regclass"
    ).scalars()
    return {name.removeprefix("calls_") for name in names}


def month_of(at_us: int) -> str:
    """Return the name of the month that a call belongs to, such as ``2026_11``."""
    year, month = from_microseconds(at_us).timetuple()[:2]
    if year < _FIRST_YEAR:
        return "before"
    return "after" if year > _LAST_YEAR else f"{year}_{month:02}"


def partition(month: str) -> Iterable[str]:
    """Return the statements that give a month its partitions. They are attached: that stops no reader."""
    low, high = bounds(month)
    first = "MINVALUE" if low is None else low
    end = "MAXVALUE" if high is None else high
    for table in (calls, attempts):
        name = f"{table.name}_{month}"
        yield f"CREATE TABLE {name} (LIKE {table.name} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)"
        yield f"ALTER TABLE {table.name} ATTACH PARTITION {name} FOR VALUES FROM ({first}) TO ({end})"


def bounds(month: str) -> tuple[int | None, int | None]:
    """Return the first time of a month and the first after it, in microseconds; None for what has no bound."""
    if month == "before":
        return None, microseconds(datetime(_FIRST_YEAR, 1, 1, tzinfo=UTC))
    if month == "after":
        return microseconds(datetime(_LAST_YEAR + 1, 1, 1, tzinfo=UTC)), None
    year, number = map(int, month.split("_"))
    begin = datetime(year, number, 1, tzinfo=UTC)
    return microseconds(begin), microseconds(datetime(year + number // 12, number % 12 + 1, 1, tzinfo=UTC))
