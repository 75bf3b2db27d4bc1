"""Where records are kept, as configured: the one file that knows which engine that means."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from asterisk_sip.errors import StoreError

from .base import Keep, Store
from .sqlite import SqliteStore


@dataclass(frozen=True)
class StorePlace:
    """A file, or a database of a server when there is a ``url``. Its text is what an operator calls it."""

    path: Path
    url: str | None = None
    password: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        """Return the name for messages: never a password."""
        return str(self.path) if self.url is None else self.url

    @property
    def clickhouse(self) -> bool:
        """Whether it is a database of ClickHouse."""
        return self.url is not None and self.url.startswith("clickhouse:")

    def store(self, keep: Keep = "failures", *, readonly: bool = False, patience_s: float | None = None) -> Store:
        """Return the store, not yet opened. What is asked of it may take ``patience_s``, None for as long as it takes.

        Raises StoreError when the driver it needs is not installed.
        """
        if self.url is None:
            return SqliteStore(self.path, keep, readonly=readonly, patience_s=patience_s)
        engine, extra = ("ClickHouse", "clickhouse") if self.clickhouse else ("PostgreSQL", "postgres")
        try:  # each is an extra, and slow to load
            if self.clickhouse:
                from .clickhouse import ClickHouseStore  # noqa: PLC0415  an extra

                return ClickHouseStore(self.url, self.password, keep, readonly=readonly, patience_s=patience_s)
            from .postgres import PostgresStore  # noqa: PLC0415  an extra

            return PostgresStore(self.url, self.password, keep, readonly=readonly, patience_s=patience_s)
        except ImportError as error:
            raise StoreError(f"{self.url}: {engine} needs a driver: pip install 'asterisk-sip[{extra}]'") from error
