"""Recorded calls as a file: all of them, each once, in every format; whole or not there."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import stat
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from asterisk_sip import cli, cli_export
from asterisk_sip.calls.model import Caller, CallRecord, to_json
from asterisk_sip.errors import StoreError
from asterisk_sip.render_plain import CSV_COLUMNS
from asterisk_sip.stores.base import CallQuery
from asterisk_sip.stores.place import StorePlace
from asterisk_sip.stores.sqlite import SqliteStore
from tests.call_records import BUSY, abandoned, failed, rescued, write

HOSTILE = Caller("=cmd()", 'half a pair \udcff, "quoted"\nand more', "x")
RECORDS = [
    *(failed(number) for number in range(1_200)),
    replace(failed(2_000, sip=BUSY), caller=HOSTILE, started_at=None),
    rescued(2_001),
    abandoned(2_002),
]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "calls.db"
    asyncio.run(write(path, *RECORDS))
    return path


def export(path: Path, out: Path, *options: str) -> int:
    return cli.main(["export", "--store", str(path), "--out", str(out), *options])


def test_csv_is_what_calls_prints(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export(path, tmp_path / "x.csv") == 0
    assert "1,203 calls" in capsys.readouterr().err
    assert cli.main(["calls", "--store", str(path), "--format", "csv", "--limit", "10000"]) == 0
    printed = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    with (tmp_path / "x.csv").open(newline="", encoding="utf-8") as file:
        exported = list(csv.reader(file))
    assert exported[0] == printed[0] == list(CSV_COLUMNS)
    assert exported[1:] == printed[:0:-1]  # the order of writing here, the newest first there


def test_jsonl_holds_whole_records(path: Path, tmp_path: Path) -> None:
    assert export(path, tmp_path / "x.jsonl", "--format", "jsonl") == 0
    lines = (tmp_path / "x.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [to_json(record) for record in RECORDS]


@pytest.mark.parametrize("format_", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("where", [(), ("--out", "-")], ids=["nothing said", "-"])
def test_standard_output_is_given_what_the_file_holds(
    path: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], format_: str, where: tuple[str, ...]
) -> None:
    if format_ == "parquet":
        pytest.importorskip("pyarrow")
    assert export(path, tmp_path / "file", "--format", format_) == 0
    capfdbinary.readouterr()
    assert cli.main(["export", "--store", str(path), "--format", format_, *where]) == 0
    told = capfdbinary.readouterr()
    assert told.out == (tmp_path / "file").read_bytes()
    assert told.err == b"1,203 calls\n"


def test_parquet_has_types(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr("asterisk_sip.render_export._ROWS_IN_A_GROUP", 500)
    assert export(path, tmp_path / "x.parquet", "--format", "parquet") == 0
    table = parquet.read_table(tmp_path / "x.parquet")
    assert table.column_names == list(CSV_COLUMNS)
    rows = table.to_pylist()
    assert [row["id"] for row in rows] == [record.id for record in RECORDS]
    assert [row["ended_at"] for row in rows] == [record.ended_at for record in RECORDS]
    assert rows[0]["sip_code"] == 503
    assert rows[0]["partial"] is False
    assert rows[1_200]["caller_number"] == "=cmd()"
    assert rows[1_200]["started_at"] is None


@pytest.mark.parametrize("format_", ["csv", "jsonl", "parquet"])
def test_filters_are_those_of_calls_and_nothing_found_is_an_empty_file(
    format_: str, path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(path, tmp_path / "a", "--format", format_, "--code", "486") == 0
    assert "1 call in" in capsys.readouterr().err
    assert export(path, tmp_path / "b", "--format", format_, "--number", "nobody") == 0
    assert "0 calls" in capsys.readouterr().err
    assert (tmp_path / "b").exists()
    assert export(path, tmp_path / "c", "--since", "yesterday") == 2


async def test_no_more_than_a_handful_is_held_at_a_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    after = SqliteStore.after

    async def noted(
        store: SqliteStore, position: int, limit: int, query: CallQuery | None = None
    ) -> list[tuple[int, CallRecord]]:
        asked.append(limit)
        return await after(store, position, limit, query)

    monkeypatch.setattr(SqliteStore, "after", noted)
    sizes: list[int] = []
    await cli_export._copied(StorePlace(path), CallQuery(), lambda records: sizes.append(len(records)))
    assert set(asked) == {cli_export.AT_ONCE}
    assert sizes == [500, 500, 203]


class TestWholeOrNotThere:
    def test_what_breaks_off_leaves_the_old_file(
        self, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        out = tmp_path / "x.csv"
        out.write_text("old")

        async def broken(*_: object) -> int:
            raise StoreError("the server went away")

        monkeypatch.setattr(cli_export, "_copied", broken)
        assert export(path, out) == 1
        assert [each.name for each in tmp_path.iterdir()] == ["x.csv"]
        assert out.read_text() == "old"

    def test_others_cannot_read_it(self, path: Path, tmp_path: Path) -> None:
        export(path, tmp_path / "x.csv")
        assert stat.S_IMODE((tmp_path / "x.csv").stat().st_mode) & stat.S_IRWXO == 0

    def test_a_folder_that_is_not_there(self, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert export(path, Path("/nowhere/x.csv")) == 1
        assert "/nowhere/x.csv: No such file or directory" in capsys.readouterr().err

    def test_a_store_that_is_not_there(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert export(tmp_path / "none.db", tmp_path / "x.csv") == 1
        assert "there is no such file yet" in capsys.readouterr().err
        assert list(tmp_path.iterdir()) == []

    def test_parquet_without_its_package(
        self, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        assert export(path, tmp_path / "x", "--format", "parquet") == 1
        assert "pip install 'asterisk-sip[parquet]'" in capsys.readouterr().err
        assert list(tmp_path.iterdir()) == []
