"""What hangup handlers told: of calls that another door knows too, and of those that nobody else told of."""

from __future__ import annotations

import itertools

from asterisk_sip.calls import enrich
from asterisk_sip.calls import events as ev
from asterisk_sip.calls.enrich import Surroundings, TrunkRule
from asterisk_sip.calls.model import CallRecord
from asterisk_sip.calls.reports import Reports
from asterisk_sip.calls.state import Call
from asterisk_sip.calls.switchboard import Switchboard

AROUND = Surroundings("pbx", "22.10.1", (TrunkRule("all", ("acme", "globex")),))
LINKED = "1795520000.0"
CALLER = ev.Channel(
    "PJSIP/phone-00000000", LINKED, LINKED, caller_number="100", context="out", exten="5551234", call_id="a@phone"
)


def caller(at: float = 10.0, *, up: bool = False, **told: object) -> ev.HandlerReport:
    """The report of the channel that the call began with."""
    report = ev.HandlerReport(at, "AGI", CALLER._replace(up=up), began_at=1.0, cause=17, caller=LINKED, root=LINKED)
    return report._replace(**told)  # type: ignore[arg-type]  # fields by name


def leg(
    number: int, heard: str | None, began: float, at: float, *, up: bool = False, **told: object
) -> ev.HandlerReport:
    """The report of a leg that was dialled at acme."""
    name = f"PJSIP/acme-0000000{number}"
    channel = ev.Channel(name, f"1795520000.{number}", LINKED, up=up, call_id=f"b{number}@acme")
    texts = ((name, heard),) if heard is not None else ()
    report = ev.HandlerReport(
        at, "AGI", channel, True, began, dialled="608@acme", heard=texts, requested=True, cause=17
    )._replace(caller=LINKED, root=LINKED)
    return report._replace(**told)  # type: ignore[arg-type]  # fields by name


def records(*reports: ev.HandlerReport) -> list[CallRecord]:
    """The records of calls that nobody but the handlers told of."""
    board = Switchboard()
    for report in reports:
        assert board.feed(report, report.at) == []
    calls = board.due(2_000_000_000.0)
    assert board.held == 0
    return [enrich.record(call, AROUND) for call in calls]


def record(*reports: ev.HandlerReport) -> CallRecord:
    [written] = records(*reports)
    return written


def codes(written: CallRecord) -> list[tuple[int | None, str, str]]:
    return [(each.sip.code, each.disposition, each.evidence.grade.value) for each in written.attempts]


# nobody else told


def test_a_leg_that_reports_is_told_to_the_millisecond() -> None:
    told = record(leg(1, "SIP 608 Rejected", 2.0, 3.5), caller(dial_status="BUSY", heard=()))
    [attempt] = told.attempts
    assert (told.outcome.value, told.sip.code, told.sip.phrase) == ("failed", 608, "Rejected")
    assert (told.evidence.grade.value, told.evidence.source) == ("wire", "AGI")
    assert (attempt.dialled, attempt.trunk, attempt.sip_call_id) == ("608", "all", "b1@acme")
    assert attempt.began_at is not None
    assert attempt.ended_at is not None
    assert (attempt.ended_at - attempt.began_at).total_seconds() == 1.5
    assert (told.dialled, told.context, told.caller.number, told.caller.endpoint) == ("5551234", "out", "100", "phone")
    assert (told.direction, told.partial, told.duration_ms) == ("outbound", False, 9000)


def test_the_order_in_which_the_handlers_ran_changes_nothing() -> None:
    reports = (
        leg(1, "SIP 503 Service Unavailable", 2.0, 3.0, cause=34),
        leg(2, "SIP 486 Busy Here", 3.1, 4.0),
        caller(dial_status="BUSY"),
    )
    assert len({repr(record(*order)) for order in itertools.permutations(reports)}) == 1


def test_one_trunk_after_the_other_is_told_from_both_at_once() -> None:
    serial = record(leg(1, "SIP 503 No", 2.0, 3.0, cause=34), leg(2, "SIP 486 Busy Here", 3.1, 4.0), caller())
    forked = record(leg(1, "SIP 503 No", 2.0, 3.0, cause=34), leg(2, "SIP 486 Busy Here", 2.0, 4.0), caller())
    assert [attempt.stage for attempt in serial.attempts] == [1, 2]
    assert [attempt.stage for attempt in forked.attempts] == [1, 1]


def test_a_call_that_a_second_trunk_rescued() -> None:
    told = record(
        leg(1, "SIP 503 No", 2.0, 3.0, cause=34),
        leg(2, "SIP 200 OK", 3.1, 9.0, up=True, answered_at=5.0, requested=False, cause=16),
        caller(9.0, up=True, answered_at=5.0, requested=True, dial_status="ANSWER", cause=16),
    )
    assert (told.outcome.value, told.released_by) == ("rescued", "caller")
    assert codes(told) == [(503, "congestion", "wire"), (200, "answered", "wire")]
    assert told.answered_at is not None
    assert told.answered_at.timestamp() == 5.0


