"""The real pages over a store, as of a time of the past: prints its port, and serves until it is ended.

What is kept for a minute at most from one reader for the next is not kept here: each page is that of a first reader.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import Awaitable, Callable, Hashable
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any

import structlog

from asterisk_sip.stores.place import StorePlace
from asterisk_sip.web.app import application
from asterisk_sip.web.ledger import Ledger
from asterisk_sip.web.memo import MEMO, Memo
from asterisk_sip.web.server import listen
from asterisk_sip.web.shelf import PATIENCE_S, Shelf

WEB = "asterisk_sip.web"
_A_MINUTE_S = 60.0


class Forgetful(Memo):
    """Keeps nothing but what may be older than a minute."""

    async def get(self, key: Hashable, for_s: float, make: Callable[[], Awaitable[Any]]) -> Any:
        """Return what is made now."""
        return await (make() if for_s <= _A_MINUTE_S else super().get(key, for_s, make))


class _AsDatetime(type):
    def __getattr__(cls, name: str) -> Any:
        return getattr(datetime, name)


def turn_back(now: datetime) -> None:
    """Let the pages take a time for now, and let it pass from there."""
    behind = datetime.now(UTC) - now

    class Then(metaclass=_AsDatetime):
        @staticmethod
        def now(tz: tzinfo | None = None) -> datetime:
            return datetime.now(tz) - behind

    for name, module in list(sys.modules.items()):
        if name.startswith(WEB) and "datetime.now(" in inspect.getsource(module):
            vars(module)["datetime"] = Then


async def serve(database: Path, now: datetime) -> None:
    """Serve until cancelled."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    place = StorePlace(database)
    shelf = Shelf(lambda: place.store(readonly=True, patience_s=PATIENCE_S), ("pbx-0", "pbx-1"))
    app = application(shelf, ledger=Ledger(path=database))
    app[MEMO] = Forgetful()
    turn_back(now)
    runner = await listen(app, "127.0.0.1", 0)
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), datetime.fromisoformat(sys.argv[2])))
