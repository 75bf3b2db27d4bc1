"""One call cut out of a recording, masked: it is judged as in the whole, and says nothing of who was called."""

from __future__ import annotations

import gzip
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from asterisk_sip import demo
from asterisk_sip.calls.enrich import Surroundings, TrunkRule
from asterisk_sip.cli import main
from asterisk_sip.cli_journal import bare
from asterisk_sip.sources.excerpt import verdict_of
from asterisk_sip.sources.journal_wire import Frame, encode, first_line
from asterisk_sip.sources.recording import Replay
from tests.cases import TRUNKS, Case, all_cases

DEMO = Path(demo.__file__).parent / "data" / "demo.ami.gz"
OPTIONS = [option for pattern in TRUNKS for option in ("--trunk", pattern)]
AROUND = Surroundings("pbx1", trunks=tuple(TrunkRule(None, (pattern,)) for pattern in TRUNKS))


def exported(linkedid: str, recording: Path, out: Path) -> list[Any]:
    """Export a call; replay the case as the tests of cases do; give its records, which must be those it expects."""
    assert main(["export-case", linkedid, "--journal", str(recording), "--out", str(out), *OPTIONS]) == 0
    [events] = out.glob("[0-9u]*.gz")
    release = events.name.partition(".")[0]
    records = list(Replay(AROUND).read([events]))
    case = Case(str(out), release)  # an absolute path: a folder of cases anywhere
    expected = [json.loads(line) for line in (out / f"expected-{release}.jsonl").read_text().splitlines()]
    assert [record.linkedid for record in records] == [record["linkedid"] for record in expected]
    assert case.records() == expected
    told = tomllib.loads((out / "case.toml").read_text())
    assert set(told) == {"sentence", "trunks"}
    return records


@pytest.mark.parametrize("case", [case for case in all_cases() if not case.name.startswith("all-codes")], ids=str)
def test_each_call_of_each_case_is_judged_alone_as_in_the_whole(case: Case, tmp_path: Path) -> None:
    for number, record in enumerate(list(Replay(AROUND).read([case.recording]))):
        [*_, alone] = exported(record.linkedid, case.recording, tmp_path / str(number))
        assert alone.linkedid == record.linkedid
        assert verdict_of(alone) == verdict_of(record)
        if (record.caller.number or "").isdigit():
            assert alone.caller.number != record.caller.number


def test_a_call_whose_last_message_lacks_its_empty_line_is_cut_out_whole(tmp_path: Path) -> None:
    [case] = [case for case in all_cases() if str(case) == "rejected-486-22"]
    path = tmp_path / "x.ami"
    path.write_bytes(gzip.decompress(case.recording.read_bytes()).removesuffix(b"\r\n\r\n"))
    [record] = Replay(AROUND).read([path])
    [alone] = exported(record.linkedid, path, tmp_path / "case")
    assert verdict_of(alone) == verdict_of(record)


def test_replay_takes_the_folder_of_a_case_and_knows_its_trunks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    [record, *_] = Replay(AROUND).read([DEMO])
    exported(record.linkedid, DEMO, tmp_path / "case")
    capsys.readouterr()
    assert main(["replay", str(tmp_path / "case")]) == 0
    printed = [bare(json.loads(line)) for line in capsys.readouterr().out.splitlines()]
    [expected] = (tmp_path / "case").glob("expected-*.jsonl")
    assert printed == [json.loads(line) for line in expected.read_text().splitlines()]
    assert any(attempt["trunk"] for attempt in printed[-1]["attempts"])


def test_a_case_whose_description_is_broken_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "case.toml").write_text("trunks = [")
    assert main(["replay", str(tmp_path)]) != 0
    assert "case.toml" in capsys.readouterr().err


def test_a_call_is_found_by_its_record_and_by_each_of_its_channels(tmp_path: Path) -> None:
    [record, *_] = Replay(AROUND).read([DEMO])
    for number, name in enumerate([record.id, record.linkedid, record.attempts[0].uniqueid]):
        [*_, alone] = exported(name, DEMO, tmp_path / str(number))
        assert alone.linkedid == record.linkedid


def test_nothing_of_the_others_is_in_it(tmp_path: Path) -> None:
    records = list(Replay(AROUND).read([DEMO]))
    exported(records[7].linkedid, DEMO, tmp_path / "case")
    [events] = (tmp_path / "case").glob("*.gz")
    content = gzip.decompress(events.read_bytes())
    for record in records:
        assert (f": {record.linkedid}\r\n".encode() in content) == (record.linkedid == records[7].linkedid)


def test_a_call_of_a_journal_without_times_of_its_own_becomes_a_journal(tmp_path: Path) -> None:
    [case] = [case for case in all_cases() if str(case) == "rejected-486-22"]
    lines = gzip.decompress(case.recording.read_bytes()).split(b"\r\n")
    data = b"\r\n".join(line for line in lines if not line.startswith(b"Timestamp: "))
    path = tmp_path / "x.journal"
    at = 1_795_477_615.0
    path.write_bytes(first_line(at) + encode(Frame(at, "west", "ami", "data", data)))
    [wanted] = Replay(AROUND).read([path])
    [record] = exported(wanted.linkedid, path, tmp_path / "case")
    assert [one.name for one in (tmp_path / "case").glob("*.gz")] == ["22.journal.gz"]
    assert (record.pbx, record.started_at) == ("pbx1", wanted.started_at)


def test_what_is_not_there_and_what_is_there_already_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--journal", str(DEMO), "--out", str(tmp_path / "case")]
    assert main(["export-case", "1.1", *arguments]) == 1
    assert "no call 1.1 ended in the recording" in capsys.readouterr().err
    assert not (tmp_path / "case").exists()
    [record, *_] = Replay(AROUND).read([DEMO])
    assert main(["export-case", record.linkedid, *arguments]) == 0
    assert main(["export-case", record.linkedid, *arguments]) == 1
    assert "is there already" in capsys.readouterr().err
