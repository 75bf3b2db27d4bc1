"""SIP dialogs: what each came to, which leg it was, and which side is the PBX."""

from __future__ import annotations

import pytest

from asterisk_sip.calls.dialog import MAX_LADDER, Dialog
from asterisk_sip.calls.dialogs import Dialogs
from asterisk_sip.calls.own_address import OwnAddresses, read_address
from tests.hep_packets import CALLER, CARRIER, PBX, request, response, seen

LOOP = "127.4.5.6"


def played(*messages: tuple[float, str, bytes], local: tuple[str, ...] = ("192.0.2.10",)) -> tuple[Dialogs, Dialog]:
    """Feed messages of one dialog that the PBX sends (``>``) to the carrier and receives (``<``) from it."""
    dialogs = Dialogs(local)
    found = None
    for at, way, message in messages:
        ends = (PBX, CARRIER) if way == ">" else (CARRIER, PBX)
        found = dialogs.feed(seen(at, message, *ends)) or found
    assert found is not None
    return dialogs, found


def test_a_rejected_call() -> None:
    reason = 'Reason: Q.850;cause=21;text="no, thanks", SIP;cause=603'
    _, dialog = played(
        (100.0, ">", request()),
        (100.1, "<", response(100, "Trying", to_tag=None)),
        (100.5, "<", response(183, "Progress", "a1", 'Reason: Q.850;cause=34;text="early"')),
        (101.0, "<", response(180, "Ringing")),
        (102.0, "<", response(608, "Rejected", "a1", reason, "Retry-After: 60", 'Warning: 399 a "b"')),
        (102.1, ">", request("ACK")),
    )
    assert (dialog.sent, dialog.number, dialog.caller.user, dialog.remote) == (True, "608", "5550100", CARRIER)
    assert (dialog.code, dialog.phrase) == (608, "Rejected")
    assert (dialog.began_at, dialog.replied_at, dialog.alive_at, dialog.ringing_at) == (100.0, 100.1, 100.5, 101.0)
    assert (dialog.answered_at, dialog.ended_at) == (None, 102.0)
    assert dialog.reasons == ('Q.850;cause=21;text="no, thanks"', "SIP;cause=603")
    assert dialog.early_reasons == ('Q.850;cause=34;text="early"',)
    assert (dialog.retry_after_s, dialog.warnings) == (60, ('399 a "b"',))
    assert [(step.by_inviter, step.line) for step in dialog.ladder] == [
        (True, "INVITE sip:608@carrier.example"),
        (False, "100 Trying"),
        (False, "183 Progress"),
        (False, "180 Ringing"),
        (False, "608 Rejected"),
        (True, "ACK sip:608@carrier.example"),
    ]


def test_what_answers_a_cancel_is_not_what_the_call_came_to() -> None:
    dialogs, dialog = played(
        (1.0, ">", request()),
        (2.0, "<", response(180, "Ringing")),
        (9.0, ">", request("CANCEL", "608", "a1", 'Reason: SIP;cause=200;text="Call completed elsewhere"')),
        (9.1, "<", response(200, "OK", method="CANCEL")),
        (9.2, "<", response(487, "Request Terminated", "a1", "Reason: Q.850;cause=127")),
    )
    assert (dialog.code, dialog.phrase, dialog.reasons) == (180, "Ringing", ())
    assert dialog.last_status == (487, "Request Terminated")
    assert (dialog.cancelled_at, dialog.ended_at, dialog.ended_by_inviter) == (9.0, 9.2, True)
    assert dialog.end_reasons == ('SIP;cause=200;text="Call completed elsewhere"',)
    assert dialog.answered_at is None
    assert dialogs.unclaimed(20.0) == []  # its call may go on
    assert dialogs.claim("a1") is dialog


def test_to_a_caller_who_cancels_487_is_what_was_answered() -> None:
    dialogs = Dialogs(["192.0.2.10"])
    for at, message, ends in (
        (1.0, request(), (CALLER, PBX)),
        (1.1, response(100, "Trying"), (PBX, CALLER)),
        (2.0, request("CANCEL"), (CALLER, PBX)),
        (2.1, response(487, "Request Terminated"), (PBX, CALLER)),
    ):
        dialog = dialogs.feed(seen(at, message, *ends))
    assert dialog is not None
    assert (dialog.sent, dialog.code, dialog.remote) == (False, 487, CALLER)


