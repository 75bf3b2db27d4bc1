"""The verb `gaps`, and what `calls` says of a time that was not listened to."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from asterisk_sip import cli
from asterisk_sip.stores.base import Batch, Gap
from asterisk_sip.stores.sqlite import SqliteStore

from .call_records import failed

NOW = datetime.now(UTC)
MINUTE = timedelta(minutes=1)
OUTAGE = Gap("g1", "berlin", "ami", NOW - 40 * MINUTE, NOW - 10 * MINUTE, "Asterisk closed \x1b[31mthe connection")
COVERED = Gap("g2", "berlin", "ari", NOW - 5 * MINUTE, None, "refused", blind=False)


def filled(path: Path, *gaps: Gap) -> Path:
    async def fill() -> None:
        store = SqliteStore(path)
        await store.open()
        await store.write(Batch([failed(1)], gaps=list(gaps)))
        await store.close()

    asyncio.run(fill())
    return path


def said(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[str, str]:
    assert cli.main([str(argument) for argument in arguments]) == 0
    out, err = capsys.readouterr()
    return " ".join(out.split()), " ".join(err.split())


def test_each_gap_is_told_with_its_reason_and_what_it_means(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out, _ = said(capsys, "gaps", "--store", filled(tmp_path / "calls.db", OUTAGE, COVERED), "--since", "1h")
    assert "30 min" in out
    assert "calls may be missing" in out
    assert "another door told of the calls" in out
    assert "\x1b" not in out
    assert "berlin: not heard for 30 min of 1 h, 50.00 % complete" in out


def test_a_time_without_a_gap_is_said_to_be_whole(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out, _ = said(capsys, "gaps", "--store", filled(tmp_path / "calls.db"), "--since", "2h")
    assert out == "No gap is recorded in this time (2 h)."


def test_gaps_for_a_program(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = filled(tmp_path / "calls.db", OUTAGE, COVERED)
    out, _ = said(capsys, "gaps", "--store", path, "--since", "1h", "--format", "json")
    told = json.JSONDecoder().raw_decode(out)[0]
    assert (told["id"], told["source"], told["blind"], told["reason"]) == ("g1", "ami", True, OUTAGE.reason)
    assert datetime.fromisoformat(told["ended_at"]) == OUTAGE.ended_at


def test_a_gap_of_a_blink_never_looks_complete(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    blink = Gap("g3", "berlin", "ami", NOW - MINUTE, NOW - MINUTE + timedelta(milliseconds=300), "reset")
    out, _ = said(capsys, "gaps", "--store", filled(tmp_path / "calls.db", blink), "--since", "30d")
    assert "not heard for 0.3 s of 30 d, 99.99 % complete" in out


def test_a_listing_of_calls_says_what_was_not_heard(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = filled(tmp_path / "calls.db", OUTAGE)
    _, err = said(capsys, "calls", "--store", path, "--since", "1h")
    assert "berlin: not heard for 30 min of 1 h, 50.00 % complete; see: asterisk-sip gaps" in err
    _, silent = said(capsys, "calls", "--store", path, "--since", "5m")
    assert "not heard" not in silent
