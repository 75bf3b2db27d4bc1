"""The first tables."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make all tables and the index."""
    _calls()
    _attempts()
    _totals()
    op.create_table(
        "answered_ids",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "open_calls",
        sa.Column("pbx", sa.Text, primary_key=True),
        sa.Column("linkedid", sa.Text, primary_key=True),
        sa.Column("seen_us", sa.BigInteger, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
    )
    op.create_table(
        "gaps",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("pbx", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("began_us", sa.BigInteger, nullable=False),
        sa.Column("ended_us", sa.BigInteger),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("blind", sa.Boolean, nullable=False),
    )
    op.create_table(
        "outbox",
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("text", sa.Text),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "cursors",
        sa.Column("sink", sa.Text, primary_key=True),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("offered", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "listened",
        sa.Column("pbx", sa.Text, primary_key=True),
        sa.Column("until_us", sa.BigInteger, nullable=False),
    )


def _calls() -> None:
    position = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "calls",
        sa.Column("position", position, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(64), nullable=False, unique=True),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("pbx", sa.Text, nullable=False),
        sa.Column("linkedid", sa.Text, nullable=False),
        sa.Column("started_us", sa.BigInteger),
        sa.Column("ended_us", sa.BigInteger),
        sa.Column("direction", sa.Text),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("disposition", sa.Text, nullable=False),
        sa.Column("sip_code", sa.SmallInteger),
        sa.Column("sip_class", sa.SmallInteger),
        sa.Column("grade", sa.Text, nullable=False),
        sa.Column("trunk", sa.Text),
        sa.Column("endpoint", sa.Text),
        sa.Column("route", sa.Text, nullable=False),
        sa.Column("caller_endpoint", sa.Text),
        sa.Column("caller_number", sa.Text),
        sa.Column("dialled", sa.Text),
        sa.Column("released_by", sa.Text, nullable=False),
        sa.Column("fault_side", sa.Text, nullable=False),
        sa.Column("partial", sa.Boolean, nullable=False),
        sa.Column("record", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    listing = ["at_us", "id", "pbx", "outcome", "disposition", "sip_code", "sip_class", "route"]
    op.create_index("ix_calls_listing", "calls", [*listing, "caller_endpoint", "caller_number", "dialled"])


def _attempts() -> None:
    op.create_table(
        "attempts",
        sa.Column("call_id", sa.String(64), sa.ForeignKey("calls.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("stage", sa.Integer, nullable=False),
        sa.Column("pbx", sa.Text, nullable=False),
        sa.Column("endpoint", sa.Text),
        sa.Column("trunk", sa.Text),
        sa.Column("dialled", sa.Text),
        sa.Column("began_us", sa.BigInteger),
        sa.Column("ended_us", sa.BigInteger),
        sa.Column("sip_code", sa.SmallInteger),
        sa.Column("sip_class", sa.SmallInteger),
        sa.Column("grade", sa.Text, nullable=False),
        sa.Column("disposition", sa.Text, nullable=False),
        sa.Column("dial_status", sa.Text),
        sa.Column("q850", sa.SmallInteger),
        sa.Column("pdd_ms", sa.Integer),
        sa.Column("fault_side", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )


def _totals() -> None:
    detail = ["trunk", "sip_code", "disposition", "outcome", "pbx", "direction"]
    _counts("totals", ["counted", "minute", *detail], ["total", "talk_ms"])
    narrow = ["counted", "minute", "sip_code", "disposition", "outcome", "pbx"]
    _counts("minute_totals", narrow, ["total", "talk_ms"])
    _counts("hour_totals", ["counted", "hour", *detail], ["total", "talk_ms"])
    _counts("minute_pdd", ["minute", "trunk", "pdd", "pbx"], ["total"])
    _counts("hour_pdd", ["hour", "trunk", "pdd", "pbx"], ["total"])


def _counts(name: str, key: list[str], numbers: list[str]) -> None:
    types: dict[str, Any] = {
        "counted": sa.String(8),
        "minute": sa.Integer,
        "hour": sa.Integer,
        "sip_code": sa.SmallInteger,
        "pdd": sa.SmallInteger,
    }
    op.create_table(
        name,
        *(sa.Column(word, types.get(word, sa.Text), primary_key=True, autoincrement=False) for word in key),
        *(sa.Column(number, sa.BigInteger, nullable=False) for number in numbers),
        sqlite_with_rowid=False,
    )
