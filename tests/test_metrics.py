"""The metrics: told in the docs one by one, in the format that Prometheus wants, and true in a real run."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from asterisk_sip.metrics import METRICS, PREFIX, of_health, of_tally
from asterisk_sip.password import hashed, token
from asterisk_sip.stores.sqlite import SqliteStore
from asterisk_sip.web.app import application
from asterisk_sip.web.exposition import exposition
from asterisk_sip.web.server import listen
from asterisk_sip.web.shelf import Shelf

from .ami_server import ScriptedAmi
from .call_records import failed, write
from .played import ALERT, Site, hearing, played
from .prometheus import promtool
from .test_calls_tally import RECORDS, tally
from .test_health import WELL

PAGE = (Path(__file__).parent.parent / "docs" / "metrics.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(asterisk_sip_\w+)` \| (\w+) \| (.*?) \| (.+?) \|$", re.MULTILINE)
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
MORE = """
[[sink.jsonl]]
name = "lines"
path = "lines.jsonl"
"""


def test_the_page_tells_every_metric_with_its_kind_and_labels_and_no_other() -> None:
    written = [
        (name, kind, tuple(re.findall(r"`(\w+)`", labels)), about) for name, kind, labels, about in ROW.findall(PAGE)
    ]
    suffix = {"counter": "_total"}
    assert written == [
        (f"{PREFIX}{each.name}{suffix.get(each.kind, '')}", each.kind, each.labels, each.about) for each in METRICS
    ]


def test_each_name_says_its_unit() -> None:
    for each in METRICS:
        assert not each.unit or each.name.endswith(each.unit), each.name
        assert each.about.endswith("."), each.name


def read_openmetrics(text: str) -> list[Metric]:
    """Read strictly: this parser raises for whatever OpenMetrics forbids."""
    return list(openmetrics.text_string_to_metric_families(text))  # type: ignore[no-untyped-call]  # it has no types


def numbers(text: str, name: str) -> float:
    """The sum of all samples of one name."""
    return sum(sample.value for family in read_text(text) for sample in family.samples if sample.name == name)


def test_both_formats_tell_the_same() -> None:
    samples = of_tally(tally(*RECORDS)) | of_health(WELL)
    plain, plain_type = exposition(samples, "text/plain")
    open_text, open_type = exposition(samples, OPENMETRICS)
    assert plain_type.startswith("text/plain; version=0.0.4")
    assert open_type.startswith(OPENMETRICS)

    def told(families: Iterable[Metric]) -> dict[tuple[str, str], float]:
        return {
            (sample.name, json.dumps(sample.labels, sort_keys=True)): sample.value
            for family in families
            for sample in family.samples
            if sample.name.startswith(PREFIX)
        }

    assert told(read_text(plain.decode())) == told(read_openmetrics(open_text.decode()))
    assert len(told(read_text(plain.decode()))) > 80


def test_hostile_names_do_not_break_the_format() -> None:
    hostile = 'a"b\\c\nd{e="f"} 1'
    samples = of_tally(tally(*RECORDS)) | {"calls": {("pbx", hostile, "outbound", "failed"): 1.0}}
    (sample,) = [
        sample
        for family in read_text(exposition(samples, "")[0].decode())
        for sample in family.samples
        if sample.name == "asterisk_sip_calls_total"
    ]
    assert sample.labels["trunk"] == hostile


async def scraped(site: Site, least_calls: int) -> str:
    """Wait until so many calls are counted; give what is served then."""
    async with asyncio.timeout(30):
        while True:
            status, _, text = await site.get("/metrics")
            if status == 200 and numbers(text, "asterisk_sip_calls_total") >= least_calls:
                return text
            await asyncio.sleep(0.05)


async def test_a_real_run_is_counted_as_it_is_recorded(tmp_path: Path) -> None:
    async with played(tmp_path, MORE + ALERT) as site:
        text = await scraped(site, 60)
        _, content_type, open_text = await site.get("/metrics", Accept=OPENMETRICS)
        assert content_type.startswith(OPENMETRICS)
        assert read_openmetrics(open_text)
        ready = await site.ready()
        status, _, alive = await site.get("/healthz")
        assert (status, json.loads(alive)["status"]) == (200, "alive")
        said = promtool("check", "metrics", given=text)
        assert (said.returncode, said.stdout + said.stderr) == (0, "")
        assert await site.program.stop() == 0
    assert ready["status"] == "ready"
    assert ready["pbx"][0]["doors"] == [{"door": "ami", "up": True, "trouble": None}]
    families = {family.name for family in read_text(text)}
    assert {PREFIX + each.name for each in METRICS} <= families
    assert {"process_cpu_seconds", "process_resident_memory_bytes", "process_open_fds"} <= families
    for name, least in {
        "asterisk_sip_failed_attempts_total": 10,
        "asterisk_sip_attempt_evidence_total": 10,
        "asterisk_sip_pdd_seconds_count": 5,
        "asterisk_sip_record_lag_seconds_count": 50,
        "asterisk_sip_store_write_seconds_count": 1,
        "asterisk_sip_sink_delivered_total": 10,
        "asterisk_sip_events_total": 500,
        "asterisk_sip_link_up": 1,
        "asterisk_sip_ready": 1,
    }.items():
        assert numbers(text, name) >= least, name
    assert numbers(text, "asterisk_sip_calls_total") <= numbers(text, "asterisk_sip_records_total")
    assert numbers(text, "asterisk_sip_completeness_ratio") > 0.99


async def test_counters_never_fall_while_they_are_scraped_under_load(tmp_path: Path) -> None:
    async with played(tmp_path) as site:
        last = 0.0
        for _ in range(40):
            status, _, text = await site.get("/metrics")
            assert status == 200
            assert numbers(text, "asterisk_sip_calls_total") >= last
            last = numbers(text, "asterisk_sip_calls_total")
        await scraped(site, 20)
        assert await site.program.stop() == 0


async def test_a_stranger_learns_which_part_is_in_trouble_and_no_more(tmp_path: Path) -> None:
    secret = token("prometheus")
    let_in = f"""
