"""The side at fault in the index of listings: SQLite looked up each call of a day to know it."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the index anew, where listings run along one that holds what they filter by."""
    if op.get_bind().dialect.name != "sqlite":
        return
    op.drop_index("ix_calls_listing", "calls")
    listing = ["at_us", "id", "pbx", "outcome", "disposition", "sip_code", "sip_class", "fault_side", "route"]
    op.create_index("ix_calls_listing", "calls", [*listing, "caller_endpoint", "caller_number", "dialled"])
