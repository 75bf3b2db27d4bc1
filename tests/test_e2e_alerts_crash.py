"""Alerts of the whole program, killed again and again under load: each is told once, and none is lost."""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from .ami_load import calls_coming
from .ami_server import SECRET
from .companions import Program
from .lab.wait import until

pytestmark = pytest.mark.timeout(300)

PER_SECOND = 100
KILLS = 4

COMPANION = """
[[pbx]]
name = "pbx"

[pbx.ami]
port = {port}
retry_min_s = 0.05
retry_max_s = 0.2

[[trunk]]
name = "acme"
endpoints = ["acme"]

[store]
path = "calls.db"

[[alert_target.webhook]]
name = "nobody-there"
url = "http://127.0.0.1:9/"

[[alerts]]
name = "many"
kind = "count"
filter = {{ "not.code" = 200 }}
group_by = ["trunk"]
window_s = 8
threshold = 20
severity = "critical"

[[alerts]]
name = "each"
kind = "hook"
filter = {{ code = 503 }}
"""


class Book:
    """What is in the file of a companion, looked at beside it."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "calls.db"

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return rows, none as long as there is no such table."""
        if not self._path.exists():
            return []
        with closing(sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, timeout=30)) as database:
            try:
                return database.execute(query).fetchall()
            except sqlite3.OperationalError:  # it is just being made
                return []

    def records(self) -> int:
        """How many failed calls there are."""
        return int((self.rows("SELECT count(*) FROM calls") or [(0,)])[0][0])

    def told(self, rule: str) -> list[dict[str, Any]]:
        """The notices of a rule, in their order."""
        changes = [json.loads(text) for (text,) in self.rows("SELECT text FROM notices ORDER BY position")]
        return [change for change in changes if change["rule"] == rule]

    def judged(self) -> bool:
        """Whether every record of 503 was told."""
        return len(self.told("each")) == len(self.rows("SELECT id FROM calls WHERE sip_code = 503"))


async def test_killed_again_and_again_under_load_each_alert_is_told_once_and_none_is_lost(tmp_path: Path) -> None:
    book, draw = Book(tmp_path), random.Random(7)
    async with calls_coming(PER_SECOND) as pbx:
        config = COMPANION.format(port=pbx.port)
        async with Program(tmp_path, config, ASTERISK_SIP_AMI_SECRET=SECRET) as companion:
            await until(lambda: book.told("many"), "the alert", 60)
            for _ in range(KILLS):
                seen = book.records()
                await until(lambda seen=seen: book.records() > seen + 30, "more calls", 60)  # type: ignore[misc]  # a lambda with a default
                await asyncio.sleep(draw.uniform(0, 1))  # wherever it is in its work
                await companion.kill()
                await companion.start()
            seen = book.records()
            await until(lambda: book.records() > seen + 30, "more calls after the last kill", 60)
            assert [change["state"] for change in book.told("many")] == ["fired"]
            await pbx.quiet()
            await until(lambda: len(book.told("many")) == 2, "the end of the alert", 60)
            await until(book.judged, "every record to be told", 60)
            assert await companion.stop() == 0
    fired, cleared = book.told("many")
    assert (fired["group"], cleared["state"], cleared["alert_id"]) == ({"trunk": "acme"}, "cleared", fired["alert_id"])
    assert len(book.rows("SELECT id FROM alerts")) == 1
    hooked = Counter(change["samples"][0] for change in book.told("each"))
    wanted = {call_id for (call_id,) in book.rows("SELECT id FROM calls WHERE sip_code = 503")}
    assert hooked == Counter(wanted)
    assert len(wanted) > 30
