"""What is asked of the pages and of the API, by name: an address for each time of asking."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlencode

from asterisk_sip.stores.base import microseconds
from tests.bench import week

Address = Callable[[int], str]
"""Returns what to ask for the first time, the second, and so on."""

_HOUR, _DAY, _WEEK = timedelta(hours=1), timedelta(days=1), timedelta(days=7)
_OLDER = re.compile(r'href="(/failures\?[^"]*before=[^"]*)"')
_NOBODY = "0049999999"


@dataclass(frozen=True, slots=True)
class Taken:
    """What one answer took: wall clock, and CPU of the serving process; and how large it was."""

    wall_ms: float
    cpu_ms: float
    size: int
    served: bool


class Client:
    """Asks one server, as a browser or a program does."""

    def __init__(self, server: int, port: int) -> None:
        self._server = server
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()

    def get(self, path: str) -> tuple[int, bytes]:
        """Return status and body."""
        headers = {"Accept": "*/*" if path.startswith("/api/") else "text/html", "Accept-Encoding": "gzip"}
        self._connection.request("GET", path, headers=headers)
        answer = self._connection.getresponse()
        body = answer.read()
        return answer.status, gzip.decompress(body) if answer.headers["Content-Encoding"] == "gzip" else body

    def measured(self, path: str) -> Taken:
        """Ask, and return what it took."""
        cpu_ms, began = self._cpu_ms(), time.perf_counter()
        status, body = self.get(path)
        wall_ms = (time.perf_counter() - began) * 1e3
        return Taken(wall_ms, self._cpu_ms() - cpu_ms, len(body), status == http.HTTPStatus.OK)

    def _cpu_ms(self) -> float:
        """Return what all threads of the server have used so far (proc(5), schedstat: nanoseconds first)."""
        used_ns = 0
        for task in Path(f"/proc/{self._server}/task").glob("*/schedstat"):
            with contextlib.suppress(FileNotFoundError):  # a thread that has ended
                used_ns += int(task.read_text().split()[0])
        return used_ns / 1e6


class Asking:
    """Makes addresses. Nothing is asked twice alike where it can differ: no cache answers for the store."""

    def __init__(self) -> None:
        self.dice = random.Random(7)

    def of(self, *values: object) -> Callable[[], object]:
        """Return one of some values, each time another."""
        return lambda: self.dice.choice(values)

    def path(self, path: str, length: timedelta | None = _DAY, **filters: Callable[[], object]) -> Address:
        """Return the addresses of a listing over a window of the week; without a length, over all there is."""

        def address(_: int) -> str:
            told = {name.rstrip("_"): str(value()) for name, value in filters.items()}
            if length is not None:
                span_s = int((_WEEK - length).total_seconds())
                until = week.UNTIL - timedelta(seconds=self.dice.randrange(max(600, span_s)))
                told |= {"since": (until - length).isoformat(), "until": until.isoformat()}
            return f"{path}?{urlencode(told)}"

        return address

    def failures(self, length: timedelta = _DAY, **filters: Callable[[], object]) -> Address:
        """Return those of the page Failures."""
        return self.path("/failures", length, **filters)

    def deep(self) -> str:
        """Return a cursor some days ago."""
        return f"{microseconds(week.UNTIL - timedelta(seconds=self.dice.randrange(3 * 86_400, 6 * 86_400)))}.x"


def questions(client: Client, ids: list[str]) -> dict[str, Address]:
    """Return all that is asked, by name."""
    ask = Asking()
    return {**_overviews(), **_filters(ask), **_weeks(ask), **_pages(ask, client, ids), **_api(ask)}


def _overviews() -> dict[str, Address]:
    return {f"Overview of {length}": lambda _, length=length: f"/?window={length}" for length in ("1h", "24h", "7d")}  # type: ignore[misc]  # bound at once


def _filters(ask: Asking) -> dict[str, Address]:
    failures, of = ask.failures, ask.of
    trunk, code, class_ = of(*week.TRUNKS[4:]), of(*week.CODES), of(4, 5, 6)
    country = of("DE", "GB", "FR", "US", "ES", "PT")
    return {
        "Failures, as it opens": lambda _: "/failures",
        "Failures of 24 hours": failures(),
        "Failures of 1 hour": failures(_HOUR),
        "a code": failures(code=code),
        "a class": failures(class_=class_),
        "an outcome": failures(outcome=of("failed", "rescued", "abandoned")),
        "any outcome": failures(outcome=of("any")),
        "a disposition": failures(disposition=of("busy", "congestion", "not_found", "rejected")),
        "a side": failures(fault=of("carrier", "callee", "caller", "us", "unknown")),
        "a PBX": failures(pbx=of("pbx-0", "pbx-1")),
        "a trunk": failures(trunk=trunk),
        "the busiest trunk": failures(trunk=of(week.TRUNKS[0])),
        "a pattern of trunks": failures(trunk=of("carrier-a-*", "*-fra", "carrier-?-lon")),
        "an endpoint": failures(endpoint=lambda: f"{trunk()}-out"),
        "a trunk and a code of its attempts": failures(trunk=trunk, attempt_code=code),
        "a code of any attempt": failures(attempt_code=code),
        "a whole number": failures(number=week.caller(ask.dice)),
        "a part of a number": failures(number=lambda: f"{ask.dice.randrange(10_000):04}"),
        "a number that never called": failures(number=of(_NOBODY)),
        "a country": failures(country=country),
        "a trunk, a class and a country": failures(trunk=trunk, class_=class_, country=country),
        "a side and a disposition": failures(fault=of("carrier"), disposition=of("congestion", "no_response")),
    }


def _weeks(ask: Asking) -> dict[str, Address]:
    failures, of = ask.failures, ask.of
    trunk, code = of(*week.TRUNKS[4:]), of(*week.CODES)
    return {
        "Failures of 7 days": failures(_WEEK),
        "7 days of a code": failures(_WEEK, code=code),
        "7 days of any outcome": failures(_WEEK, outcome=of("any")),
        "7 days of a side": failures(_WEEK, fault=of("carrier", "callee", "us")),
        "7 days of a trunk": failures(_WEEK, trunk=trunk),
        "7 days of the busiest trunk": failures(_WEEK, trunk=of(week.TRUNKS[0])),
        "7 days of a trunk and a code of its attempts": failures(_WEEK, trunk=trunk, attempt_code=code),
        "7 days of a code of any attempt": failures(_WEEK, attempt_code=code),
        "7 days of a whole number": failures(_WEEK, number=week.caller(ask.dice)),
        "7 days of a number that never called": failures(_WEEK, number=of(_NOBODY)),
        "7 days of a country": failures(_WEEK, country=of("DE", "GB", "FR", "US", "ES", "PT")),
    }


def _pages(ask: Asking, client: Client, ids: list[str]) -> dict[str, Address]:
    failures, of = ask.failures, ask.of
    trunk, code = of(*week.TRUNKS[4:]), of(*week.CODES)

    def second(number: int) -> str:
        found = _OLDER.findall(client.get(failures()(number))[1].decode())
        return str(found[0]).replace("&amp;", "&")

    return {
        "the second page": second,
        "a page far down 7 days": failures(_WEEK, before=ask.deep),
        "a page far down 7 days of a trunk": failures(_WEEK, trunk=trunk, before=ask.deep),
        "500 calls on a page": failures(limit=of(500)),
        "500 calls as CSV": ask.path("/failures.csv", limit=of(500)),
        "500 calls of a trunk as CSV": ask.path("/failures.csv", limit=of(500), trunk=trunk),
        "Call": lambda _: f"/calls/{ask.dice.choice(ids)}",
        "Live": lambda _: "/live",
        "Live, of a trunk and a code": ask.path("/live", None, trunk=trunk, code=code),
        "Live, of a number that never called": ask.path("/live", None, number=of(_NOBODY)),
        "Codes": lambda _: "/codes",
        "Codes seen here": lambda _: "/codes?seen=1",
        "one code": lambda _: f"/codes/{code()}",
        "Alerts": lambda _: "/alerts",
        "Status": lambda _: "/status",
    }


def _api(ask: Asking) -> dict[str, Address]:
    of, path = ask.of, ask.path
    trunk, code = of(*week.TRUNKS[4:]), of(*week.CODES)
    part = lambda: f"{ask.dice.randrange(10_000):04}"  # noqa: E731  # a value, as the others
    found = {
        "calls": path("/api/v1/calls", outcome=of("failed")),
        "500 calls": path("/api/v1/calls", limit=of(500)),
        "calls of a trunk, ever": path("/api/v1/calls", None, trunk=trunk),
        "calls of a number, ever": path("/api/v1/calls", None, number=part),
        "calls of a number that never called, ever": path("/api/v1/calls", None, number=of(_NOBODY)),
        "one call": path("/api/v1/calls", _HOUR, limit=of(1)),
        "attempts of a code": path("/api/v1/attempts", attempt_code=code),
        "kpi": path("/api/v1/kpi"),
        "kpi by trunk": path("/api/v1/kpi", by=of("trunk", "trunk,pbx")),
        "kpi by 15 minutes": path("/api/v1/kpi", step=of("15m")),
        "kpi of a trunk by 15 minutes": path("/api/v1/kpi", trunk=trunk, step=of("15m")),
        "kpi by trunk, by 15 minutes": path("/api/v1/kpi", by=of("trunk"), step=of("15m")),
        "kpi of a trunk by direction": path("/api/v1/kpi", by=of("direction"), trunk=trunk),
        "kpi of 7 days by trunk, by the hour": path("/api/v1/kpi", _WEEK, by=of("trunk"), step=of("1h")),
        "codes": path("/api/v1/codes", None),
        "one code": lambda _: f"/api/v1/codes/{code()}",
        "gaps of 7 days": path("/api/v1/gaps", _WEEK),
        "alerts": path("/api/v1/alerts"),
        "health": path("/api/v1/health", None),
        "healthz, readyz, metrics": lambda number: ("/healthz", "/readyz", "/metrics")[number % 3],
    }
    return {f"API: {name}": address for name, address in found.items()}
