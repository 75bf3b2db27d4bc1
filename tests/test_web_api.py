"""The API over a filled store, asked by a real client."""

from __future__ import annotations

import asyncio
import json
import random
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openapi_spec_validator import validate

from asterisk_sip.calls.model import CallRecord, SipStatus, from_json
from asterisk_sip.calls.record_schema import record_schema
from asterisk_sip.stores.base import Batch, Gap
from asterisk_sip.stores.sqlite import SqliteStore
from asterisk_sip.web import live, openapi, parameters
from asterisk_sip.web.api import ENDPOINTS, Endpoint
from asterisk_sip.web.app import application
from asterisk_sip.web.problems import ProblemError
from asterisk_sip.web.server import listen
from asterisk_sip.web.shelf import Shelf

from .call_records import BEGAN, BUSY, UNAVAILABLE, abandoned, answered, failed, rescued

ROOT = Path(__file__).resolve().parent.parent
HOSTILE = "<script>alert(1)</script>${7*7}\r\nid: 99\x1b[31m"
SPAN = {"since": "2026-11-01T12:00:00Z", "until": "2026-11-01T13:00:00Z"}
OUTAGE = Gap("g", "pbx", "ami", BEGAN, BEGAN + timedelta(minutes=6), HOSTILE)
RECORDS = [
    failed(1),
    failed(2, sip=BUSY, trunk="carrier-b"),
    rescued(3),
    abandoned(4),
    answered(5),
    replace(failed(6, sip=SipStatus(500, HOSTILE, 5)), dialled=HOSTILE),
]


@dataclass
class Site:
    """The API at an address, and the store that it reads."""

    url: str
    store: SqliteStore
    session: aiohttp.ClientSession

    async def get(self, path: str, **asked: str) -> tuple[int, Any, Any]:
        """Return status, JSON and headers of an answer."""
        async with self.session.get(f"{self.url}/api/v1{path}", params=asked) as response:
            return response.status, await response.json(content_type=None), response.headers

    async def told(self, path: str, **asked: str) -> Any:
        """Return the JSON of an answer that is fine."""
        status, body, _ = await self.get(path, **asked)
        assert status == 200, body
        return body


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    path = tmp_path / "calls.db"
    store = SqliteStore(path)
    await store.open()
    await store.write(Batch(RECORDS, gaps=[OUTAGE], listened={"pbx": BEGAN}))
    shelf = Shelf(lambda: SqliteStore(path, readonly=True), ("pbx",))
    runner = await listen(application(shelf), "127.0.0.1", 0)
    host, port = runner.addresses[0]
    async with aiohttp.ClientSession() as session:
        yield Site(f"http://{host}:{port}", store, session)
    await runner.cleanup()
    await shelf.close()
    await store.close()


async def test_calls_come_page_by_page_each_once(site: Site) -> None:
    seen: list[str] = []
    asked = {"limit": "2"}
    while True:
        page = await site.told("/calls", **asked)
        seen += [call["id"] for call in page["calls"]]
        if page["next"] is None:
            break
        asked["before"] = page["next"]
    kept = [record.id for record in RECORDS if record.outcome != "answered"]
    assert seen == kept[::-1]


@pytest.mark.parametrize(
    ("asked", "calls", "attempts"),
    [
        ({"code": "486"}, 1, 1),
        ({"class": "5"}, 2, 2),
        ({"trunk": "carrier-?"}, 5, 6),
        ({"outcome": "rescued"}, 1, 2),
        ({"disposition": "cancelled"}, 1, 1),
        ({"number": "49301"}, 4, 5),
        ({"pbx": "other"}, 0, 0),
        (SPAN, 5, 6),
    ],
)
async def test_filters_narrow_what_is_shown(site: Site, asked: dict[str, str], calls: int, attempts: int) -> None:
    assert len((await site.told("/calls", **asked))["calls"]) == calls
    assert len((await site.told("/attempts", **asked))["attempts"]) == attempts


async def test_one_call_is_the_record_word_for_word(site: Site) -> None:
    record = RECORDS[5]
    assert from_json(CallRecord, await site.told(f"/calls/{record.id}")) == record
    status, body, headers = await site.get("/calls/nobody")
    assert (status, body["title"], headers["Content-Type"]) == (404, "Not Found", "application/problem+json")