def test_without_a_cdr_the_answer_is_reckoned_from_the_end() -> None:
    told = record(
        leg(1, "SIP 200 OK", 2.0, 9.0, up=True, requested=False, cause=16),
        caller(9.0, up=True, requested=True, dial_status="ANSWER", cause=16, answered_ms=4000),
    )
    assert told.answered_at is not None
    assert told.answered_at.timestamp() == 5.0


def test_a_caller_who_gave_up() -> None:
    told = record(
        leg(1, "SIP 180 Ringing", 2.0, 9.99, requested=False, cause=127),
        caller(dial_status="CANCEL", requested=True, cause=127),
    )
    assert (told.outcome.value, told.disposition, told.released_by) == ("abandoned", "cancelled", "caller")


def test_nobody_answered_in_time() -> None:
    told = record(leg(1, "SIP 180 Ringing", 2.0, 9.99, requested=False, cause=0), caller(dial_status="NOANSWER"))
    assert (told.outcome.value, told.disposition, told.sip.code) == ("failed", "no_answer", 180)


def test_a_leg_that_heard_nothing_says_so() -> None:
    told = record(leg(1, None, 2.0, 9.99, requested=False, cause=0), caller(dial_status="NOANSWER", cause=16))
    assert (told.disposition, told.sip.code, told.evidence.source) == ("no_response", None, "AGI")


def test_a_caller_whom_the_dialplan_refused() -> None:
    told = record(caller(cause=21, requested=True))
    assert (told.outcome.value, told.disposition, told.attempts) == ("failed", "pbx_refused", ())


def test_of_a_callers_report_alone_the_codes_are_known_but_not_the_order() -> None:
    heard = (("PJSIP/globex-00000002", "SIP 486 Busy Here"), ("PJSIP/acme-00000001", "SIP 503 No"))
    told = record(caller(heard=heard, dial_status="BUSY"))
    assert [(each.channel, each.stage, each.pdd_ms) for each in told.attempts] == [
        ("PJSIP/acme-00000001", 1, None),
        ("PJSIP/globex-00000002", 1, None),
    ]
    assert codes(told) == [(503, "congestion", "wire"), (486, "busy", "wire")]
    assert (told.sip.code, told.partial) == (486, True)


def test_of_a_callers_report_alone_a_leg_that_heard_nothing_is_not_known() -> None:
    told = record(caller(dial_status="NOANSWER", cause=16))
    assert (told.disposition, told.sip.code, told.attempts) == ("unknown", None, ())
    no_leg_at_all = record(caller(dial_status="CHANUNAVAIL", cause=3))
    assert no_leg_at_all.disposition == "unreachable"


def test_of_a_callers_report_alone_an_answer_is_known_and_no_rescue_claimed() -> None:
    heard = (("PJSIP/globex-00000002", "SIP 200 OK"), ("PJSIP/acme-00000001", "SIP 503 No"))
    told = record(caller(heard=heard, dial_status="ANSWER", up=True, answered_at=4.0, requested=True, cause=16))
    assert (told.outcome.value, told.disposition) == ("answered", "answered")


def test_without_the_hook_a_call_begins_at_the_second_in_its_uniqueid() -> None:
    told = record(caller(1795520009.5, began_at=None))
    assert told.started_at is not None
    assert told.started_at.timestamp() == 1795520000.0


def test_legs_wait_for_a_caller_that_will_report() -> None:
    board = Switchboard()
    board.feed(leg(1, "SIP 503 No", 2.0, 3.0, cause=34), 3.0)
    assert board.due(3000.0) == []
    board.feed(caller(3500.0), 3500.0)
    [call] = board.due(3510.0)
    assert len(call.tries) == 1


def behind_local(*, half_reports: bool) -> CallRecord:
    """A caller dials a Local channel, behind which a trunk refuses."""
    name = "Local/608@out-00000001"
    one = leg(1, None, 1.5, 4.0)
    one = one._replace(channel=one.channel._replace(name=f"{name};1"))
    two = caller(3.9, channel=CALLER._replace(name=f"{name};2", uniqueid="1795520000.2"), began_at=1.6)
    behind = leg(3, "SIP 608 Rejected", 2.0, 3.5, caller="1795520000.2" if half_reports else LINKED)
    return record(one, *([two] if half_reports else []), behind, caller(dial_status="NOANSWER"))


def test_a_leg_behind_a_local_channel_is_told_instead_of_it() -> None:
    for half_reports in (True, False):
        told = behind_local(half_reports=half_reports)
        assert [attempt.channel for attempt in told.attempts] == ["PJSIP/acme-00000003"]
        assert (told.sip.code, told.partial) == (608, False)


def test_the_end_of_a_local_half_is_not_the_end_of_the_call() -> None:
    board = Switchboard()
    half = CALLER._replace(name="Local/608@out-00000001;2", uniqueid="1795520000.2")
    board.feed(caller(3.0, channel=half), 3.0)
    assert board.due(1000.0) == []


