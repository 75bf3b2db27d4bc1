"""Calls read from Asterisk's own log (CEL): rows that real PBXs wrote, tests/cel/NAME-RELEASE.csv, are the input."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asterisk_sip.calls import events as ev
from asterisk_sip.calls.correlator import Correlator
from asterisk_sip.calls.enrich import Surroundings, record
from asterisk_sip.calls.model import CallRecord
from asterisk_sip.errors import LinkLostError, WireError
from asterisk_sip.sources.backfill import PAGE_ROWS, CelSettings, newest_rows, read_rows
from asterisk_sip.sources.cel_calls_wire import calls_from_cel
from asterisk_sip.sources.cel_wire import CSV_COLUMNS, KINDS, Row, calls, read_row

RECORDED = Path(__file__).parent / "cel"
EVER = 1e11
VERSIONS = {"16": "16.28.0", "22": "22.10.1"}
Release = pytest.mark.parametrize("release", ["16", "22"])


async def rows_of(name: str, release: str) -> list[Row]:
    return await read_rows(CelSettings("csv", RECORDED / f"{name}-{release}.csv"), 0.0, EVER)


def told(news: list[ev.Backfilled], release: str = "22", board: Correlator | None = None) -> list[CallRecord]:
    board = Correlator() if board is None else board
    around = Surroundings("pbx1", VERSIONS[release])
    return [record(call, around) for each in news for call in board.feed(each)]


async def read(name: str, release: str) -> CallRecord:
    [call] = told(calls_from_cel(await rows_of(name, release), 0.0, EVER), release)
    return call


@Release
@pytest.mark.parametrize(
    ("name", "outcome", "disposition", "released_by"),
    [
        ("answered-a-bye", "answered", "answered", "caller"),
        ("answered-b-bye", "answered", "answered", "callee"),
        ("local-answered", "answered", "answered", "callee"),
        ("fork-answered", "answered", "answered", "callee"),
        ("failover-rescued", "rescued", "answered", "callee"),
        ("cancel", "abandoned", "cancelled", "caller"),
        ("queue-abandon", "abandoned", "cancelled", "caller"),
        ("queue-timeout", "failed", "no_answer", "pbx"),
        ("fork-no-answer", "failed", "no_answer", "pbx"),
        ("local-busy", "failed", "busy", "callee"),
        ("originate-failed", "failed", "congestion", "network"),
        ("originate-then-busy", "failed", "busy", "callee"),
        ("redirect-302", "failed", "not_found", "network"),
        ("rejected-608", "failed", "interworking", "network"),
        ("endpoint-missing", "failed", "unreachable", "pbx"),
        ("busy-app", "failed", "pbx_refused", "pbx"),
        ("hangup-21", "failed", "pbx_refused", "pbx"),
    ],
)
async def test_what_the_log_tells_of_a_call(
    name: str, outcome: str, disposition: str, released_by: str, release: str
) -> None:
    call = await read(name, release)
    assert (call.outcome, call.disposition, call.released_by) == (outcome, disposition, released_by)
    assert call.partial
    assert call.backfilled


@Release
@pytest.mark.parametrize(
    ("name", "outcome", "stages"), [("failover-rescued", "rescued", [1, 2]), ("fork-answered", "answered", [1, 1])]
)
async def test_the_end_of_a_leg_may_be_written_behind_the_beginning_of_the_next(
    name: str, outcome: str, stages: list[int], release: str
) -> None:
    """Seen on 16: each row is written when its turn comes, a millisecond sooner or later."""
    rows = await rows_of(name, release)
    _, first, second = (row for row in rows if row.kind == "CHAN_START")
    ends = [row for row in rows if row.kind in ("HANGUP", "CHAN_END") and row.uniqueid == first.uniqueid]
    late = [row._replace(at=max(row.at, second.at + 0.002)) if row in ends else row for row in rows]
    [call] = told(calls_from_cel(sorted(late, key=lambda row: row.at), 0.0, EVER), release)
    assert (call.outcome, sorted(each.stage for each in call.attempts)) == (outcome, stages)


@Release
async def test_a_cause_is_a_set_of_codes_and_says_where_it_was_read(release: str) -> None:
    call = await read("rejected-608", release)
    assert call.sip.code is None
    assert 608 in (call.sip.candidates or ())
    assert (call.evidence.grade, call.evidence.source) == ("candidates", "CEL")
    assert call.q850.cause == 127


@Release
async def test_each_attempt_is_told_with_what_was_dialled(release: str) -> None:
    call = await read("failover-rescued", release)
    told_of = [(each.stage, each.endpoint, each.dialled, each.disposition) for each in call.attempts]
    assert told_of == [(1, "acme", "503", "congestion"), (2, "globex", "talk", "answered")]
    assert (call.caller.number, call.dialled) == ("5550100", "failover.503.talk")
    assert call.answered_at is not None
    assert call.duration_ms is not None


@Release
async def test_a_forward_is_told_as_one(release: str) -> None:
    call = await read("redirect-302", release)
    assert [each.disposition for each in call.attempts] == ["forwarded", "not_found"]
    assert call.attempts[0].forward == "acme"


@Release
async def test_calls_outside_the_gap_are_left_alone(release: str) -> None:
    rows = await rows_of("cancel", release)
    begin, end = rows[0].at, rows[-1].at
    assert not calls_from_cel(rows, end + 1, end + 2)
    assert not calls_from_cel(rows, begin - 2, begin - 1)
    assert calls_from_cel(rows, begin, end)


@Release
async def test_a_call_that_goes_on_after_the_gap_is_left_in_flight(release: str) -> None:
    rows = await rows_of("answered-a-bye", release)
    answered = max(row.at for row in rows if row.kind == "ANSWER")
    [news] = calls_from_cel(rows, rows[0].at, answered)
    board = Correlator()
    assert not told([news], board=board)
    assert len(board) == 1
    last = rows[-1]
    legs = dict.fromkeys(row.uniqueid for row in rows)
    names = {row.uniqueid: row.channel for row in rows}
    ended = [
        call
        for uniqueid in legs
        for call in board.feed(ev.HungUp(last.at, ev.Channel(names[uniqueid], uniqueid, last.linkedid), 16, None, None))
    ]
    [call] = [record(each, Surroundings("pbx1")) for each in ended]
    assert (call.outcome, call.backfilled, call.partial) == ("answered", True, True)


@Release
async def test_a_call_in_flight_before_the_gap_gets_its_true_end(release: str) -> None:
    rows = await rows_of("rejected-608", release)
    board = Correlator()
    dialled = next(row for row in rows if row.channel.startswith("PJSIP/acme"))
    before = [row for row in rows if row.at <= dialled.at]
    caller = ev.Channel(rows[0].channel, rows[0].uniqueid, rows[0].linkedid, exten="trunk.acme.608")
    trunk = ev.Channel(dialled.channel, dialled.uniqueid, dialled.linkedid)
    board.feed(ev.ChannelBegan(before[0].at, caller))
    board.feed(ev.ChannelBegan(dialled.at, trunk))
    board.feed(ev.DialBegan(dialled.at, caller, trunk, "608@acme"))
    board.mark_gap("g1")
    [call] = told(calls_from_cel(rows, dialled.at + 0.0001, EVER), board=board)
    assert (call.disposition, call.attempts[0].dialled, call.gap_ids) == ("interworking", "608", ("g1",))
    assert call.ended_at == datetime.fromtimestamp(max(row.at for row in rows if row.kind == "HANGUP"), UTC)


@Release
async def test_a_call_that_was_recorded_already_is_not_told_again(release: str) -> None:
    news = calls_from_cel(await rows_of("failover-rescued", release), 0.0, EVER)
    board = Correlator()
    assert len(told(news, board=board)) == 1
    assert not told(news, board=board)
    assert len(board) == 0


async def test_a_number_dialled_is_not_guessed() -> None:
    """Two Dials of one channel over one trunk: APP_START tells the first, APP_END the last, nothing which is whose."""
    text = (RECORDED / "failover-rescued-22.csv").read_text().replace("globex", "acme")
    rows = [read_row(dict(zip(CSV_COLUMNS, line.strip('"\n').split('","'), strict=False))) for line in text.split("\n")]
    [call] = told(calls_from_cel([row for row in rows if row is not None], 0.0, EVER))
    assert [each.dialled for each in call.attempts] == [None, None]


def test_legs_that_change_their_linkedid_are_one_call() -> None:
    def row(at: float, kind: str, uniqueid: str, linkedid: str) -> Row:
        return Row(at, kind, f"PJSIP/{uniqueid}-1", uniqueid, linkedid)

    one, other = ("1.1", "1.1"), ("2.1", "2.1")
    apart = [row(1, "CHAN_START", *one), row(2, "CHAN_START", *other)]
    assert len(calls(apart)) == 2
    [call] = calls([*apart, row(3, "HANGUP", "2.1", "1.1"), row(4, "HANGUP", *one), row(4, "LINKEDID_END", *one)])
    assert call.linkedids == {"1.1", "2.1"}
    assert (call.began_at, call.ended_at, call.retired) == (1, 4, {"1.1"})


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("1795520032.831782", 1795520032.831782),
        (1795520032, 1795520032.0),
        ("2026-11-24T11:33:52.5+00:00", 1795520032.5),
        ("2026-11-24 12:33:52+01:00", 1795520032.0),
        (datetime(2026, 11, 24, 11, 33, 52, tzinfo=UTC), 1795520032.0),
        (datetime.fromtimestamp(1795520032).isoformat(" "), 1795520032.0),  # noqa: DTZ006  no zone: this machine's
    ],
)
def test_times_are_read_as_every_back_end_writes_them(text: object, at: float) -> None:
    row = read_row({"eventtype": "HANGUP", "eventtime": text, "uniqueid": "1.1"})
    assert row is not None
    assert row.at == at


@pytest.mark.parametrize(("number", "kind"), [(1, "CHAN_START"), ("3", "HANGUP"), (14, "LINKEDID_END")])
def test_kinds_may_be_numbers(number: object, kind: str) -> None:
    row = read_row({"eventtype": number, "eventtime": 1, "uniqueid": "1.1"})
    assert row is not None
    assert row.kind == kind


Values = st.one_of(
    st.none(), st.text(max_size=20), st.integers(), st.floats(), st.binary(max_size=9), st.sampled_from(KINDS)
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(CSV_COLUMNS), Values))
def test_no_row_breaks_the_reader(values: dict[str, object]) -> None:
    row = read_row(values)
    if row is not None:
        calls_from_cel([row], row.at, row.at)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.recursive(Values.filter(lambda value: not isinstance(value, bytes)), st.lists))
def test_no_extra_breaks_the_reader(extra: object) -> None:
    values = {"eventtype": "HANGUP", "eventtime": 1, "uniqueid": "1.1", "extra": json.dumps({"hangupcause": extra})}
    row = read_row(values)
    assert row is not None
    assert row.cause is None or 0 <= row.cause <= 127


# Where it is kept


def sqlite_log(path: Path, rows: int, mode: str = "delete") -> CelSettings:
    """A log as cel_sqlite3_custom makes it, one hangup a second from 1000 on."""
    with closing(sqlite3.connect(path)) as base:
        base.execute(f"PRAGMA journal_mode = {mode}")
        base.execute("CREATE TABLE cel (AcctId INTEGER PRIMARY KEY, eventtype,eventtime,channame,uniqueid,linkedid)")
        values = [(f"{1000 + number}.5", f"{number}.1") for number in range(rows)]
        base.executemany("INSERT INTO cel VALUES (NULL, 'HANGUP', ?, 'PJSIP/a-1', ?, '1.1')", values)
        base.commit()
    return CelSettings("sqlite", path)


@pytest.mark.parametrize("mode", ["delete", "wal"])
async def test_a_time_is_read_from_a_long_sqlite_file_page_by_page(tmp_path: Path, mode: str) -> None:
    settings = sqlite_log(tmp_path / "master.db", 5 * PAGE_ROWS, mode)
    rows = await read_rows(settings, 1000.0 + PAGE_ROWS, 1000.0 + 3 * PAGE_ROWS)
    assert [row.at for row in rows] == [1000.5 + number for number in range(PAGE_ROWS, 3 * PAGE_ROWS)]
    newest = (await newest_rows(settings))[-1]
    assert newest.at == 1000.5 + 5 * PAGE_ROWS - 1


async def test_the_writer_of_a_sqlite_file_is_not_locked_out(tmp_path: Path) -> None:
    settings = sqlite_log(tmp_path / "master.db", 5 * PAGE_ROWS)
    with closing(sqlite3.connect(tmp_path / "master.db", timeout=0.0)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO cel VALUES (NULL, 'HANGUP', '9999.5', 'PJSIP/a-1', '9.1', '9.1')")
        assert len(await read_rows(settings, 0.0, 2e4)) == 5 * PAGE_ROWS  # what is not committed is not there
        writer.commit()
    assert len(await read_rows(settings, 0.0, 2e4)) == 5 * PAGE_ROWS + 1


async def test_a_csv_file_is_read_from_its_end(tmp_path: Path) -> None:
    line = '"HANGUP","{at}.5","Anna ""A"", 1","","","","","","","PJSIP/ä-1","","","3","","{at}.1","1.1","","","",""\n'
    path = tmp_path / "Master.csv"
    path.write_text("".join(line.format(at=at) for at in range(1000, 4000)) + '"HANGUP","5')
    rows = await read_rows(CelSettings("csv", path), 2000.0, 3000.0)
    assert [row.at for row in rows] == [at + 0.5 for at in range(2000, 3000)]
    assert {(row.channel, row.name) for row in rows} == {("PJSIP/ä-1", 'Anna "A", 1')}


@pytest.mark.parametrize(
    ("table", "error", "text"),
    [
        ("CREATE TABLE cel (eventtype, eventtime, channame, uniqueid)", WireError, "has no column linkedid"),
        ("CREATE TABLE other (eventtype)", WireError, "holds no CEL"),
    ],
)
async def test_what_is_missing_is_named(tmp_path: Path, table: str, error: type[Exception], text: str) -> None:
    path = tmp_path / "master.db"
    with closing(sqlite3.connect(path)) as base:
        base.execute(table)
    with pytest.raises(error, match=text):
        await read_rows(CelSettings("sqlite", path), 0.0, EVER)


async def test_a_file_that_is_not_there_or_no_database_is_told(tmp_path: Path) -> None:
    with pytest.raises(LinkLostError, match="no file"):
        await read_rows(CelSettings("sqlite", tmp_path / "master.db"), 0.0, EVER)
    with pytest.raises(LinkLostError, match="No such file"):
        await read_rows(CelSettings("csv", tmp_path / "Master.csv"), 0.0, EVER)
    (tmp_path / "noise.db").write_bytes(b"not a database, " * 100)
    with pytest.raises(LinkLostError, match="not a database"):
        await read_rows(CelSettings("sqlite", tmp_path / "noise.db"), 0.0, EVER)


def test_a_password_is_not_shown() -> None:
    settings = CelSettings("postgresql", url="postgresql://asterisk@db:5433/asterisk", password="hush")
    assert "hush" not in repr(settings)
    assert settings.place == "db:5433/asterisk"


# What was known before the gap


def test_what_the_line_said_before_the_gap_is_not_taken_for_the_end() -> None:
    for heard in ("SIP 180 Ringing", "{HANGUPCAUSE(PJSIP/acme-1,tech)}"):
        board, caller = Correlator(), ev.Channel("PJSIP/caller-1", "1.1", "1.1")
        board.feed(ev.ChannelBegan(100.0, caller))
        trunk = ev.Channel("PJSIP/acme-1", "1.2", "1.1", heard=heard)
        board.feed(ev.DialBegan(101.0, caller, trunk, "1@acme"))
        end = (
            ev.HangupRequested(150.0, trunk._replace(heard=None), 17, None),
            ev.DialEnded(150.0, trunk._replace(heard=None), "BUSY", None),
            ev.HungUp(150.0, trunk._replace(heard=None), 17, None, None, "CEL"),
            ev.HungUp(150.0, caller, 17, None, None, "CEL"),
        )
        [call] = told([ev.Backfilled(150.0, ("1.1",), end, ("g1",))], board=board)
        assert call.gap_ids == ("g1",)
        assert (call.disposition, call.evidence.source, call.sip.candidates) == ("busy", "CEL", (486, 600))
