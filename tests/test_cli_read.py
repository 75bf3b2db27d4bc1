"""The verbs that read, as their user sees them: what is printed, where, and the exit code."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from asterisk_sip import cli, render, render_plain
from asterisk_sip.calls.model import Caller, CallRecord, Evidence, Grade, SipStatus, from_json
from asterisk_sip.stores.base import Batch
from asterisk_sip.stores.sqlite import SqliteStore

from .call_records import BEGAN, BUSY, abandoned, attempt, failed, rescued, write

DEADLINE_S = 30.0

HOSTILE = replace(
    failed(9),
    caller=Caller("\x1b[31m666", "[red]Eve[/red]\u202egnp.exe", "x"),
    dialled="=cmd|'/C calc'!A0\r\n",
    sip=replace(BUSY, phrase="[bold]Busy\x9b2J\x07"),
)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "calls.db"
    records = (failed(1), failed(2, sip=BUSY, trunk="carrier-b"), rescued(3), abandoned(4))
    asyncio.run(write(path, *records))
    return path


class Shown:
    """Runs a verb and keeps what it printed."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: object, code: int = 0) -> tuple[str, str]:
        assert cli.main([str(argument) for argument in arguments]) == code
        out, err = self._capsys.readouterr()
        return out, err


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str]) -> Shown:
    return Shown(capsys)


def records_of(out: str) -> list[CallRecord]:
    return [from_json(CallRecord, json.loads(line)) for line in out.splitlines()]


