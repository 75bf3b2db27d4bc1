"""What a PBX refuses without a channel: a record for a call, one a minute for floods, none for a challenge met."""

from __future__ import annotations

import pytest

from asterisk_sip.calls import enrich
from asterisk_sip.calls.enrich import Surroundings
from asterisk_sip.calls.model import CallRecord, from_json, to_json
from asterisk_sip.calls.own_address import Addresses
from asterisk_sip.calls.refusals import EACH_PER_MINUTE, EACH_PER_SOURCE, MAX_PENDING, MAX_TALLIES
from asterisk_sip.calls.switchboard import Switchboard
from tests.hep_packets import CALLER, PBX, request, response, seen

HERE = Surroundings("pbx1")
LATER = 1_000.0
MINUTE = 1_790_000_040.0  # a whole minute


def board(**endpoints: str) -> Switchboard:
    named = tuple((address.replace("_", "."), name) for address, name in endpoints.items())
    return Switchboard(addresses=Addresses(("192.0.2.10",), named))


def records(switchboard: Switchboard, *times: float) -> list[CallRecord]:
    """The records that are due at some times; by default until all is told."""
    return [enrich.record(call, HERE) for now in times or (LATER, 2 * LATER) for call in switchboard.due(now)]


def ask(switchboard: Switchboard, message: bytes, at: float, src: tuple[str, int] = CALLER) -> None:
    assert switchboard.feed(seen(at, message, src, PBX), 0.0) == []


def answer(switchboard: Switchboard, message: bytes, at: float, src: tuple[str, int] = CALLER) -> None:
    assert switchboard.feed(seen(at, message, PBX, src), 0.0) == []


def refuse(switchboard: Switchboard, code: int, call_id: str = "a1", src: tuple[str, int] = CALLER) -> None:
    ask(switchboard, request("INVITE", "4711", call_id), MINUTE + 1.0, src)
    answer(switchboard, response(code, "Some Phrase", call_id), MINUTE + 1.25, src)


def test_a_call_to_a_number_that_the_dialplan_lacks() -> None:
    switchboard = board()
    refuse(switchboard, 404)
    assert records(switchboard, 4.9) == []
    [record] = records(switchboard, 5.0)
    assert (record.outcome, record.disposition, record.released_by) == ("failed", "not_found", "pbx")
    assert (record.sip.code, record.sip.phrase, record.sip.class_) == (404, "Some Phrase", 4)
    assert (record.evidence.grade, record.evidence.source) == ("sent", "HEP")
    assert (record.fault.side, record.direction) == ("us", "inbound")
    assert (
        record.sip.meaning == "The called number is not in the dialplan of this PBX, so the call was refused at once."
    )
    assert "dialplan show" in (record.hint or "")
    assert (record.caller.number, record.caller.name, record.caller.endpoint) == ("5550100", "Anna", "192.0.2.77")
    assert (record.dialled, record.sip_call_id, record.count, record.attempts) == ("4711", "a1", 1, ())
    assert (record.duration_ms, record.partial) == (250, False)
    assert [(line.direction, line.line.split()[0]) for line in record.ladder or ()] == [
        ("received", "INVITE"),
        ("sent", "404"),
    ]
    assert from_json(CallRecord, to_json(record)) == record
    assert switchboard.held == 0


def test_the_same_refusal_has_the_same_id_whoever_sees_it() -> None:
    ids = set()
    for _ in range(2):
        switchboard = board()
        refuse(switchboard, 488)
        ids |= {record.id for record in records(switchboard)}
    assert len(ids) == 1


@pytest.mark.parametrize(
    ("code", "disposition", "fault"),
    [
        (400, "bad_request", "caller"),
        (403, "forbidden", "us"),
        (404, "not_found", "us"),
        (415, "bad_request", "caller"),
        (416, "bad_request", "caller"),
        (420, "bad_request", "caller"),
        (481, "bad_request", "unknown"),
        (484, "not_found", "caller"),
        (488, "not_acceptable", "us"),
        (500, "pbx_refused", "us"),
        (503, "pbx_refused", "us"),
    ],
)
def test_a_code_that_we_sent_is_told_from_our_side(code: int, disposition: str, fault: str) -> None:
    switchboard = board()
    refuse(switchboard, code)
    [record] = records(switchboard)
    assert (record.disposition, record.fault.side) == (disposition, fault)
    assert record.fault.reason
    assert record.hint


def test_the_configuration_names_the_endpoint_behind_an_address() -> None:
    switchboard = board(**{"192_0_2_77": "alice"})
    refuse(switchboard, 404)
    assert records(switchboard)[0].caller.endpoint == "alice"


