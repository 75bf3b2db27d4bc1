"""A call in one sentence, and the text for its carrier."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from asterisk_sip.calls.enrich import Surroundings
from asterisk_sip.calls.model import CallRecord, Outcome, SipStatus
from asterisk_sip.calls.story import story
from asterisk_sip.calls.ticket import ticket
from asterisk_sip.catalog import LANGUAGES
from asterisk_sip.catalog.words import phrases
from asterisk_sip.sources.recording import Replay

from .call_records import BEGAN, UNAVAILABLE, abandoned, answered, attempt, failed, rescued
from .test_demo import RECORDED

RINGING = SipStatus(180, "Ringing", 1)
TRYING = SipStatus(100, "Trying", 1)
FIRST = attempt(1, "a", UNAVAILABLE, "congestion", BEGAN)


def with_attempt(**changes: object) -> CallRecord:
    record = failed(0)
    return replace(record, attempts=(replace(record.attempts[0], **changes),))  # type: ignore[arg-type]  # its fields


@pytest.mark.parametrize(
    ("record", "told"),
    [
        (failed(), "carrier-a refused with 503 Service Unavailable after 1.0 s: the call failed."),
        (
            rescued(),
            "carrier-a refused with 503 Service Unavailable after 1.0 s; then carrier-b answered after 1.0 s: rescued.",
        ),
        (answered(), "carrier-a answered after 1.0 s."),
        (abandoned(), "the caller hung up 1.0 s after carrier-a was called: given up."),
        (
            with_attempt(disposition="no_answer", sip=RINGING, ring_ms=6_700),
            "carrier-a rang for 6.7 s and nobody answered: the call failed.",
        ),
        (
            with_attempt(disposition="no_answer", sip=TRYING),
            "carrier-a said 100 Trying and nothing more for 1.0 s: the call failed.",
        ),
        (with_attempt(disposition="no_response"), "carrier-a gave no reply at all for 1.0 s: the call failed."),
        (with_attempt(disposition="unreachable"), "carrier-a could not be reached: the call failed."),
        (
            with_attempt(disposition="congestion", sip=SipStatus(candidates=(503, 502))),
            "carrier-a refused; all that is known is one of 503, 502: the call failed.",
        ),
        (
            with_attempt(disposition="unknown", sip=SipStatus()),
            "carrier-a failed, and no status is known: the call failed.",
        ),
        (with_attempt(began_at=None), "carrier-a refused with 503 Service Unavailable after ?: the call failed."),
        (
            with_attempt(ended_at=BEGAN + timedelta(seconds=75)),
            "carrier-a refused with 503 Service Unavailable after 75 s: the call failed.",
        ),
        (
            replace(failed(), attempts=()),
            "nobody was called: this PBX answered with 503 Service Unavailable: the call failed.",
        ),
        (
            replace(failed(), attempts=(), count=7),
            "7 requests like this one were refused with 503 Service Unavailable: the call failed.",
        ),
        (
            replace(failed(), attempts=(FIRST, replace(FIRST, seq=2, stage=2, trunk="b", disposition="busy"))),
            ("a refused with 503 Service Unavailable after 1.0 s; "
            "then b was busy (503 Service Unavailable) after 1.0 s: the call failed."),
        ),
        (
            replace(
                failed(),
                outcome=Outcome.FAILED,
                attempts=tuple(
                    replace(attempt(seq, None, RINGING, "no_answer", BEGAN), stage=1, endpoint=name)
                    for seq, name in ((1, "anna"), (2, "ben"))
                ),
            ),
            "2 were called at once (anna, ben), and none answered: the call failed.",
        ),
    ],
)  # fmt: skip
def test_a_call_is_told_in_one_sentence(record: CallRecord, told: str) -> None:
    assert story(record).replace("\u202f", " ") == told


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_call_of_a_real_pbx_has_its_sentence_in_every_language(lang: str) -> None:
    for record in Replay(Surroundings("demo")).read([RECORDED]):
        told = story(record, lang)
        assert told.endswith(".")
        assert "{" not in told
        assert "?" not in told


@pytest.mark.parametrize("kind", ["story", "ticket"])
@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_language_has_every_piece(kind: str, lang: str) -> None:
    assert phrases(kind, lang).keys() == phrases(kind).keys()


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_ticket_has_what_the_carrier_can_look_up(lang: str) -> None:
    record = failed()
    tried = replace(record.attempts[0], remote_reason=("Q.850;cause=34",))
    text = ticket(record, tried, lang)
    for fact in (
        "carrier-a",
        "2026-11-01T12:00:00",
        "+4930123456",
        "503 Service Unavailable",
        "abc@192.0.2.1",
        "cause=34",
    ):
        assert fact in text


def test_remote_text_adds_no_line_to_a_ticket() -> None:
    record = failed(sip=SipStatus(503, "Busy\r\nFrom: +1", 5))
    assert "503 Busy\ufffd\ufffdFrom: +1\n" in ticket(record, record.attempts[0])


def test_an_attempt_that_nobody_replied_to_has_no_answer_of_theirs() -> None:
    record = with_attempt(disposition="no_response")
    assert "no answer at all" in ticket(record, record.attempts[0])
