"""Brings a store's schema up to date. Imported only when there is something to do: alembic is slow to load."""

from __future__ import annotations

import logging
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection


def migrate(connection: Connection, revision: str) -> None:
    """Bring the schema up to ``revision`` in the transaction the connection is in. Nothing is done when it is there."""
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it tells of every step at info
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