def test_a_challenge_and_the_invite_that_answers_it_are_one_call() -> None:
    dialogs, dialog = played(
        (1.0, ">", request(branch="b1")),
        (1.1, "<", response(407, "Proxy Authentication Required", to_tag="x")),
        (1.2, ">", request("ACK", branch="b1", to_tag="x")),
        (1.3, ">", request(cseq=2, branch="b2")),
        (1.35, "<", response(407, "Proxy Authentication Required", to_tag="x")),  # the first one again
    )
    assert (dialog.ended_at, dialog.attempts) == (None, 2)
    assert dialogs.unclaimed(60.0) == []
    dialogs.feed(seen(1.4, response(404, "Not Found", cseq=2, to_tag="y"), CARRIER, PBX))
    assert (dialog.code, dialog.ended_at) == (404, 1.4)


def test_an_answered_call_its_refused_reinvite_and_its_end() -> None:
    _, dialog = played(
        (1.0, ">", request()),
        (2.0, "<", response(200, "OK")),
        (2.1, ">", request("ACK", to_tag="to1")),
        (3.0, ">", request(cseq=2, to_tag="to1")),
        (3.1, "<", response(488, "Not Acceptable Here", cseq=2)),
        (4.0, "<", request("INVITE", cseq=1, tag="to1", to_tag="from1")),
        (4.1, ">", response(491, "Request Pending", cseq=1, tag="to1", to_tag="from1")),
        (9.0, "<", request("BYE", "x", "a1", "Reason: Q.850;cause=41", cseq=2, tag="to1", to_tag="from1")),
    )
    assert (dialog.code, dialog.answered_at, dialog.ended_at) == (200, 2.0, 9.0)
    assert (dialog.ended_by_inviter, dialog.end_reasons) == (False, ("Q.850;cause=41",))


def test_forks_and_messages_sent_again_show_once() -> None:
    _, dialog = played(
        (1.0, ">", request()),
        (1.5, ">", request()),
        (2.5, ">", request()),
        (3.0, "<", response(180, "Ringing", to_tag="one")),
        (3.1, "<", response(180, "Ringing", to_tag="two")),
        (3.2, "<", response(180, "Ringing", to_tag="one")),
        (4.0, "<", response(486, "Busy Here", to_tag="two")),
        (4.5, "<", response(486, "Busy Here", to_tag="two")),
    )
    assert (dialog.resent, dialog.resent_at, dialog.attempts) == (2, 1.5, 1)
    assert [step.line.split()[0] for step in dialog.ladder] == ["INVITE", "180", "180", "486"]
    assert (dialog.ringing_at, dialog.ended_at, dialog.code) == (3.0, 4.0, 486)


def test_a_redirection_names_its_contacts_and_a_block_its_redress() -> None:
    _, moved = played(
        (1.0, ">", request()), (1.1, "<", response(302, "Moved", "a1", "Contact: <sip:1@a>, <sip:2@b>;q=0.5"))
    )
    assert moved.contacts == ("<sip:1@a>", "<sip:2@b>;q=0.5")
    card = "Call-Info: <https://block.example/card>;purpose=jwscard"
    _, blocked = played((1.0, ">", request()), (1.1, "<", response(608, "Rejected", "a1", card)))
    assert blocked.redress is not None
    assert blocked.redress.card == "https://block.example/card"


def test_a_call_id_is_claimed_once_and_its_stragglers_make_no_new_dialog() -> None:
    dialogs, dialog = played((1.0, ">", request()), (1.1, "<", response(486)))
    assert dialogs.claim("a1") is dialog
    assert dialogs.claim("a1") is None
    assert dialogs.claim("other") is None
    assert dialogs.feed(seen(1.2, request("ACK"))) is None
    assert dialogs.feed(seen(1.3, request())) is None
    assert dialogs.unclaimed(100.0) == []
    assert dialogs.held == 0


def rejected(dialogs: Dialogs, call_id: str, at: float, number: str = "608", code: int = 486) -> None:
    dialogs.feed(seen(at, request("INVITE", number, call_id)))
    dialogs.feed(seen(at + 1, response(code, "No", call_id), CARRIER, PBX))


def test_without_a_call_id_the_one_dialog_that_fits_is_claimed() -> None:
    dialogs = Dialogs(["192.0.2.10"])
    rejected(dialogs, "right", 100.05)
    rejected(dialogs, "earlier", 90.0)
    rejected(dialogs, "later", 110.0)
    rejected(dialogs, "other number", 100.05, "609")
    rejected(dialogs, "other code", 100.05, code=404)
    found = dialogs.claim_like(("number", "608"), 100.0, 101.1, 486, outbound=True)
    assert found is not None
    assert found.call_id == "right"
    assert dialogs.claim_like(("number", "608"), 100.0, 101.1, 486, outbound=True) is None
    assert dialogs.ambiguous == 0


