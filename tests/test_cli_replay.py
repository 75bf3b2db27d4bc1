from __future__ import annotations

import gzip
import io
import json
import sys
from pathlib import Path

import pytest

from asterisk_sip.cli import main
from tests.ami_script import AmiScript


def recording() -> bytes:
    script = AmiScript()
    caller = script.incoming("PJSIP/caller", exten="608")
    script.reject(script.dial(caller, "PJSIP/acme", "608@acme"), "608 Rejected", cause=127)
    script.hangup(caller, cause=127)
    return script.stream()


def test_a_recording_may_come_through_a_pipe(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(recording()))))
    assert main(["replay", "-", "--trunk", "acme", "--pbx", "west"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["pbx"], record["sip"]["code"], record["attempts"][0]["trunk"]) == ("west", 608, "acme")


def test_a_gzipped_recording_gives_the_same_records(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain, packed = tmp_path / "r.ami", tmp_path / "r.ami.gz"
    plain.write_bytes(recording())
    packed.write_bytes(gzip.compress(recording()))
    assert main(["replay", str(plain)]) == main(["replay", str(packed)]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == second


def test_what_is_no_recording_fails_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not AMI at all\n")
    assert main(["replay", str(path)]) == 1
    assert "no events found" in capsys.readouterr().err


def test_a_file_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "absent.ami"
    assert main(["replay", str(path)]) == 1
    assert str(path) in capsys.readouterr().err


def test_against_a_store_nothing_changes_as_long_as_nothing_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, store = tmp_path / "r.ami", str(tmp_path / "calls.db")
    path.write_bytes(recording())
    assert main(["replay", str(path), "--store", store]) == 0
    capsys.readouterr()
    assert main(["replay", str(path), "--store", store, "--against-store"]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("1 call replayed: 0 would change, 1 stay as they are, 0 are not stored")


def test_against_a_store_every_field_that_would_change_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, store = tmp_path / "r.ami", str(tmp_path / "calls.db")
    path.write_bytes(recording())
    assert main(["replay", str(path), "--store", store]) == 0
    before = (tmp_path / "calls.db").read_bytes()
    capsys.readouterr()
    again = ["replay", str(path), "--store", store, "--against-store", "--trunk", "acme"]
    assert main(again) == 1
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert [line.partition("  ")[2] for line in lines] == [
        'direction: null -> "outbound"',
        'attempts[0].trunk: null -> "acme"',
    ]
    assert "1 would change" in said.err
    assert main([*again, "--format", "json"]) == 1
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert told[1]["field"] == "attempts[0].trunk"
    assert {line.partition("  ")[0] for line in lines} == {change["id"] for change in told}
    assert (tmp_path / "calls.db").read_bytes() == before


def test_against_a_store_that_is_not_there_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "r.ami"
    path.write_bytes(recording())
    assert main(["replay", str(path), "--store", str(tmp_path / "absent.db"), "--against-store"]) == 1
    assert "absent.db" in capsys.readouterr().err
    assert not (tmp_path / "absent.db").exists()


def test_a_call_that_is_not_stored_and_one_with_a_gap_are_counted_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, cut, store = tmp_path / "r.ami", tmp_path / "cut.ami", str(tmp_path / "calls.db")
    path.write_bytes(recording())
    cut.write_bytes(recording()[recording().index(b"Event: DialBegin") :])
    assert main(["replay", str(cut), "--store", store]) == 0
    other = tmp_path / "other.ami"
    other.write_bytes(recording().replace(b"id: 1", b"id: 2"))
    assert main(["replay", str(path), str(other), "--store", store, "--against-store"]) == 0
    assert "0 would change, 0 stay as they are, 1 are not stored one by one, 1 not compared" in capsys.readouterr().err