async def test_numbers_come_with_formula_interval_and_completeness(site: Site) -> None:
    told = await site.told("/kpi", by="trunk", min="1", **SPAN)
    first = told["groups"][0]
    assert first["trunk"] == "carrier-a"
    assert first["ratios"]["asr"]["formula"] == "answered / seizures"
    assert (first["ratios"]["asr"]["numerator"], first["ratios"]["asr"]["denominator"]) == (1, 5)
    assert told["unheard_s"] == {"pbx": 360.0}
    window = datetime.fromisoformat(told["until"]) - datetime.fromisoformat(told["since"])
    assert told["completeness"] == pytest.approx({"pbx": 1 - 360 / window.total_seconds()})
    assert (await site.told("/gaps", **SPAN))["completeness"] == told["completeness"]


async def test_codes_in_the_readers_language(site: Site) -> None:
    assert len((await site.told("/codes"))["codes"]) > 80
    english, german = [(await site.told("/codes/486", lang=lang))["meaning"] for lang in ("en", "de")]
    assert english != german
    assert (await site.told("/codes/q850:34"))["kind"] == "q850"
    assert (await site.get("/codes/tired"))[0] == 404


async def test_gaps_and_health(site: Site) -> None:
    (gap,) = (await site.told("/gaps", **SPAN))["gaps"]
    assert gap["reason"].startswith("<script>")
    health = await site.told("/health")
    assert health["status"] == "ok"
    assert [pbx["name"] for pbx in health["pbx"]] == ["pbx"]
    still = Gap("now", "pbx", "ami", BEGAN, None, "Asterisk is down")
    await site.store.write(Batch(gaps=[still]))
    health = await site.told("/health")
    assert health["status"] == "degraded"
    assert health["pbx"][0]["open_gaps"][0]["id"] == "now"
    assert health["pbx"][0]["completeness_24h"] == 0.0


@pytest.mark.parametrize(
    ("path", "asked", "named"),
    [
        ("/calls", {"colour": "red"}, "'colour' is no parameter here"),
        ("/calls", {"code": "99", "limit": "0"}, "limit='0' cannot be taken"),
        ("/calls", {"before": "yesterday"}, "before='yesterday'"),
        ("/calls", {"before": f"{10**30}.x"}, "The next of the page before."),
        ("/calls", {"since": "1 day"}, "since='1 day'"),
        ("/kpi", {"by": "trunk,trunk"}, "by='trunk,trunk'"),
        ("/codes", {"lang": "tlh"}, "lang='tlh'"),
        ("/stream", {"after": "-1"}, "after='-1'"),
    ],
)
async def test_a_wrong_question_is_told_why(site: Site, path: str, asked: dict[str, str], named: str) -> None:
    status, body, headers = await site.get(path, **asked)
    assert (status, body["status"], headers["Content-Type"]) == (400, 400, "application/problem+json")
    assert named in body["detail"]


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({"step": "1m", "since": "2020-01-01"}, "more than 10000 steps"),
        ({"since": "1h", "until": "2h"}, "since is later"),
    ],
)
async def test_parameters_that_do_not_go_together_are_told_apart(site: Site, asked: dict[str, str], named: str) -> None:
    status, body, _ = await site.get("/kpi", **asked)
    assert status == 422
    assert named in body["detail"]


@pytest.mark.parametrize("since", ["999999w", "0001-01-01T00:00:00+23:00", "2026-10-31t23:59:60z"])
async def test_a_time_that_no_calendar_holds_is_the_nearest_one(site: Site, since: str) -> None:
    assert len((await site.told("/calls", since=since))["calls"]) == 5


@pytest.mark.parametrize("path", ["/calls", "/nothing", "/calls/nobody", "/codes/486", "/openapi.json"])
async def test_every_answer_carries_the_headers_that_keep_browsers_safe(site: Site, path: str) -> None:
    _, _, headers = await site.get(path)
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert "Server" not in headers
    assert "json" in headers["Content-Type"]