def test_when_several_dialogs_fit_none_is_claimed() -> None:
    dialogs = Dialogs(["192.0.2.10"])
    rejected(dialogs, "one", 100.0)
    rejected(dialogs, "two", 100.1)
    rejected(dialogs, "three", 101.0)
    assert dialogs.claim_like(("number", "608"), 100.0, 101.0, 486, outbound=True) is None
    assert dialogs.claim_like(("number", "608"), 100.0, 101.0, 486, outbound=False) is None
    assert dialogs.ambiguous == 1
    assert dialogs.held == 3


def test_memory_is_bounded_and_calls_that_talk_survive_a_flood() -> None:
    dialogs = Dialogs(["192.0.2.10"], setups=50, talks=5)
    dialogs.feed(seen(1.0, request(call_id="talks")))
    dialogs.feed(seen(1.1, response(200, "OK", "talks"), CARRIER, PBX))
    for number in range(5000):
        dialogs.feed(seen(2.0, request("INVITE", str(number), f"f{number}"), (f"10.0.{number % 250}.1", number), PBX))
        dialogs.feed(seen(2.0, response(401, "No", f"f{number}"), PBX, (f"10.0.{number % 250}.1", number)))
    assert dialogs.held <= 51
    assert dialogs.given_up == 4950
    dialogs.feed(seen(3.0, request("BYE", call_id="talks", cseq=2, to_tag="to1")))
    assert dialogs.claim("talks") is not None
    assert len(dialogs._alike) <= 52


def test_a_ladder_is_bounded() -> None:
    _, dialog = played(
        (1.0, ">", request()),
        *((2.0, "<", response(183, "x" * 9000, to_tag=f"t{number}")) for number in range(500)),
    )
    assert len(dialog.ladder) == MAX_LADDER
    assert dialog.left_out == 501 - MAX_LADDER
    assert max(len(step.line) for step in dialog.ladder) == 200


def test_messages_of_dialogs_that_began_before_are_no_calls() -> None:
    dialogs = Dialogs()
    assert dialogs.feed(seen(1.0, response(200, "OK"))) is None
    assert dialogs.feed(seen(1.0, request("BYE", to_tag="x"))) is None
    assert dialogs.feed(seen(1.0, request("INVITE", to_tag="x"))) is None
    assert (dialogs.held, dialogs.stray) == (0, 2)


# which side is the PBX


@pytest.mark.parametrize("local", ["192.0.2.10", "192.0.2.10:5060"])
def test_the_configuration_tells_which_side_is_ours(local: str) -> None:
    own = OwnAddresses([local])
    assert own.sent(seen(1.0, request(), PBX, CARRIER)) is True
    assert own.sent(seen(1.0, request(), CARRIER, PBX)) is False
    assert own.sent(seen(1.0, request(), CARRIER, CALLER)) is None


def test_who_sends_the_packets_is_ours_unless_it_is_loopback() -> None:
    own = OwnAddresses()
    assert own.sent(seen(1.0, request(), CARRIER, PBX, sender="192.0.2.10")) is False
    assert own.sent(seen(1.0, request(), CARRIER, PBX, sender="127.0.0.1")) is None


@pytest.mark.parametrize("inbound_first", [True, False])
def test_who_talks_with_two_others_is_ours(inbound_first: bool) -> None:
    own = OwnAddresses()
    inbound, outbound = seen(1.0, request(), CALLER, PBX), seen(1.1, request(call_id="b"), PBX, CARRIER)
    first, second = (inbound, outbound) if inbound_first else (outbound, inbound)
    own.learn(first)
    assert own.sent(first) is None
    own.learn(second)
    assert (own.sent(inbound), own.sent(outbound)) == (False, True)


def test_asterisk_names_itself() -> None:
    own = OwnAddresses()
    answer = seen(1.0, response(404, "Not Found", "a1", "Server: Asterisk PBX 22.10.1"), PBX, CALLER)
    own.learn(answer)
    assert own.sent(answer) is True
    assert own.sent(seen(1.0, request(), CALLER, PBX)) is False


