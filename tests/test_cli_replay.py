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
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(recording())))
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