class TestCalls:
    def test_the_table_tells_what_happened_and_what_to_do(self, shown: Shown, store: Path) -> None:
        out, err = shown("calls", "--store", store)
        lines = " ".join(out.split())
        assert "101 Alice" in lines
        assert "→ +4930123456" in lines
        assert "503 Service Unavailable (wire)" in lines
        assert "5xx Server Error: No free channel." in lines
        assert "→ Send the call through another trunk." in lines
        assert "wire: the status line as received" in lines
        assert out.index("abandoned") < out.index("rescued") < out.index("486 Busy Here")  # the newest first
        assert BEGAN.astimezone().strftime("%d %b") in out
        assert (BEGAN + timedelta(seconds=3)).astimezone().strftime("%H:%M:%S") in out
        assert err == ""

    def test_a_rescued_call_shows_what_had_failed_and_where_it_went(self, shown: Shown, store: Path) -> None:
        out, _ = shown("calls", "--store", store, "--outcome", "rescued")
        assert "503 Service Unavailable, then 200 OK" in out
        assert re.search(r"carrier-a\s.*\n.*→ carrier-b", out)

    def test_a_set_of_codes_is_not_shown_as_one(self, shown: Shown, store: Path) -> None:
        out, _ = shown("calls", "--store", store, "--outcome", "abandoned")
        assert "one of 487, 600 (candidates)" in out
        assert "only a cause is known" in out

    @pytest.mark.parametrize("width", [60, 80, 119, 120, 130, 160])
    def test_the_listing_keeps_to_its_width_and_cuts_no_number(self, width: int) -> None:
        out = io.StringIO()
        render.print_calls([failed(1), rescued(2), HOSTILE], Console(file=out, width=width, highlight=False))
        assert max(map(len, out.getvalue().splitlines())) <= width
        assert out.getvalue().count("101 Alice") == out.getvalue().count("+4930123456") == 2

    @pytest.mark.parametrize("width", [80, 140])
    def test_a_call_that_was_not_heard_as_a_whole_says_so(self, width: int) -> None:
        out = io.StringIO()
        partial = replace(failed(1), partial=True)
        render.print_calls([partial, failed(2)], Console(file=out, width=width, highlight=False))
        assert out.getvalue().count("partial: not heard as a whole") == 1

    def test_of_a_fleet_one_pbx_can_be_picked(self, shown: Shown, tmp_path: Path) -> None:
        path = tmp_path / "calls.db"
        asyncio.run(write(path, failed(1), replace(failed(2), pbx="other")))
        out, _ = shown("calls", "--store", path, "--pbx", "other", "--format", "json")
        assert [record.pbx for record in records_of(out)] == ["other"]

    @pytest.mark.parametrize(
        ("options", "numbers"),
        [
            ([], {1, 2, 3, 4}),
            (["--limit", "2"], {3, 4}),
            (["--code", "486"], {2}),
            (["--class", "4"], {2}),
            (["--class", "5XX"], {1}),
            (["--trunk", "*-b"], {2, 3}),
            (["--outcome", "abandoned"], {4}),
            (["--number", "+49 (30) 123-456"], {1, 2, 3, 4}),
            (["--number", "555"], set()),
            (["--since", "2026-11-01T12:00:05Z"], {3, 4}),
            (["--until", "2026-11-01T12:00:05Z"], {1, 2}),
            (["--until", "99999d"], set()),
        ],
    )
    def test_filters_narrow(self, shown: Shown, store: Path, options: list[str], numbers: set[int]) -> None:
        out, _ = shown("calls", "--store", store, "--format", "json", *options)
        assert {record.linkedid for record in records_of(out)} == {f"1700000000.{number}" for number in numbers}

    def test_so_long_ago_counts_from_now(self, shown: Shown, tmp_path: Path) -> None:
        now = datetime.now(UTC)
        ages = {"minute": timedelta(minutes=1), "hour": timedelta(minutes=61), "day": timedelta(hours=25)}
        ended = [replace(failed(n), ended_at=now - age, hint=name) for n, (name, age) in enumerate(ages.items())]
        path = tmp_path / "calls.db"
        asyncio.run(write(path, *ended))
        for since, found in (("30m", ["minute"]), ("2h", ["minute", "hour"]), ("2d", ["minute", "hour", "day"])):
            out, _ = shown("calls", "--store", path, "--since", since, "--format", "json")
            assert [record.hint for record in records_of(out)] == found

    def test_a_time_without_zone_is_local(self, shown: Shown, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TZ", "America/Sao_Paulo")
        time.tzset()
        try:
            out, _ = shown("calls", "--store", store, "--since", "2026-11-01T09:00:05", "--format", "json")
            table, _ = shown("calls", "--store", store)
        finally:
            monkeypatch.undo()
            time.tzset()
        assert len(records_of(out)) == 2
        assert "09:00:05" in table

    @pytest.mark.parametrize(
        ("options", "told"),
        [
            (["--since", "yesterday"], "--since 'yesterday' is no time"),
            (["--until", "1y"], "--until '1y' is no time"),
            (["--since", "0001-01-01T00:00"], "--since '0001-01-01T00:00' is no time"),
            (["--class", "7"], "--class '7' is no class"),
            (["--limit", "0"], "--limit must be 1 to"),
        ],
    )
    def test_a_wrong_option_is_one_clear_line(self, shown: Shown, store: Path, options: list[str], told: str) -> None:
        out, err = shown("calls", "--store", store, *options, code=2)
        assert out == ""
        assert told in err
        assert err.count("\n") == 1

    def test_nothing_found_says_what_to_do_next(self, shown: Shown, store: Path, tmp_path: Path) -> None:
        out, err = shown("calls", "--store", store, "--code", "607")
        assert out == ""
        assert "Leave out a filter" in err
        asyncio.run(write(tmp_path / "empty.db"))
        out, err = shown("calls", "--store", tmp_path / "empty.db")
        assert out == ""
        assert "asterisk-sip check" in err

    def test_no_store_is_one_clear_line(self, shown: Shown, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        out, err = shown("calls", code=1)
        assert out == ""
        assert err.startswith("asterisk-sip: asterisk-sip.db: there is no such file yet")
        assert "--store" in err
        assert err.count("\n") == 1

    def test_the_configuration_says_where_the_store_is(
        self, shown: Shown, store: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ASTERISK_SIP_AMI_SECRET", "x" * 20)
        config = store.parent / "asterisk-sip.toml"
        link = '[[pbx]]\nname = "pbx"\n[pbx.ami]\nhost = "127.0.0.1"\nusername = "watcher"\n'
        config.write_text(f'{link}[store]\npath = "{store.name}"\n')
        out, _ = shown("calls", "--config", config, "--format", "json")
        assert len(records_of(out)) == 4
        monkeypatch.chdir("/")
        monkeypatch.setenv("ASTERISK_SIP_CONFIG", str(config))
        out, _ = shown("calls", "--format", "json")
        assert len(records_of(out)) == 4


class TestHostileText:
    def test_tables_show_it_and_obey_none_of_it(self) -> None:
        for paint in (render.print_calls, render.print_live):
            out = io.StringIO()
            paint([HOSTILE], Console(file=out, width=160, force_terminal=True, highlight=False))
            drawn = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue())  # the colours that are ours
            assert "[red]Eve[/red]" in drawn
            assert "[bold]Busy" in drawn
            assert not set(drawn) & set("\x1b\x07\x9b\r\u202e")
            assert "\x1b[31m666" not in out.getvalue()

    def test_json_is_exact_and_safe_to_look_at(self, shown: Shown, tmp_path: Path) -> None:
        record = replace(HOSTILE, hint="é \x7f \ud800 \U0001f4de \u2028")
        asyncio.run(write(tmp_path / "calls.db", record))
        out, _ = shown("calls", "--store", tmp_path / "calls.db", "--format", "json")
        (line,) = out.split("\n")[:-1]
        assert line.isprintable()
        assert from_json(CallRecord, json.loads(line)) == record

    @pytest.mark.parametrize("start", ["=", "+", "-", "@", " =", "\t=", "\uff1d"])
    def test_a_spreadsheet_takes_no_text_for_a_formula(self, start: str) -> None:
        out = io.StringIO()
        record = replace(failed(1), caller=Caller(f"{start}1+1", f"{start}HYPERLINK()", None))
        render_plain.csv_lines([record], out)
        (row,) = csv.DictReader(io.StringIO(out.getvalue()))
        assert row["caller_number"][0] in "'\ufffd"
        assert row["caller_name"][0] in "'\ufffd"
        assert row["caller_number"].endswith("1+1")


class TestCsv:
    def test_every_column_is_documented_and_filled(self, shown: Shown, store: Path) -> None:
        out, _ = shown("calls", "--store", store, "--format", "csv")
        rows = list(csv.DictReader(io.StringIO(out)))
        assert len(rows) == 4
        assert list(rows[0]) == list(render_plain.CSV_COLUMNS)
        newest, _, busy, _ = rows
        assert (busy["sip_code"], busy["sip_class"], busy["route"]) == ("486", "4", "carrier-b")
        assert (busy["dialled"], busy["duration_ms"], busy["partial"]) == ("'+4930123456", "2000", "false")
        assert (newest["sip_code"], newest["sip_candidates"]) == ("", "487 600")
        assert busy["ended_at"] == "2026-11-01T12:00:04.000000Z"
        assert rows[1]["route"] == "carrier-a > carrier-b"

    def test_those_tried_at_once_are_one_step_of_the_route(self) -> None:
        forks = [replace(attempt(n, None, BUSY, "busy", BEGAN), stage=1, endpoint=f"phone-{n}") for n in (1, 2)]
        last = replace(attempt(3, "carrier-a", BUSY, "busy", BEGAN), stage=2)
        assert render_plain.route(replace(failed(1), attempts=(*forks, last))) == ["phone-1 + phone-2", "carrier-a"]

    def test_nothing_found_is_a_header_alone(self, shown: Shown, store: Path) -> None:
        out, _ = shown("calls", "--store", store, "--format", "csv", "--code", "607")
        assert out.splitlines() == [",".join(render_plain.CSV_COLUMNS)]


class TestTail:
    def test_it_shows_the_newest_last(self, shown: Shown, store: Path) -> None:
        out, _ = shown("tail", "--store", store, "--no-follow", "--lines", "2", "--format", "json")
        assert [record.outcome for record in records_of(out)] == ["rescued", "abandoned"]
        out, _ = shown("tail", "--store", store, "--no-follow")
        assert out.index("503 Service Unavailable (wire)") < out.index("486 Busy Here") < out.index("one of 487, 600")

    def test_without_following_a_missing_store_is_an_error(self, shown: Shown, tmp_path: Path) -> None:
        _, err = shown("tail", "--store", tmp_path / "calls.db", "--no-follow", code=1)
        assert "no such file yet" in err

    @pytest.mark.parametrize("form", ["json", "table"])
    def test_it_waits_for_the_store_follows_it_and_ends_cleanly(self, tmp_path: Path, form: str) -> None:
        path = tmp_path / "calls.db"
        command = [sys.executable, "-m", "asterisk_sip", "tail", "--store", str(path), "--format", form]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "encoding": "utf-8"}
        with subprocess.Popen(command, **pipes) as tail:  # type: ignore[call-overload]  # the keywords are Popen's
            overdue = threading.Timer(DEADLINE_S, tail.kill)
            overdue.start()
            assert tail.stderr.readline() == f"waiting for {path}: nothing has been written there yet\n"
            asyncio.run(self.write_while_followed(path, tail.stdout, form))
            tail.send_signal(signal.SIGINT)
            out, err = tail.communicate()
            overdue.cancel()
        assert (out, err, tail.returncode) == ("", "", 0)

    async def write_while_followed(self, path: Path, out: io.TextIOBase, form: str) -> None:
        """Write three batches, each after all of the one before was shown."""
        store = SqliteStore(path)
        await store.open()
        for number in range(3):
            batch = [failed(2 * number), failed(2 * number + 1)]
            await store.write(Batch(batch))
            lines = [out.readline() for _ in range(2 if form == "json" else 8)]
            if form == "json":
                assert records_of("".join(lines)) == batch
            else:
                assert sum("101 Alice → +4930123456 via carrier-a" in line for line in lines) == 2
        await store.close()


class TestExplain:
    @pytest.mark.parametrize("words", [["608"], ["q850:58"], ["--search", "codec"]])
    @pytest.mark.parametrize("width", [60, 80, 100])
    def test_it_keeps_to_the_width_of_the_terminal(
        self, shown: Shown, monkeypatch: pytest.MonkeyPatch, words: list[str], width: int
    ) -> None:
        monkeypatch.setenv("COLUMNS", str(width))
        out, _ = shown("explain", *words)
        assert width - 15 < max(map(len, out.splitlines())) <= width

    @pytest.mark.parametrize("words", [["486"], ["busy", "here"], ["SIP/2.0", "486", "Busy", "Here"]])
    def test_it_says_what_a_code_means_and_what_to_do(self, shown: Shown, words: list[str]) -> None:
        out, err = shown("explain", *words)
        assert out.startswith("486 Busy Here\n")
        assert "What to do" in out
        assert "Whose side: called party." in out
        assert err == ""

    def test_a_cause_tells_its_codes(self, shown: Shown) -> None:
        out, _ = shown("explain", "q850:34")
        assert out.startswith("Q.850 34 ")
        assert re.search(r"SIP codes that Asterisk files as this cause: 503\b", out)

    def test_json_is_the_catalogue_as_it_is(self, shown: Shown) -> None:
        out, _ = shown("explain", "503", "--format", "json")
        entry = json.loads(out)
        assert (entry["code"], entry["class"], entry["kind"]) == (503, 5, "sip")

    def test_all_is_one_line_a_code(self, shown: Shown) -> None:
        out, _ = shown("explain", "--all")
        assert len(out.splitlines()) > 70
        assert out.startswith("100 Trying ")

    def test_search_finds_by_words_of_the_texts(self, shown: Shown) -> None:
        out, _ = shown("explain", "--search", "blocked", "analytics")
        assert "603+" in out
        _, err = shown("explain", "--search", "xylophone", code=1)
        assert "xylophone" in err

    @pytest.mark.parametrize("query", [["99999"], ["xylophone"], [], ["503", "--lang", "xx"]])
    def test_what_it_does_not_know_is_one_clear_line(self, shown: Shown, query: list[str]) -> None:
        out, err = shown("explain", *query, code=1)
        assert out == ""
        assert err.startswith("asterisk-sip: ")
        assert err.count("\n") == 1

    def test_it_loads_nothing_slow(self) -> None:
        program = (
            "import sys; from asterisk_sip.cli import main; main(['explain', '503'])\n"
            "print(*sorted({'sqlalchemy', 'alembic', 'aiohttp', 'pydantic', 'panoramisk', 'rich'} & set(sys.modules)))"
        )
        told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert told.stdout.splitlines()[-1] == ""


def test_every_grade_is_told_in_words() -> None:
    for grade in Grade:
        out = io.StringIO()
        record = replace(failed(1), evidence=Evidence(grade), sip=SipStatus())
        render.print_calls([record], Console(file=out, width=120, highlight=False))
        assert re.search(rf"^{grade.value}: \w+", out.getvalue(), re.MULTILINE)


def test_a_reader_that_goes_away_is_no_trouble(store: Path) -> None:
    command = [sys.executable, "-m", "asterisk_sip", "calls", "--store", str(store), "--format", "json"]
    read_end, write_end = os.pipe()
    os.close(read_end)
    told = subprocess.run(command, stdout=write_end, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write_end)
    assert told.stderr == ""


async def test_calls_are_found_by_side_and_country(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "calls.db"
    await write(path, failed(1), replace(failed(2), dialled="+442079460018"))
    for options, count in (("--country GB", 1), ("--country 49", 1), ("--fault carrier", 2), ("--fault us", 0)):
        assert (
            await asyncio.to_thread(cli.main, ["calls", "--store", str(path), "--format", "json", *options.split()])
            == 0
        )
        assert len(capsys.readouterr().out.splitlines()) == count
    assert await asyncio.to_thread(cli.main, ["calls", "--store", str(path), "--country", "XX"]) == 2
    assert "is no country" in capsys.readouterr().err
