"""A PBX of which only HEP tells: its dialogs become calls."""

from __future__ import annotations

import pytest

from asterisk_sip.calls import enrich
from asterisk_sip.calls.enrich import Surroundings
from asterisk_sip.calls.model import CallRecord
from asterisk_sip.calls.own_address import Addresses
from asterisk_sip.calls.state import Call
from asterisk_sip.calls.switchboard import Switchboard
from tests.hep_packets import CALLER, CARRIER, PBX, request, response, seen

SECOND = ("198.51.100.6", 5060)
T = 1_790_000_000.0


class Pbx:
    """A PBX that only HEP tells of."""

    def __init__(self, *, local: tuple[str, ...] = ("192.0.2.10",)) -> None:
        endpoints = (("192.0.2.77", "alice"), ("198.51.100.5:5060", "acme"), ("198.51.100.6", "globex"))
        self.board = Switchboard(addresses=Addresses(local, endpoints), hep_alone=True)
        self.calls: list[CallRecord] = []

    def sends(self, at: float, message: bytes, dst: tuple[str, int] = CARRIER) -> None:
        self.hear(at, message, PBX, dst)

    def gets(self, at: float, message: bytes, src: tuple[str, int] = CARRIER) -> None:
        self.hear(at, message, src, PBX)

    def hear(self, at: float, message: bytes, src: tuple[str, int], dst: tuple[str, int]) -> None:
        self.wait(at)
        self._take(self.board.feed(seen(T + at, message, src, dst), at))

    def wait(self, at: float) -> None:
        self._take(self.board.due(at))

    def record(self, at: float = 1_000.0) -> CallRecord:
        self.wait(at)
        self.wait(at + 1)
        [record] = self.calls
        assert self.board.held == 0
        return record

    def _take(self, calls: list[Call]) -> None:
        self.calls += [enrich.record(call, Surroundings("pbx1")) for call in calls]

    def called(self, user: str = "608", at: float = 0.0) -> None:
        """A call comes in and is taken up."""
        self.gets(at, request("INVITE", user, "in"), CALLER)
        self.sends(at + 0.01, response(100, "Trying", "in"), CALLER)

    def refuses_caller(self, at: float, code: int = 503, cause: int = 34) -> None:
        self.sends(at, response(code, "No", "in", f"Reason: Q.850;cause={cause}"), CALLER)


def test_two_trunks_one_after_the_other() -> None:
    pbx = Pbx()
    pbx.called()
    pbx.sends(0.02, request(call_id="out1", tag="x1"))
    pbx.gets(0.05, response(503, "Full", "out1", tag="x1"))
    pbx.sends(0.06, request(call_id="out2", tag="x2"), SECOND)
    pbx.gets(0.50, response(180, "Ringing", "out2", tag="x2"), SECOND)
    pbx.gets(3.00, response(486, "Busy Here", "out2", tag="x2"), SECOND)
    pbx.refuses_caller(3.01, 486, 17)
    record = pbx.record()
    assert [(each.stage, each.endpoint, each.dialled, each.sip.code) for each in record.attempts] == [
        (1, "acme", "608", 503),
        (2, "globex", "608", 486),
    ]
    assert (record.outcome, record.disposition, record.released_by) == ("failed", "busy", "callee")
    assert (record.caller.number, record.caller.endpoint, record.dialled) == ("5550100", "alice", "608")
    assert {(each.evidence.grade, each.evidence.source) for each in record.attempts} == {("wire", "HEP")}
    assert record.attempts[1].pdd_ms == 440
    assert record.linkedid == "sip:in"


def test_two_trunks_at_once() -> None:
    pbx = Pbx()
    pbx.called()
    pbx.sends(0.0200, request(call_id="out1", tag="x1"))
    pbx.gets(0.0202, response(486, "Busy Here", "out1", tag="x1"))
    pbx.sends(0.0205, request(call_id="out2", tag="x2"), SECOND)
    pbx.gets(0.5, response(200, "OK", "out2", tag="x2"), SECOND)
    pbx.sends(0.6, response(200, "OK", "in"), CALLER)
    pbx.gets(5.0, request("BYE", call_id="in", cseq=2, to_tag="to1"), CALLER)
    pbx.sends(5.1, request("BYE", call_id="out2", tag="x2", to_tag="to1", cseq=2), SECOND)
    record = pbx.record()
    assert [each.stage for each in record.attempts] == [1, 1]
    assert (record.outcome, record.released_by, record.duration_ms) == ("answered", "caller", 5_100)


def test_a_trunk_that_never_answers() -> None:
    pbx = Pbx()
    pbx.called()
    for at in (0.02, 0.52, 1.52):
        pbx.sends(at, request(call_id="out1", tag="x1"))
    pbx.refuses_caller(32.02, 480, 18)
    record = pbx.record()
    assert (record.disposition, record.sip.code, record.evidence.grade) == ("no_response", 408, "local")


def test_a_silent_trunk_that_dial_gives_up_and_the_next_one() -> None:
    pbx = Pbx()
    pbx.called()
    pbx.sends(0.02, request(call_id="out1", tag="x1"))
    pbx.sends(5.02, request(call_id="out2", tag="x2"), SECOND)
    pbx.gets(5.5, response(404, "Not Found", "out2", tag="x2"), SECOND)
    pbx.refuses_caller(5.51, 404, 1)
    record = pbx.record()
    assert [(each.stage, each.disposition) for each in record.attempts] == [(1, "no_response"), (2, "not_found")]


