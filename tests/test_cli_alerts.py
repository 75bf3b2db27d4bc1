"""The verb `alerts`: what fires, what would have, and silence, as a person asks for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from asterisk_sip import cli
from asterisk_sip.alerts.model import change_of
from asterisk_sip.calls.model import CallRecord
from asterisk_sip.config import load
from asterisk_sip.config_alerts import rules
from asterisk_sip.daemon_alerts import Lookout
from asterisk_sip.stores.alert_book import AlertBook
from asterisk_sip.stores.base import Batch, Keep
from asterisk_sip.stores.sqlite import SqliteStore

from .call_records import BEGAN, answered, failed
from .lab.wait import until

CONFIG = """
[[pbx]]
name = "pbx"

[store]
path = "calls.db"

[records]
keep = "all"

[[alerts]]
name = "congestion"
kind = "share"
filter = { code = 503 }
group_by = ["trunk"]
threshold = 0.5
clear = 0.2
window_s = 60
min_samples = 10

[[alerts]]
name = "off"
enabled = false
kind = "hook"
filter = { code = 503 }

[[alerts]]
name = "sinks"
kind = "sink"
"""
SECRET = {"ASTERISK_SIP_AMI_SECRET": "for-this-test"}

Run = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a configuration in the folder the test is in."""
    path = tmp_path / "asterisk-sip.toml"
    path.write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ASTERISK_SIP_CONFIG", raising=False)
    return path