[[web.token]]
name = "prometheus"
token_hash = "{hashed(secret)}"
"""
    async with ScriptedAmi() as pbx, hearing(pbx, tmp_path, let_in) as site:
        await site.program.says("listening")
        await pbx.stop()
        await site.program.says("not listening")
        assert json.loads((await site.get("/readyz"))[2]) == {"status": "not ready", "reasons": [{"part": "pbx"}]}
        assert (await site.get("/healthz"))[0] == 200
        assert (await site.get("/metrics"))[0] == 401
        known = {"Authorization": f"Bearer {secret}"}
        assert (await site.get("/metrics", **known))[0] == 200
        assert "pbx1 (ami: " in (await site.get("/readyz", **known))[2]


async def test_metrics_can_be_switched_off(tmp_path: Path) -> None:
    async with played(tmp_path) as site:
        config = tmp_path / "asterisk-sip.toml"
        assert await site.program.stop() == 0
        config.write_text(config.read_text().replace("[web]", "[web]\nmetrics = false"))
        await site.program.start()
        await site.program.says("serving", 2)
        assert (await site.get("/metrics"))[0] == 404
        assert (await site.get("/healthz"))[0] == 200


async def test_a_pbx_that_is_gone_is_told_with_its_reason_and_makes_the_program_not_ready(tmp_path: Path) -> None:
    async with ScriptedAmi() as pbx, hearing(pbx, tmp_path) as site:
        await site.program.says("listening")
        await pbx.stop()
        await site.program.says("not listening")
        status, _, text = await site.get("/readyz")
        told = json.loads(text)
        assert (status, told["status"], told["reasons"][0]["part"]) == (503, "not ready", "pbx")
        assert "pbx1 (ami: " in told["reasons"][0]["text"]
        _, _, metrics = await site.get("/metrics")
        assert numbers(metrics, "asterisk_sip_link_up") == numbers(metrics, "asterisk_sip_ready") == 0
        assert numbers(metrics, "asterisk_sip_link_outages_total") == numbers(metrics, "asterisk_sip_open_gaps") == 1


@pytest.mark.mounts
def test_what_the_process_uses_is_told_where_only_its_own_part_of_proc_is_to_be_seen() -> None:
    script = "from asterisk_sip.web.exposition import exposition; print(exposition({}, '')[0].decode())"
    hidden = "mount -t proc -o subset=pid proc /proc && exec " + shlex.join([sys.executable, "-c", script])
    command = ["unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "sh", "-c", hidden]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert numbers(done.stdout, "process_resident_memory_bytes") > 10e6
    assert numbers(done.stdout, "process_start_time_seconds") == pytest.approx(time.time(), abs=60)


async def test_a_store_that_is_only_read_is_ready_as_soon_as_it_is_there(tmp_path: Path) -> None:
    path = tmp_path / "calls.db"
    shelf = Shelf(lambda: SqliteStore(path, readonly=True))
    runner = await listen(application(shelf), "127.0.0.1", 0)
    host, port = runner.addresses[0][:2]
    async with aiohttp.ClientSession() as session:

        async def asked(what: str) -> tuple[int, str]:
            async with session.get(f"http://{host}:{port}/{what}") as response:
                return response.status, await response.text()

        status, text = await asked("readyz")
        assert (status, json.loads(text)["reasons"][0]["part"]) == (503, "store")
        assert "asterisk_sip_store_up 0.0" in (await asked("metrics"))[1]
        await write(path, failed(1))
        assert (await asked("readyz"))[0] == 200
        told = (await asked("metrics"))[1]
        assert "asterisk_sip_store_up 1.0" in told
        assert "asterisk_sip_calls_total" not in told  # whoever wrote them has counted them
        assert (await asked("healthz"))[0] == 200
    await runner.cleanup()
    await shelf.close()