def test_a_caller_who_left_a_queue_in_vain_and_one_who_gave_up_there() -> None:
    heard = (("PJSIP/acme-00000001", "SIP 180 Ringing"),)
    timed_out = record(caller(heard=heard, up=True, requested=True, cause=16, queue_status="TIMEOUT"))
    gave_up = record(caller(heard=heard, up=True, requested=True, cause=16))
    assert (timed_out.outcome.value, timed_out.disposition) == ("failed", "no_answer")
    assert (gave_up.outcome.value, gave_up.disposition) == ("abandoned", "cancelled")


def test_legs_that_name_no_caller_are_told_after_a_while() -> None:
    [told] = records(leg(1, "SIP 503 No", 2.0, 3.0, caller="", root=""))
    assert told.sip.code == 503


def test_a_call_is_told_once() -> None:
    board = Switchboard()
    board.feed(caller(), 10.0)
    assert len(board.due(20.0)) == 1
    board.feed(leg(1, "SIP 486 Busy Here", 2.0, 3.0), 21.0)  # far too late
    assert board.due(30.0) == []
    assert board.held == 0, "and what comes too late is forgotten"


# another door told of the call too


def dialled(board: Switchboard) -> list[Call]:
    """A call of one refused leg, as AMI without the line tells it."""
    name, uniqueid = "PJSIP/acme-00000001", "1795520000.1"
    b_leg = ev.Channel(name, uniqueid, LINKED)
    ended: list[Call] = []
    for event in (
        ev.ChannelBegan(1.0, CALLER),
        ev.ChannelBegan(2.0, b_leg),
        ev.DialBegan(2.0, CALLER, b_leg, "608@acme"),
        ev.HangupRequested(3.0, b_leg, 21, None),
        ev.DialEnded(3.0, b_leg, "NOANSWER", None, CALLER),
        ev.HungUp(3.0, b_leg, 21, None, None),
        ev.HungUp(3.1, CALLER, 21, None, None),
    ):
        ended += board.feed(event, event.at)
    return ended


def test_the_handler_tells_the_code_that_ami_did_not() -> None:
    board = Switchboard()
    board.feed(leg(1, "SIP 608 Rejected", 2.0, 3.0), 3.0)
    board.feed(caller(heard=(("PJSIP/acme-00000001", "SIP 608 Rejected"),)), 3.0)
    [call] = dialled(board)
    told = enrich.record(call, AROUND)
    assert (told.sip.code, told.evidence.grade.value, told.evidence.source) == (608, "wire", "AGI")
    assert told.attempts[0].sip_call_id == "b1@acme"
    assert told.evidence.losers == ()
    assert board.held == 0


def test_a_report_that_comes_while_the_call_settles_is_taken_in() -> None:
    board = Switchboard(settle_s=1.0)
    assert dialled(board) == []
    board.feed(caller(heard=(("PJSIP/acme-00000001", "SIP 608 Rejected"),)), 3.5)
    [call] = board.due(5.0)
    assert enrich.record(call, AROUND).sip.code == 608
    assert board.due(100.0) == []


def test_the_caller_may_tell_of_a_leg_by_the_name_it_had() -> None:
    board = Switchboard()
    board.feed(caller(heard=(("PJSIP/acme-00000001<ZOMBIE>", "SIP 608 Rejected"),)), 3.0)
    [call] = dialled(board)
    assert enrich.record(call, AROUND).sip.code == 608


def test_a_call_in_flight_keeps_its_reports_until_it_ends() -> None:
    board = Switchboard()
    board.feed(ev.ChannelBegan(1.0, CALLER), 1.0)
    board.feed(leg(1, "SIP 608 Rejected", 2.0, 3.0, caller="", root=""), 3.0)
    assert board.due(5000.0) == []
    assert len(board.reports) == 1


def test_what_is_kept_is_bounded() -> None:
    reports = Reports(max_calls=10)
    for number in range(1000):
        channel = CALLER._replace(uniqueid=f"{number}.1", linkedid=f"{number}.1")
        reports.add(caller(channel=channel), 1.0)
    assert (len(reports), reports.held, reports.given_up) == (10, 20, 990)
    for number in range(2000):
        reports.add(leg(1, None, 1.0, 2.0, channel=CALLER._replace(uniqueid=f"1.{number}")), 1.0)
    assert reports.left_out == 1500


def test_claimed_reports_leave_nothing_behind() -> None:
    board = Switchboard()
    for second in range(2000):
        linkedid = f"{second}.0"
        channel = CALLER._replace(uniqueid=linkedid, linkedid=linkedid)
        board.feed(ev.ChannelBegan(second, channel), second)
        of_leg = leg(1, "SIP 503 No", second, second, root=linkedid)
        board.feed(of_leg._replace(channel=of_leg.channel._replace(uniqueid=f"{second}.1", linkedid=linkedid)), second)
        board.due(second)
        if second >= 5:  # calls that last five seconds
            ended = f"{second - 5}.0"
            board.feed(ev.HungUp(second, CALLER._replace(uniqueid=ended, linkedid=ended), 16, None, None), second)
    assert len(board.reports) == 5
    assert len(board.reports._due) < 50
