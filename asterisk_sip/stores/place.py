"""Where records are kept, as configured: the one file that knows which engine that means."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from asterisk_sip.errors import StoreError

from .base import Keep, Store
from .sqlite import SqliteStore


@dataclass(frozen=True)
class StorePlace:
    """A file, or a PostgreSQL database when there is a ``url``. Its text is what an operator calls it."""

    path: Path
    url: str | None = None
    password: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        """Return the name for messages: never a password."""
        return str(self.path) if self.url is None else self.url

    def store(self, keep: Keep = "failures", *, readonly: bool = False) -> Store:
        """Return the store, not yet opened. Raises StoreError when the driver it needs is not installed."""
        if self.url is None:
            return SqliteStore(self.path, keep, readonly=readonly)
        try:
            from .postgres import PostgresStore  # noqa: PLC0415  # an extra, and slow to load
        except ImportError as error:
            raise StoreError(f"{self.url}: PostgreSQL needs a driver: pip install 'asterisk-sip[postgres]'") from error
        return PostgresStore(self.url, self.password, keep, readonly=readonly)
