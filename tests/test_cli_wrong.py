"""What cannot be done ends in one clear line and the right exit code, never in a traceback; and names are whole."""

from __future__ import annotations

import asyncio
import getpass
import gzip
import io
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from asterisk_sip import cli

from .call_records import failed, write

CASE = Path(__file__).parent / "cases" / "rejected-608" / "22.ami.gz"
LONG_NAME = "calls-of-a-trunk-fail-more-often-than-anybody-likes"
CONFIG = f"""
[[pbx]]
name = "pbx1"
[pbx.ami]
secret_file = "ami.secret"
[store]
path = "calls.db"
[web]
port = 18600
[[alerts]]
name = "{LONG_NAME}"
kind = "count"
threshold = 2
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    asyncio.run(write(tmp_path / "calls.db", failed(1)))
    (tmp_path / "asterisk-sip.toml").write_text(CONFIG)
    (tmp_path / "ami.secret").write_text("not to be told\n")
    (tmp_path / "ami.secret").chmod(0o600)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], line: str, code: int) -> tuple[str, str]:
    assert cli.main(line.split()) == code
    out, err = capsys.readouterr()
    return out, err


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("calls --store calls.db --limit 99999999999999999999", "--limit must be 1 to 10,000,000"),
        ("calls --store calls.db --code 99999999999999999999", "--code must be 100 to 699"),
        ("tail --store calls.db --no-follow --lines -1", "--lines must be 0 to"),
        ("kpi --store calls.db --min 0", "--min must be 1 to"),
        ("kpi --store calls.db --since 2000-01-01 --step 1m", "more than 10000 steps"),
        ("alerts history --limit 0", "--limit must be 1 to"),
        ("alerts history --rule \udcff", "--rule must be one line of text"),
        ("alerts unsilence \udcff", "NAME must be one line of text"),
        ("alerts acknowledge \udcff", "ALERT must be one line of text"),
        ("check --config asterisk-sip.toml --wait nan", "--wait must be 0.0 to 3,600.0"),
        ("support-bundle --config asterisk-sip.toml --minutes -5", "--minutes must be 0.0 to"),
        ("record --config asterisk-sip.toml --out x.journal --for 0", "--for must be more than 0 seconds"),
        ("purge --store calls.db --number abc", "--number 'abc' must be a telephone number"),
    ],
)
def test_an_option_with_an_impossible_value_is_a_wrong_command(
    line: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out, err = run(capsys, line, 2)
    assert out == ""
    assert told in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "line",
    [
        "demo --store calls.db/demo.db",
        f"export-case 1795477615.6 --journal {CASE} --out calls.db",
        "export --store calls.db --out .",
        "export --store calls.db --out /dev/null",
        "calls --store .",
        "gaps --store /",
    ],
)
def test_a_place_where_nothing_can_be_written_is_named(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    out, err = run(capsys, line, 1)
    assert out == ""
    assert line.rpartition(" ")[2].removesuffix("/demo.db") in err
    assert err.count("\n") == 1


def test_an_export_never_takes_the_place_of_a_device(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "pipe")
    run(capsys, "export --store calls.db --out pipe", 1)
    assert (tmp_path / "pipe").is_fifo()
    assert not (tmp_path / ".pipe.part").exists()


@pytest.mark.parametrize("unpack", [False, True])
def test_a_recording_from_stdin_may_be_packed(
    unpack: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    packed = CASE.read_bytes()
    stdin = io.BufferedReader(io.BytesIO(gzip.decompress(packed) if unpack else packed))
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=stdin))
    out, _ = run(capsys, "replay -", 0)
    assert json.loads(out)["sip"]["code"] == 608


def test_whoever_has_no_name_can_silence_an_alert(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def nameless() -> str:  # as in a container that runs under a bare number
        raise KeyError("getpwuid(): uid not found: 54321")

    monkeypatch.setattr(getpass, "getuser", nameless)
    run(capsys, f"alerts silence {LONG_NAME} --for 2h --why works", 0)


def test_names_are_whole_where_they_are_piped_into_another_program(capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = run(capsys, "alerts list", 0)
    assert LONG_NAME in out


def test_a_bundle_says_that_nobody_answers_at_the_very_address(capsys: pytest.CaptureFixture[str]) -> None:
    _, err = run(capsys, "support-bundle --config asterisk-sip.toml", 0)
    assert "without health.json: no program answers at 127.0.0.1:18600: Connection refused\n" in err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("--port 99999", "--port: must be at most 65535"),
        ("--host 0.0.0.0", "--host: can be reached from other machines, and there is nobody to let in"),
    ],
)
def test_an_address_that_cannot_be_is_told_in_our_words(
    options: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _, err = run(capsys, f"web --store calls.db {options}", 2)
    assert f"  {told}" in err
