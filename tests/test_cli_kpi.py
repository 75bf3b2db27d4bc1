"""The verb `kpi`: numbers an engineer reads at night, and the same for a program."""

from __future__ import annotations

import asyncio
import csv
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from asterisk_sip import cli, render_kpi
from asterisk_sip.calls.model import CallRecord, call_id
from asterisk_sip.stores.base import Batch, Gap
from asterisk_sip.stores.sqlite import SqliteStore

from .call_records import answered, failed

NOW = datetime.now(UTC)
MINUTE = timedelta(minutes=1)
HOSTILE = "=[red]evil\x1b[31m"


def ago(record: CallRecord, number: int, minutes: int) -> CallRecord:
    at = NOW - minutes * MINUTE
    tried = tuple(replace(attempt, ended_at=at) for attempt in record.attempts)
    talked = None if record.answered_at is None else at - MINUTE
    return replace(record, id=call_id("pbx", str(number)), ended_at=at, answered_at=talked, attempts=tried)


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    records = [ago(answered(number), number, 10) for number in range(40)]
    records += [ago(failed(number), number, 70) for number in range(100, 110)]
    records += [ago(failed(200, trunk=HOSTILE), 200, 5)]
    gap = Gap("g", "berlin", "ami", NOW - 30 * MINUTE, NOW - 24 * MINUTE, "reset")

    async def fill() -> None:
        store = SqliteStore(tmp_path / "calls.db")
        await store.open()
        await store.write(Batch(records, gaps=[gap]))
        await store.close()

    asyncio.run(fill())
    return tmp_path / "calls.db"


def said(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> tuple[str, str]:
    assert cli.main(["kpi", *map(str, arguments)]) == code
    return capsys.readouterr()


def test_the_table_shows_value_interval_count_formula_and_completeness(
    capsys: pytest.CaptureFixture[str], filled: Path
) -> None:
    out, _ = said(capsys, "--store", filled, "--since", "3h")
    assert "80.0 %" in out
    assert "[67-89] of 50" in out
    assert "ASR: answer seizure ratio = answered / seizures (ITU-T E.425)" in out
    assert "503: 10" in out
    assert "berlin: not heard for 6 min of 3 h" in out
    assert "\x1b" not in out
    assert "=[red]evil" in out
    assert "-: fewer than 30" in out


def test_a_narrow_terminal_shows_the_same_numbers_below_each_other(
    capsys: pytest.CaptureFixture[str], filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(render_kpi, "_PIPE_WIDTH", 80)
    out, _ = said(capsys, "--store", filled, "--since", "3h")
    assert "[67-89] of 50" in out
    assert "503: 10" in out
    assert max(map(len, out.splitlines())) <= 80


def test_a_program_gets_numerators_too(capsys: pytest.CaptureFixture[str], filled: Path) -> None:
    out, err = said(capsys, "--store", filled, "--since", "3h", "--trunk", "carrier-*", "--format", "json")
    (group,) = map(json.loads, out.splitlines())
    assert group["trunk"] == "carrier-a"
    assert (group["ratios"]["asr"]["numerator"], group["ratios"]["asr"]["denominator"]) == (40, 50)
    assert group["acd"] == {"count": 40, "mean_s": 60.0}
    assert group["failures"]["by_code"] == {"503": 10}
    assert "berlin: not heard" in err


def test_steps_begin_at_whole_ones(capsys: pytest.CaptureFixture[str], filled: Path) -> None:
    out, _ = said(capsys, "--store", filled, "--since", "3h", "--step", "15m", "--total", "--format", "json")
    groups = [json.loads(line) for line in out.splitlines()]
    assert sum(group["attempts"] for group in groups) == 51
    assert {datetime.fromisoformat(group["at"]).minute % 15 for group in groups} == {0}


def test_a_spreadsheet_runs_no_formula(capsys: pytest.CaptureFixture[str], filled: Path) -> None:
    out, _ = said(capsys, "--store", filled, "--since", "3h", "--by", "trunk", "--by", "pbx", "--format", "csv")
    rows = list(csv.DictReader(out.splitlines()))
    assert {row["trunk"][:2] for row in rows} == {"ca", "'="}
    assert rows[-1]["asr_value"] == "0.8"
    assert rows[0]["asr_value"] == ""


def test_what_it_cannot_do_is_one_line(capsys: pytest.CaptureFixture[str], filled: Path) -> None:
    _, err = said(capsys, "--store", filled, "--step", "soon", code=2)
    assert err == "asterisk-sip: --step 'soon' is no length of time; give 15m, 1h or 1d\n"
    out, _ = said(capsys, "--store", filled, "--since", "1m")
    assert "No attempt on a trunk ended in this time." in out
    assert "No gap is recorded in this time" in out