def test_a_challenge_that_is_met_is_nothing() -> None:
    switchboard = board()
    ask(switchboard, request("REGISTER", "100", "r1"), 1.0)
    answer(switchboard, response(401, "Unauthorized", "r1", method="REGISTER"), 1.1)
    ask(switchboard, request("REGISTER", "100", "r1", "Authorization: Digest x", cseq=2), 1.2)
    answer(switchboard, response(200, "OK", "r1", cseq=2, method="REGISTER"), 1.3)
    ask(switchboard, request("INVITE", "100", "i1"), 2.0)
    answer(switchboard, response(401, "Unauthorized", "i1"), 2.1)
    ask(switchboard, request("INVITE", "100", "i1", "Authorization: Digest x", cseq=2, branch="b2"), 2.2)
    answer(switchboard, response(100, "Trying", "i1", cseq=2), 2.3)
    answer(switchboard, response(486, "Busy Here", "i1", cseq=2), 2.4)
    assert records(switchboard) == []
    assert switchboard.refusals.held == 0


@pytest.mark.parametrize(
    ("method", "code", "disposition", "side"),
    [
        ("INVITE", 401, "auth_failed", "caller"),
        ("REGISTER", 401, "auth_failed", "caller"),
        ("REGISTER", 403, "forbidden", "us"),
        ("REGISTER", 404, "not_found", "us"),
        ("REGISTER", 500, "pbx_refused", "us"),
    ],
)
def test_a_flood_of_one_source_is_one_record_a_minute(method: str, code: int, disposition: str, side: str) -> None:
    switchboard = board()
    for number in range(500):
        at = MINUTE + 0.2 * number  # 100 seconds
        ask(switchboard, request(method, f"u{number}", f"c{number}"), at)
        answer(switchboard, response(code, "No", f"c{number}", method=method), at)
    first, second = records(switchboard)
    assert (first.count, second.count) == (300, 200)
    for record in (first, second):
        assert (record.disposition, record.fault.side, record.sip.code) == (disposition, side, code)
        assert (record.caller.endpoint, record.sip_call_id, record.ladder) == ("192.0.2.77", None, None)
    assert first.id != second.id
    assert first.ended_at is not None
    assert second.started_at is not None
    assert first.ended_at < second.started_at
    assert switchboard.held == 0


def test_wrong_passwords_under_one_call_id_are_counted_each() -> None:
    switchboard = board()
    for number in range(1, 31):
        credentials = ("Authorization: Digest x",) if number > 1 else ()
        ask(switchboard, request("REGISTER", "100", "r1", *credentials, cseq=number), MINUTE + number / 10)
        answer(switchboard, response(401, "No", "r1", cseq=number, method="REGISTER"), MINUTE + number / 10)
    [record] = records(switchboard)
    assert record.count == 29
    assert record.caller.number == "100"


def test_registering_somewhere_else_is_not_ours_to_judge_here() -> None:
    switchboard = board()
    answer(switchboard, request("REGISTER", "trunk", "r1"), 1.0)
    ask(switchboard, response(403, "Forbidden", "r1", method="REGISTER"), 1.1)
    assert records(switchboard) == []


def test_who_dials_wrong_all_the_time_is_told_by_the_minute_after_the_first_calls() -> None:
    switchboard = board()
    for number in range(100):
        refuse(switchboard, 404, f"c{number}")
    told = records(switchboard)
    assert sorted(record.count for record in told) == [*[1] * EACH_PER_SOURCE, 100 - EACH_PER_SOURCE]


@pytest.mark.parametrize(("method", "code"), [("INVITE", 404), ("INVITE", 401), ("REGISTER", 401)])
def test_a_hundred_thousand_sources_make_no_more_than_a_bounded_number_of_records(method: str, code: int) -> None:
    switchboard = board()
    asked, answered = seen(MINUTE, request(method)), seen(MINUTE, response(code, method=method))
    for number in range(100_000):
        src = (f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 5060)
        for each, ends in ((asked, (src, PBX)), (answered, (PBX, src))):
            message = each.message._replace(call_id=f"c{number}")
            switchboard.feed(each._replace(message=message, src=ends[0], dst=ends[1]), number / 10_000)
        if number % 1_000 == 0:
            assert switchboard.due(number / 10_000) == [] or code == 404
    assert switchboard.held <= 2 * MAX_PENDING + MAX_TALLIES + 2
    told = records(switchboard)
    assert len(told) <= EACH_PER_MINUTE + MAX_TALLIES + 2
    lost = switchboard.dialogs.given_up
    assert sum(record.count for record in told) + lost >= 100_000 - EACH_PER_MINUTE
    assert {record.caller.endpoint for record in told} >= {"many"}
    assert switchboard.held == 0


def test_what_waits_is_told_at_the_end() -> None:
    switchboard = board()
    refuse(switchboard, 404)
    ask(switchboard, request("REGISTER", "100", "r1"), 1.0)
    answer(switchboard, response(403, "Forbidden", "r1", method="REGISTER"), 1.1)
    assert sorted(enrich.record(call, HERE).sip.code or 0 for call in switchboard.finish()) == [403, 404]