def ask(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    """Run the verb, and return its lines of JSON."""
    assert cli.main(["alerts", *arguments, "--format", "json"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def an_hour(of: int = 0) -> list[CallRecord]:
    """Return calls of an hour: answered, then two minutes of 503, then answered again, on two trunks."""
    calls: list[CallRecord] = []
    for second in range(0, 600, 2):
        bad = 240 <= second < 360
        calls.append(failed(of + second) if bad and second % 8 else answered(of + second))
        calls.append(answered(of + second + 1, "carrier-b"))
    return calls


async def lived(config: Path, records: list[CallRecord], keep: Keep = "all", later_s: float = 300) -> None:
    """Let the daemon's own part judge records as they are recorded, with the clock of the calls."""
    loaded = load(config, SECRET)
    store = SqliteStore(loaded.store.path, keep, delivers=True)
    await store.open()
    now = [BEGAN.timestamp()]
    lookout = Lookout(rules(loaded.alerts), ["pbx"], store, AlertBook(store), clock=lambda: now[0])
    working = asyncio.create_task(lookout.run())
    await until(lambda: lookout.taken_up, "what was known to be taken up")
    for start in range(0, len(records), 50):
        portion = records[start : start + 50]
        await store.write(Batch(portion))
        now[0] = max(record.ended_at for record in portion if record.ended_at).timestamp() + 0.5
        lookout.wake()
        read = start + len(portion)
        await until(lambda read=read: lookout.tally.records == read, "the records to be judged")  # type: ignore[misc]  # a lambda with a default
    now[0] += later_s
    lookout.finish()
    await working
    await store.close()


def test_live_and_backtest_tell_the_same_over_the_same_calls(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(lived(config, an_hour()))
    capsys.readouterr()
    told = ask(capsys, "history", "--since", "2026-10-01")
    judged = ask(capsys, "backtest", "congestion", "--since", "2026-11-01T12:00:00Z", "--until", "2026-11-01T13:00:00Z")
    assert [(entry["fired"], entry["cleared"]) for entry in told] == [
        (entry["fired"], entry["cleared"]) for entry in judged
    ]
    (entry,) = judged
    assert entry["fired"]["group"] == {"trunk": "carrier-a"}
    assert entry["cleared"]["at"] > entry["fired"]["at"]


def test_where_answered_calls_are_only_counted_a_backtest_says_so_and_comes_close(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(lived(config, an_hour(), "failures"))
    capsys.readouterr()
    (told,) = ask(capsys, "history", "--since", "2026-10-01")
    window = ("--since", "2026-11-01T12:00:00Z", "--until", "2026-11-01T13:00:00Z")
    (judged,) = ask(capsys, "backtest", "congestion", *window)
    assert abs(seconds(judged["fired"]["at"]) - seconds(told["fired"]["at"])) <= 60
    assert cli.main(["alerts", "backtest", "congestion", *window]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "It would have fired once in 1 h" in out
    assert "answered calls are known by the minute only" in out


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def test_a_backtest_of_a_hook_shows_each_record_also_when_the_rule_is_off(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded(config, failed(1), answered(2), failed(3))
    found = ask(capsys, "backtest", "off", "--since", "2026-11-01T00:00Z", "--until", "2026-11-02T00:00Z")
    assert [each["fired"]["samples"] for each in found] == [[failed(1).id], [failed(3).id]]
    assert cli.main(["alerts", "backtest", "off", "--since", "2026-11-01T00:00Z"]) == 0
    assert failed(1).id in capsys.readouterr().out


def recorded(config: Path, *records: CallRecord) -> None:
    async def write() -> None:
        store = SqliteStore(load(config, SECRET).store.path, "all")
        await store.open()
        await store.write(Batch(list(records)))
        await store.close()

    asyncio.run(write())


def test_a_rule_that_is_not_there_is_told_with_those_that_are(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recorded(config)
    assert cli.main(["alerts", "backtest", "nothing"]) == 1
    assert "no alert is called 'nothing'; there are: congestion, off, sinks" in capsys.readouterr().err
    assert cli.main(["alerts", "backtest", "sinks"]) == 1
    assert "how they did is not stored" in capsys.readouterr().err
    assert cli.main(["alerts", "silence", "nothing*", "--for", "1h", "--why", "x"]) == 1
    assert "no alert is called 'nothing*'" in capsys.readouterr().err


def test_what_is_listed_says_what_fires_and_what_is_silent(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    now = datetime.now(UTC)
    calls = [moved(failed(number), now - timedelta(seconds=40 - number)) for number in range(40)]
    assert [each["firing"] for each in ask(capsys, "list")] == [[], []]
    asyncio.run(lived(config, calls, later_s=3))
    assert cli.main(["alerts", "silence", "cong*", "--for", "2h", "--why", "works", "--by", "kim"]) == 0
    assert "cong* is silent until" in capsys.readouterr().out
    rule, _ = ask(capsys, "list")
    assert (rule["name"], rule["condition"]) == ("congestion", "share >= 50 % over 1 min, of 10 or more")
    assert (rule["silent_why"], rule["firing"]) == ("works", [{"trunk": "carrier-a"}])
    assert cli.main(["alerts", "list"]) == 0
    assert "works" in capsys.readouterr().out
    assert cli.main(["alerts", "unsilence", "cong*"]) == 0
    assert cli.main(["alerts", "unsilence", "cong*"]) == 1


def moved(record: CallRecord, at: datetime) -> CallRecord:
    return replace(record, ended_at=at, started_at=at)


def test_somebody_takes_an_alert_on_by_the_beginning_of_its_id(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(lived(config, an_hour()))
    capsys.readouterr()
    (entry,) = ask(capsys, "history", "--since", "2026-10-01")
    assert cli.main(["alerts", "acknowledge", entry["id"][:8], "--why", "calling them", "--by", "kim"]) == 0
    capsys.readouterr()
    (entry,) = ask(capsys, "history", "--since", "2026-10-01")
    assert (entry["acknowledged_by"], entry["why"]) == ("kim", "calling them")
    capsys.readouterr()
    assert cli.main(["alerts", "history", "--since", "2026-10-01"]) == 0
    assert "kim" in capsys.readouterr().out
    assert cli.main(["alerts", "acknowledge", "ffffffffffff"]) == 1
    assert change_of(json.dumps(entry["fired"])).rule == "congestion"


def test_a_sample_needs_a_target(config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    monkeypatch.setenv(*next(iter(SECRET.items())))
    assert cli.main(["alerts", "test", "congestion"]) == 1
    assert "has no target" in capsys.readouterr().err
    text = config.read_text() + '\n[[alert_target.exec]]\nname = "say"\nargv = ["/bin/cat"]\n'
    config.write_text(text + '[[alert_target.exec]]\nname = "fails"\nargv = ["/bin/false"]\n')
    assert cli.main(["alerts", "test", "congestion"]) == 1
    out = capsys.readouterr().out
    assert "say: delivered" in out
    assert "fails: " in out