async def test_an_unchanged_answer_is_not_sent_again(site: Site) -> None:
    url = f"{site.url}/api/v1/calls"
    async with site.session.get(url) as first:
        tag = first.headers["ETag"]
    async with site.session.get(url, headers={"If-None-Match": tag}) as same:
        assert (same.status, await same.read()) == (304, b"")
        assert same.headers["X-Content-Type-Options"] == "nosniff"
    await site.store.write(Batch([failed(9)]))
    async with site.session.get(url, headers={"If-None-Match": tag}) as new:
        assert new.status == 200


@pytest.mark.parametrize("endpoint", [each for each in ENDPOINTS if each.gives != "Stream"], ids=lambda each: each.path)
async def test_every_answer_has_a_tag_by_which_it_is_not_sent_twice(site: Site, endpoint: Endpoint) -> None:
    path = endpoint.path.replace("{id}", RECORDS[0].id).replace("{code}", "486")
    asked = {name: value for name, value in SPAN.items() if name in endpoint.takes}
    _, _, headers = await site.get(path, **asked)
    url = f"{site.url}/api/v1{path}"
    async with site.session.get(url, params=asked, headers={"If-None-Match": headers["ETag"]}) as same:
        assert (same.status, await same.read()) == (304, b"")
    async with site.session.head(url, params=asked) as head:
        assert (head.status, head.headers["ETag"]) == (200, headers["ETag"])


async def test_it_answers_under_no_name_but_this_machines(site: Site) -> None:
    for host, status in (("evil.example:8600", 421), ("localhost:1", 200), ("[::1]:8600", 200)):
        async with site.session.get(f"{site.url}/api/v1/health", headers={"Host": host}) as response:
            assert response.status == status, host


async def test_only_reading_is_served(site: Site) -> None:
    async with site.session.post(f"{site.url}/api/v1/calls") as response:
        assert response.status == 405
        assert "GET" in response.headers["Allow"]
        assert (await response.json(content_type=None))["title"] == "Method Not Allowed"


async def test_a_store_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "later.db"
    shelf = Shelf(lambda: SqliteStore(path, readonly=True))
    runner = await listen(application(shelf), "127.0.0.1", 0)
    url = "http://{}:{}/api/v1/calls".format(*runner.addresses[0])
    async with aiohttp.ClientSession() as session:
        async with session.get(url) as response:
            assert (response.status, response.headers["Retry-After"]) == (503, "5")
        store = SqliteStore(path)
        await store.open()
        async with session.get(url) as response:
            assert await response.json() == {"calls": [], "next": None}
        await store.close()
    await runner.cleanup()
    await shelf.close()


async def events(response: aiohttp.ClientResponse, count: int) -> list[dict[str, str]]:
    """Read so many events of a stream, as a browser would."""
    found: list[dict[str, str]] = []
    event: dict[str, str] = {}
    async with asyncio.timeout(20):
        async for line in response.content:
            text = line.decode().rstrip("\n")
            if text:
                name, _, value = text.partition(": ")
                event[name] = value
            elif "data" in event:
                found.append(event)
                event = {}
                if len(found) == count:
                    break
    return found


async def test_the_stream_goes_on_where_a_reader_left_it(site: Site) -> None:
    url = f"{site.url}/api/v1/stream"
    async with site.session.get(url, params={"after": "0"}) as response:
        assert response.content_type == "text/event-stream"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        first = await events(response, 5)
    assert [json.loads(event["data"])["id"] for event in first] == [r.id for r in RECORDS if r.outcome != "answered"]
    assert json.loads(first[-1]["data"])["dialled"] == HOSTILE
    await site.store.write(Batch([failed(10), failed(11, trunk="carrier-b")]))
    async with site.session.get(url, headers={"Last-Event-ID": first[-1]["id"]}) as response:
        assert [json.loads(event["data"])["id"] for event in await events(response, 2)] == [
            failed(10).id,
            failed(11).id,
        ]
    asked = {"after": "0", "trunk": "carrier-b"}
    async with site.session.get(url, params=asked) as response:
        assert len(await events(response, 3)) == 3
    async with site.session.get(url, headers={"Last-Event-ID": "x"}) as response:
        assert response.status == 400