def test_on_one_address_ports_tell_and_a_known_stranger_tells_new_ports() -> None:
    own = OwnAddresses()
    pbx, caller, trunk = (LOOP, 5060), (LOOP, 40_001), (LOOP, 40_002)
    for src, dst in ((caller, pbx), (pbx, trunk)):
        own.learn(seen(1.0, request(), src, dst))
    assert own.sent(seen(1.0, request(), caller, pbx)) is False
    assert own.sent(seen(1.0, request(), pbx, trunk)) is True
    for port in range(50_000, 50_020):  # TCP: a new port each time
        fresh = seen(2.0, request(), (LOOP, port), trunk, transport=6)
        own.learn(fresh)
        assert own.sent(fresh) is True
    assert own.sent(seen(2.0, request(), trunk, (LOOP, 50_020), transport=6)) is False


def test_a_trunk_reached_over_many_connections_is_not_taken_for_ours() -> None:
    own = OwnAddresses()
    own.learn(seen(1.0, request(), CALLER, PBX, transport=6))
    for port in range(50_000, 50_020):
        own.learn(seen(2.0, request(), (PBX[0], port), CARRIER, transport=6))
    assert own.sent(seen(2.0, request(), (PBX[0], 50_001), CARRIER, transport=6)) is True


def test_the_direction_of_a_dialog_is_learned_from_what_comes_later() -> None:
    dialogs = Dialogs()
    inbound = dialogs.feed(seen(1.0, request(), CALLER, PBX))
    outbound = dialogs.feed(seen(1.1, request(call_id="b1", tag="t9"), PBX, CARRIER))
    assert inbound is not None
    assert outbound is not None
    assert (inbound.sent, outbound.sent) == (None, True)
    dialogs.feed(seen(1.2, response(100, "Trying"), PBX, CALLER))
    assert inbound.sent is False


def test_what_is_learned_of_addresses_is_bounded() -> None:
    own = OwnAddresses()
    for number in range(30_000):
        own.learn(seen(1.0, request(), (f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 5060), PBX))
    assert len(own) <= 40_000
    assert own.sent(seen(1.0, request(), ("10.9.9.9", 5060), PBX)) is False


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1", ("192.0.2.1", 0)),
        ("192.0.2.1:5060", ("192.0.2.1", 5060)),
        ("2001:db8::1", ("2001:db8::1", 0)),
        ("[2001:db8::1]:5061", ("2001:db8::1", 5061)),
        ("[2001:db8::1]", ("2001:db8::1", 0)),
    ],
)
def test_addresses_as_they_are_written(text: str, address: tuple[str, int]) -> None:
    assert read_address(text) == address


def refused(*statuses: int) -> Dialogs:
    """A call to the PBX, which gives these answers."""
    dialogs = Dialogs(["192.0.2.10"])
    dialogs.feed(seen(1.0, request(), CALLER, PBX))
    for number, status in enumerate(statuses):
        dialogs.feed(seen(1.1 + number, response(status, "Phrase"), PBX, CALLER))
    return dialogs


def test_an_offer_without_a_codec_in_common_is_refused_after_100() -> None:
    assert [dialog.code for dialog in refused(100, 488).unclaimed(60.0)] == [488]


def test_a_call_refused_without_a_channel_is_handed_out_when_nobody_claims_it() -> None:
    dialogs = refused(404)
    assert dialogs.unclaimed(6.0) == []
    [dialog] = dialogs.unclaimed(6.1)
    assert (dialog.code, dialog.refused_outright) == (404, True)
    assert dialogs.held == 0


@pytest.mark.parametrize("statuses", [(100, 404), (100, 183, 488), (100, 200), (200,)])
def test_a_call_that_had_a_channel_waits_for_it(statuses: tuple[int, ...]) -> None:
    dialogs = refused(*statuses)
    assert dialogs.unclaimed(1000.0) == []
    assert dialogs.held == 1


def test_the_first_calls_are_told_when_it_is_known_which_side_is_ours() -> None:
    dialogs = Dialogs()
    dialogs.feed(seen(1.0, request(), CALLER, PBX))
    dialogs.feed(seen(1.1, response(404, "Not Found"), PBX, CALLER))
    assert dialogs.unclaimed(10.0) == []
    dialogs.feed(seen(11.0, request(call_id="b1"), PBX, CARRIER))
    assert [dialog.call_id for dialog in dialogs.unclaimed(20.0)] == ["a1"]
    assert dialogs.unclaimed(float("inf")) == []


def test_a_device_is_found_by_who_calls_it() -> None:
    dialogs = Dialogs(["192.0.2.10"])
    rejected(dialogs, "device", 100.05, "x7f3")
    found = dialogs.claim_like(("caller", "5550100"), 100.0, 101.1, 486, outbound=True)
    assert found is not None
    assert found.call_id == "device"
    assert dialogs.held == len(dialogs._alike) == 0