def test_who_originates_and_never_hears_anything_is_not_kept_for_ever() -> None:
    pbx = Pbx()
    pbx.sends(0.0, request(call_id="out1", tag="x1"))
    record = pbx.record()
    assert (record.disposition, record.sip.code) == ("no_response", 408)


def test_a_caller_who_gives_up() -> None:
    pbx = Pbx()
    pbx.called()
    pbx.sends(0.02, request(call_id="out1", tag="x1"))
    pbx.gets(0.1, response(180, "Ringing", "out1", tag="x1"))
    pbx.gets(4.0, request("CANCEL", call_id="in"), CALLER)
    pbx.sends(4.01, response(487, "Request Terminated", "in"), CALLER)
    pbx.sends(4.02, request("CANCEL", "608", "out1", "Reason: Q.850;cause=127", tag="x1"))
    pbx.gets(4.05, response(487, "Request Terminated", "out1", tag="x1"))
    record = pbx.record()
    assert (record.outcome, record.released_by, record.sip.code) == ("abandoned", "caller", 180)
    assert [line.line.split()[0] for line in record.attempts[0].ladder or ()] == ["INVITE", "180", "CANCEL", "487"]


def test_a_challenge_of_the_carrier_is_part_of_the_attempt() -> None:
    pbx = Pbx()
    pbx.called()
    pbx.sends(0.02, request(call_id="out1", tag="x1"))
    pbx.gets(0.10, response(407, "Proxy Authentication Required", "out1", tag="x1"))
    pbx.sends(0.12, request("INVITE", "608", "out1", "Proxy-Authorization: x", tag="x1", cseq=2, branch="b2"))
    pbx.gets(0.20, response(603, "Decline", "out1", tag="x1", cseq=2))
    pbx.refuses_caller(0.21, 403, 21)
    record = pbx.record()
    assert [(each.sip.code, each.disposition) for each in record.attempts] == [(603, "rejected")]


def test_a_challenge_that_is_not_met_is_what_the_attempt_came_to() -> None:
    pbx = Pbx()
    pbx.sends(0.02, request(call_id="out1", tag="x1"))
    pbx.gets(0.10, response(401, "Unauthorized", "out1", tag="x1"))
    assert pbx.record().disposition == "auth_failed"


def test_a_refused_call_is_one_record_and_no_call() -> None:
    pbx = Pbx()
    pbx.gets(0.0, request("INVITE", "4711", "in"), CALLER)
    pbx.sends(0.1, response(404, "Not Found", "in"), CALLER)
    record = pbx.record()
    assert (record.disposition, record.caller.endpoint, record.attempts) == ("not_found", "alice", ())


def test_the_call_is_found_by_number_where_the_trunk_shows_another_caller() -> None:
    pbx = Pbx()
    for call_id, user, src in (("in1", "+4930111111", CALLER), ("in2", "4930222222", SECOND)):
        pbx.gets(0.0, request("INVITE", user, call_id), src)
        pbx.sends(0.01, response(100, "Trying", call_id), src)
    other_caller = request("INVITE", "004930111111", "out1", tag="x1").replace(b"sip:5550100", b"sip:main")
    pbx.sends(0.02, other_caller)
    pbx.gets(0.05, response(486, "Busy Here", "out1", tag="x1"))
    for call_id, src in (("in1", CALLER), ("in2", SECOND)):
        pbx.sends(0.06, response(486, "Busy Here", call_id, "Reason: Q.850;cause=17"), src)
    pbx.wait(100.0)
    pbx.wait(200.0)
    assert {record.linkedid: len(record.attempts) for record in pbx.calls} == {"sip:in1": 1, "sip:in2": 0}


def test_calls_wait_until_it_is_known_which_side_is_the_pbx() -> None:
    pbx = Pbx(local=())
    pbx.called()
    pbx.sends(0.02, request(call_id="out1", tag="x1"))
    pbx.gets(0.05, response(486, "Busy Here", "out1", tag="x1"))
    pbx.refuses_caller(0.06, 486, 17)
    record = pbx.record()
    assert (record.dialled, len(record.attempts), record.disposition) == ("608", 1, "busy")


@pytest.mark.parametrize("code", [401, 404, None])
def test_a_flood_leaves_nothing_behind(code: int | None) -> None:
    pbx = Pbx()
    asked, answered = seen(T, request("INVITE", "1")), seen(T, response(code or 100, "No"))
    for number in range(30_000):
        src = (f"10.0.{number >> 8 & 255}.{number & 255}", 5060)
        for each, ends in ((asked, (src, PBX)), (answered, (PBX, src))):
            if each is asked or code is not None:
                message = each.message._replace(call_id=f"c{number}")
                pbx.board.feed(each._replace(message=message, src=ends[0], dst=ends[1]), 0.0)
    assert pbx.board.held <= 45_000
    if code is not None:
        pbx.wait(100.0)
        pbx.wait(200.0)
        assert pbx.board.held == 0
