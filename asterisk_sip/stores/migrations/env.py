"""What alembic runs: the migrations, on the connection that ``migrate`` hands over."""

from __future__ import annotations

from alembic import context

from asterisk_sip.stores.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,  # SQLite can, whatever alembic takes for granted
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
