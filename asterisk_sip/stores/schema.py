"""The tables, for every engine. Times are whole microseconds since 1970 (``_us``), see ``base.microseconds``.

The migrations are what makes them; a test holds that both say the same.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
)

REVISIONS = ("0001", "0002", "0003")
"""Every schema there ever was, oldest first; the last is the one this program reads and writes."""

VERSION_TABLE = "alembic_version"

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
    }
)

_POSITION = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers only a column of exactly this type

calls = Table(
    "calls",
    metadata,
    Column("position", _POSITION, primary_key=True, autoincrement=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("at_us", BigInteger, nullable=False),  # what the call is listed by: base.ended_at
    Column("pbx", Text, nullable=False),
    Column("linkedid", Text, nullable=False),
    Column("started_us", BigInteger),
    Column("ended_us", BigInteger),
    Column("direction", Text),
    Column("outcome", Text, nullable=False),
    Column("disposition", Text, nullable=False),
    Column("sip_code", SmallInteger),
    Column("sip_class", SmallInteger),
    Column("grade", Text, nullable=False),
    Column("trunk", Text),  # of the attempt that decided the call
    Column("endpoint", Text),  # of the attempt that decided the call
    Column("route", Text, nullable=False),  # every trunk and endpoint attempted, each between line feeds
    Column("caller_endpoint", Text),
    Column("caller_number", Text),
    Column("dialled", Text),
    Column("released_by", Text, nullable=False),
    Column("fault_side", Text, nullable=False),
    Column("partial", Boolean, nullable=False),
    Column("record", Text, nullable=False),  # the whole record, JSON; last, so that the others are read without it
    sqlite_autoincrement=True,  # a position is never given twice, not even after the newest calls were deleted
)

attempts = Table(
    "attempts",
    metadata,
    Column("call_id", String(64), ForeignKey(calls.c.id, ondelete="CASCADE"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("stage", Integer, nullable=False),
    Column("pbx", Text, nullable=False),
    Column("endpoint", Text),
    Column("trunk", Text),
    Column("dialled", Text),
    Column("began_us", BigInteger),
    Column("ended_us", BigInteger),
    Column("sip_code", SmallInteger),
    Column("sip_class", SmallInteger),
    Column("grade", Text, nullable=False),
    Column("disposition", Text, nullable=False),
    Column("dial_status", Text),
    Column("q850", SmallInteger),
    Column("pdd_ms", Integer),
    Column("fault_side", Text, nullable=False),
    sqlite_with_rowid=False,
)

_WORDS: dict[str, Any] = {
    "counted": String(8),
    "minute": Integer,
    "hour": Integer,
    "sip_code": SmallInteger,
    "pdd": SmallInteger,
}


def _counts(name: str, key: str, *numbers: str) -> Table:
    """Return a table of what is counted in advance, see ``rollups``. Texts of its key are empty for what is absent.

    ``minute`` and ``hour`` are whole ones since 1970, ``counted`` is calls or attempts, ``sip_code`` 0 is unknown,
    ``outcome`` is empty for attempts, ``pdd`` is a bucket of ``delays``.
    """
    columns = [Column(word, _WORDS.get(word, Text), primary_key=True, autoincrement=False) for word in key.split()]
    sums = [Column(number, BigInteger, nullable=False) for number in numbers]
    return Table(name, metadata, *columns, *sums, sqlite_with_rowid=False)


_DETAIL = "trunk sip_code disposition outcome pbx direction"

totals = _counts("totals", f"counted minute {_DETAIL}", "total", "talk_ms")
minute_totals = _counts("minute_totals", "counted minute sip_code disposition outcome pbx", "total", "talk_ms")
hour_totals = _counts("hour_totals", f"counted hour {_DETAIL}", "total", "talk_ms")
minute_pdd = _counts("minute_pdd", "minute trunk pdd pbx", "total")
hour_pdd = _counts("hour_pdd", "hour trunk pdd pbx", "total")

answered_ids = Table(
    "answered_ids",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("at_us", BigInteger, nullable=False),  # so that old ones can be forgotten
    sqlite_with_rowid=False,
)

open_calls = Table(
    "open_calls",
    metadata,
    Column("pbx", Text, primary_key=True),
    Column("linkedid", Text, primary_key=True),
    Column("seen_us", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
)

gaps = Table(
    "gaps",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("pbx", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("began_us", BigInteger, nullable=False),
    Column("ended_us", BigInteger),
    Column("reason", Text, nullable=False),
    Column("blind", Boolean, nullable=False),
)

listened = Table(
    "listened",
    metadata,
    Column("pbx", Text, primary_key=True),
    Column("until_us", BigInteger, nullable=False),
)

outbox = Table(
    "outbox",
    metadata,
    Column("position", _POSITION, primary_key=True, autoincrement=True),
    Column("kind", String(8), nullable=False),  # failure, answered, gap
    Column("id", String(64), nullable=False),
    Column("text", Text),  # JSON; null for a call that is kept whole: it is read from there
    sqlite_autoincrement=True,  # a position is never given twice: cursors point at them
)

cursors = Table(
    "cursors",
    metadata,
    Column("sink", Text, primary_key=True),
    Column("position", BigInteger, nullable=False),  # everything up to there was taken
    Column("offered", BigInteger, nullable=False),  # up to there it may have been taken before a crash
)

alerts = Table(  # one row an alert, from when it fired; what it was learned from is in ``alert_states``
    "alerts",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("rule", Text, nullable=False),
    Column("fired_us", BigInteger, nullable=False),
    Column("cleared_us", BigInteger),  # null while it fires
    Column("told", Boolean, nullable=False),  # a notice went out that it fired
    Column("fired", Text, nullable=False),  # the change, JSON
    Column("cleared", Text),
    Column("acknowledged_us", BigInteger),
    Column("acknowledged_by", Text),
    Column("why", Text),
)

alert_states = Table(  # what the engine knows of each rule, and of itself under the empty name
    "alert_states",
    metadata,
    Column("rule", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("state", Text, nullable=False),
)

silences = Table(
    "silences",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("rule", Text, nullable=False),
    Column("began_us", BigInteger, nullable=False),
    Column("until_us", BigInteger, nullable=False),
    Column("why", Text, nullable=False),
    Column("by", Text, nullable=False),
)

notices = Table(  # what alerts tell, until every target has it; their cursors are in ``cursors``
    "notices",
    metadata,
    Column("position", _POSITION, primary_key=True, autoincrement=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("text", Text, nullable=False),  # the change, JSON
    sqlite_autoincrement=True,
)

Index("ix_alerts_fired", alerts.c.fired_us)

# Listings run down this index in their order, and filter on it without reading the rows: a hundred times narrower.
Index(
    "ix_calls_listing",
    calls.c.at_us,
    calls.c.id,
    calls.c.pbx,
    calls.c.outcome,
    calls.c.disposition,
    calls.c.sip_code,
    calls.c.sip_class,
    calls.c.fault_side,
    calls.c.route,
    calls.c.caller_endpoint,
    calls.c.caller_number,
    calls.c.dialled,
)
