"""What configs/prometheus and configs/grafana ask for is there, and a real Prometheus has it after a run."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from asterisk_sip.metrics import METRICS, PREFIX

from .played import ALERT, played
from .prometheus import Prometheus, prometheus, promtool

ROOT = Path(__file__).resolve().parent.parent
CONFIGS = ROOT / "configs"
RULES = CONFIGS / "prometheus" / "asterisk-sip.rules.yml"
UNIT_TESTS = CONFIGS / "prometheus" / "asterisk-sip.test.yml"
DASHBOARDS = sorted((CONFIGS / "grafana" / "dashboards").glob("*.json"))
ASKED = {"$window": "1m", "$__rate_interval": "10s", "$pbx": ".*", "$trunk": ".*", "$instance": ".*"}
SINKS = """
[[sink.jsonl]]
name = "lines"
wants = ["failure", "answered", "gap"]
path = "lines.jsonl"

[[sink.webhook]]
name = "refused"
url = "http://127.0.0.1:9/"
"""


def samples() -> set[str]:
    """The names under which Prometheus keeps our metrics."""
    suffixes = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
    return {f"{PREFIX}{metric.name}{suffix}" for metric in METRICS for suffix in suffixes[metric.kind]}


def dashboard(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def queries(path: Path) -> list[str]:
    """The questions of every panel of a dashboard, with its variables filled in."""
    found = []
    for panel in dashboard(path)["panels"]:
        for target in panel.get("targets", ()):
            query = target["expr"]
            for name, value in ASKED.items():
                query = query.replace(name, value)
            assert "$" not in query, query
            found.append(query)
    return found


def variables(path: Path) -> list[tuple[str, str]]:
    """What the variables of a dashboard offer: the values of which label, of which series."""
    asked = [each["query"] for each in dashboard(path)["templating"]["list"] if each["type"] == "query"]
    return [(query.rpartition(", ")[2].rstrip(")"), query.partition("(")[2].rpartition(", ")[0]) for query in asked]


def test_the_dashboards_are_those_that_the_script_makes() -> None:
    script = ROOT / "scripts" / "make_grafana_dashboards.py"
    done = subprocess.run([sys.executable, script, "--check"], check=False)
    assert done.returncode == 0, f"run {script.relative_to(ROOT)}"


@pytest.mark.parametrize("path", [RULES, *DASHBOARDS], ids=lambda path: path.name)
def test_only_metrics_that_exist_are_asked_for(path: Path) -> None:
    named = set(re.findall(r"(?<![\w:])asterisk_sip_\w+(?![\w:])", path.read_text(encoding="utf-8")))
    assert named
    assert named <= samples()


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.name)
def test_every_panel_says_what_it_shows(path: Path) -> None:
    panels = [panel for panel in dashboard(path)["panels"] if panel["type"] != "row"]
    assert all(panel["description"].endswith(".") and panel["title"] for panel in panels)
    assert all(panel["datasource"]["uid"] == "${datasource}" for panel in panels)


def test_the_rules_do_what_their_unit_tests_say_and_each_alert_has_one() -> None:
    assert promtool("check", "config", "--syntax-only", str(RULES.with_name("prometheus.yml"))).returncode == 0
    said = promtool("test", "rules", str(UNIT_TESTS))
    assert said.returncode == 0, said.stdout + said.stderr
    alerts = set(re.findall(r"- alert: (\w+)", RULES.read_text()))
    assert len(alerts) >= 12
    assert alerts == set(re.findall(r"alertname: (\w+)", UNIT_TESTS.read_text()))


def test_every_alert_is_in_the_docs() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert set(re.findall(r"- alert: (\w+)", RULES.read_text())) == set(
        re.findall(r"^\| `(AsteriskSip\w+)` ", page, re.MULTILINE)
    )


async def without_data(server: Prometheus, asked: list[str], within_s: float) -> list[str]:
    """Ask everything again and again until it is answered; give the questions that no number answered in time."""
    deadline = time.monotonic() + within_s
    left = asked
    while left and time.monotonic() < deadline:
        await asyncio.sleep(0.5)
        left = [query for query in left if not await server.numbers(query)]
    return left


async def test_every_question_of_every_dashboard_is_answered_by_a_prometheus_that_scraped_a_run(tmp_path: Path) -> None:
    asked = [query for path in DASHBOARDS for query in queries(path)]
    assert len(asked) >= 60
    async with played(tmp_path / "run", SINKS + ALERT) as site:
        async with prometheus(tmp_path / "prometheus", site.url.removeprefix("http://"), RULES) as server:
            left = await without_data(server, asked, within_s=60)
            assert left == []
            for label, series in (pair for path in DASHBOARDS for pair in variables(path)):
                assert await server.ask(f"label/{label}/values", **{"match[]": series}), series
            told = await server.ask("rules")
        assert await site.program.stop() == 0
    rules = [rule for group in told["groups"] for rule in group["rules"]]
    assert {rule["health"] for rule in rules} <= {"ok", "unknown"}  # unknown: not yet evaluated
