"""Every call scenario of ``tests/cases``: what a real PBX said, and the records that come of it."""

from __future__ import annotations

import gzip
import json

import pytest

from asterisk_sip.calls.enrich import Surroundings
from asterisk_sip.sources.recording import Replay
from tests.cases import CASES, Case, all_cases
from tests.lab.scenario import RELEASES

ON_ONE_RELEASE_ONLY = ("-chansip",)  # chan_sip is gone from 21 on


@pytest.mark.parametrize("case", all_cases(), ids=str)
def test_a_recording_gives_exactly_the_expected_records(case: Case) -> None:
    expected = [json.loads(line) for line in case.expected.read_text().splitlines()]
    records = case.records()
    for number, (record, wanted) in enumerate(zip(records, expected, strict=False)):
        assert record == wanted, f"record {number} of {case}: {case.description()['sentence']}"
    assert len(records) == len(expected) > 0


def test_every_scenario_is_there_from_every_release() -> None:
    names = {path.name for path in CASES.iterdir()}
    assert len(names) > 50
    for name in names:
        assert (CASES / name / "case.toml").is_file()
        releases = (
            ["16"] if name.endswith(ON_ONE_RELEASE_ONLY) else Case(name, "").description().get("releases", RELEASES)
        )
        assert {case.release for case in all_cases() if case.name == name} == set(releases), name


@pytest.mark.parametrize("case", [case for case in all_cases() if case.name.endswith("-cel")], ids=str)
def test_cel_over_ami_changes_no_story(case: Case) -> None:
    told = [
        [(record["outcome"], record["disposition"], record["released_by"], record["partial"]) for record in records]
        for records in (case.records(), Case(case.name.removesuffix("-cel"), case.release).records())
    ]
    assert told[0] == told[1]


@pytest.mark.parametrize("release", RELEASES)
def test_what_cel_says_of_who_hung_up_is_of_the_first_who_did_though_the_call_went_on(release: str) -> None:
    """Why ``hangupsource`` decides nothing: here bob left, the caller went on to a trunk, and the dialplan ended it."""
    case = Case("dial-g-failed-cel", release)
    hangup = next(
        block
        for block in gzip.decompress(case.recording.read_bytes()).split(b"\r\n\r\n")
        if b"Event: CEL\r\n" in block and b"EventName: HANGUP\r\n" in block and b"\r\nChannel: PJSIP/caller-" in block
    )
    assert b"Privilege: call,all\r\n" in hangup  # CEL has no class of its own in manager.conf
    assert b'"hangupsource":"PJSIP/bob-' in hangup
    assert case.records()[0]["released_by"] == "pbx"


def test_the_catalogue_has_words_for_every_record() -> None:
    for case in all_cases():
        for record in Replay(Surroundings("pbx1")).read([case.recording]):
            assert record.fault.reason, case
            assert record.sip.code is None or (record.sip.meaning and record.sip.class_name), case
            assert record.outcome == "answered" or record.hint or record.outcome == "rescued", case


def test_they_are_small() -> None:
    assert sum(path.stat().st_size for path in CASES.glob("*/*")) < 3_000_000