async def test_a_stream_looks_at_few_calls_at_a_time_and_misses_none(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "LOOKED_AT", 2)
    numbers = {20, 33, 34, 35, 36, 50}
    records = [failed(number, sip=BUSY if number in numbers else UNAVAILABLE) for number in range(20, 51)]
    await site.store.write(Batch(records))
    asked = {"after": "0", "number": "+4930", "code": "486"}
    async with site.session.get(f"{site.url}/api/v1/stream", params=asked) as response:
        found = await events(response, 1 + len(numbers))
        await site.store.write(Batch([failed(60), failed(61, sip=BUSY)]))
        found += await events(response, 1)
    expected = [failed(number).id for number in (2, *sorted(numbers), 61)]
    assert [json.loads(event["data"])["id"] for event in found] == expected


async def test_a_reader_hears_a_call_that_comes_later(site: Site) -> None:
    async with site.session.get(f"{site.url}/api/v1/stream") as response:
        await site.store.write(Batch([failed(12)]))
        (event,) = await events(response, 1)
    assert json.loads(event["data"])["id"] == failed(12).id


def some_text(dice: random.Random) -> str:
    known = [
        "1h",
        "2d",
        "2026-11-01",
        "0001-01-01",
        "9999-12-31T23:59:59-12:00",
        "503",
        "5",
        "*",
        "%_\\",
        "trunk",
        "de",
    ]
    odd = "".join(chr(dice.choice([dice.randrange(1, 0xD800), dice.randrange(128)])) for _ in range(dice.randrange(9)))
    return dice.choice([*known, "1m", "0", "-1", str(10**30), "now\0", HOSTILE, odd])


async def test_every_answer_is_as_the_description_says_whatever_is_asked(site: Site, tmp_path: Path) -> None:
    """Schemathesis makes up what fits the description and what does not: this is a check from outside."""
    settings_file = tmp_path / "schemathesis.toml"
    settings_file.write_text('[checks]\npositive_data_acceptance.expected-statuses = ["2xx", "304", "404", "422"]\n')
    command = (
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(settings_file), "run"),
        *(f"{site.url}/api/v1/openapi.json", "--exclude-path", "/api/v1/stream", "--no-color"),
        *("--phases", "coverage,fuzzing", "--max-examples", "25", "--seed", "7", "--generation-database", "none"),
    )
    asking = await asyncio.create_subprocess_exec(
        *command, cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    told, _ = await asking.communicate()
    assert asking.returncode == 0, told.decode()
    assert b"9 selected / 10 total" in told


async def test_no_question_breaks_an_answer(site: Site) -> None:
    dice = random.Random(7)
    statuses: set[int] = set()
    for _ in range(400):
        endpoint = dice.choice([each for each in ENDPOINTS if each.gives != "Stream"])
        path = re.sub(r"{\w+}", lambda _: quote(some_text(dice).replace("/", "") or "x", safe=""), endpoint.path)
        asked = {name: some_text(dice) for name in dice.sample(endpoint.takes, dice.randrange(len(endpoint.takes) + 1))}
        status, body, headers = await site.get(path, **asked)
        statuses.add(status)
        assert status in (200, 400, 404, 422), (path, asked, body)
        assert headers["Content-Type"].startswith("application/json" if status == 200 else "application/problem+json")
    assert statuses >= {200, 400, 404}


@settings(max_examples=300, deadline=None)
@given(name=st.sampled_from(sorted(parameters.PARAMETERS)), text=st.text(max_size=40))
def test_no_text_breaks_the_reading_of_parameters(name: str, text: str) -> None:
    try:
        assert name in parameters.read({name: text}, (name,))
    except ProblemError:
        return


def test_the_published_schema_is_current() -> None:
    script = ROOT / "scripts" / "make_call_schema.py"
    done = subprocess.run([sys.executable, script, "--check"], check=False)
    assert done.returncode == 0, f"run {script.relative_to(ROOT)}"


def test_the_description_names_every_path_and_every_reference_leads_somewhere() -> None:
    described = openapi.document()
    validate(described)
    assert described["openapi"] == "3.1.0"
    text = json.dumps(described)
    for name in set(text.split('"#/components/schemas/')[1:]):
        assert name.partition('"')[0] in described["components"]["schemas"]
    assert "/api/v1/calls/{id}" in described["paths"]
    assert record_schema()["title"] == "asterisk-sip/call/1"
