"""The gaps of a PBX that is heard through several doors: which there are, which of them are blind, when they end."""

from __future__ import annotations

from datetime import UTC, datetime

from asterisk_sip.desk_gaps import Listening
from asterisk_sip.stores.base import Gap


def clock(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def told(gaps: list[Gap]) -> list[tuple[str, float, float | None, bool]]:
    """Source, begin, end and blindness of each gap."""
    return [
        (gap.source, gap.began_at.timestamp(), gap.ended_at.timestamp() if gap.ended_at else None, gap.blind)
        for gap in gaps
    ]


def listening(*up: str, telling: tuple[str, ...] = ("ami", "ari"), lasting: tuple[Gap, ...] = ()) -> Listening:
    heard = Listening("pbx", telling, lasting)
    for door in up:
        heard.up(door, 1.0)
    return heard


def test_the_only_door_that_closes_leaves_us_blind_until_it_opens() -> None:
    heard = listening("ami", telling=("ami",))
    [began] = heard.down("ami", 10.0, "Asterisk closed the connection")
    assert told([began]) == [("ami", 10.0, None, True)]
    assert heard.blind_gap == began
    [ended] = heard.up("ami", 30.0)
    assert (ended.id, ended.reason) == (began.id, "Asterisk closed the connection")
    assert told([ended]) == [("ami", 10.0, 30.0, True)]
    assert heard.blind_gap is None


def test_one_of_two_doors_that_closes_is_a_gap_but_not_a_blind_one() -> None:
    heard = listening("ami", "ari")
    assert told(heard.down("ami", 10.0, "reset")) == [("ami", 10.0, None, False)]
    assert not heard.blind
    assert heard.blind_gap is None
    assert told(heard.up("ami", 12.0)) == [("ami", 10.0, 12.0, False)]


def test_blindness_ends_with_the_first_door_though_the_other_is_still_closed() -> None:
    heard = listening("ami", "ari")
    heard.down("ami", 10.0, "reset")
    assert told(heard.down("ari", 12.0, "refused")) == [("ari", 12.0, None, True)]
    assert told(heard.up("ami", 20.0)) == [
        ("ami", 10.0, 20.0, False),
        ("ari", 12.0, 20.0, True),
        ("ari", 20.0, None, False),
    ]
    assert told(heard.up("ari", 25.0)) == [("ari", 20.0, 25.0, False)]


def test_a_door_that_tells_of_no_calls_leaves_nobody_blind() -> None:
    heard = listening("ami", "hep", telling=("ami",))
    assert told(heard.down("hep", 10.0, "stopped")) == [("hep", 10.0, None, False)]
    assert not heard.blind


def test_an_outage_told_twice_is_one_gap() -> None:
    heard = listening("ami", telling=("ami",))
    heard.down("ami", 10.0, "reset")
    assert heard.down("ami", 11.0, "refused") == []


def test_a_time_in_which_we_did_not_run_ends_with_the_first_door() -> None:
    heard = listening()
    assert told(heard.not_running(5.0)) == [("companion", 5.0, None, True)]
    assert heard.blind_gap is not None
    assert told(heard.up("ari", 9.0)) == [("companion", 5.0, 9.0, True)]
    assert heard.up("ami", 9.5) == []


def test_a_gap_that_the_last_run_left_open_goes_on_and_is_not_told_twice() -> None:
    before = Gap("g1", "pbx", "ami", clock(3.0), None, "stopped")
    heard = listening(telling=("ami",), lasting=(before,))
    assert heard.not_running(4.0) == []
    assert heard.blind_gap == before
    assert heard.up("ami", 8.0) == [Gap("g1", "pbx", "ami", clock(3.0), clock(8.0), "stopped")]


def test_a_clock_set_back_makes_no_gap_that_ends_before_it_began() -> None:
    heard = listening("ami", telling=("ami",))
    heard.down("ami", 3_600.0, "reset")
    assert told(heard.up("ami", 30.0)) == [("ami", 3_600.0, 3_600.0, True)]


def test_lost_events_are_a_gap_as_long_as_they_are_lost() -> None:
    heard = listening("ami")
    assert told(heard.overflow(10.0)) == [("inbox", 10.0, None, True)]
    assert heard.overflow(11.0) == []
    assert told(heard.overflow_ended(12.0)) == [("inbox", 10.0, 12.0, True)]


def test_messages_that_cannot_be_read_make_one_gap_with_their_number() -> None:
    heard = listening("ami")
    [began] = heard.lost("ami", 10.0, 2, "messages could not be read")
    assert heard.lost("ami", 12.0, 3, "messages could not be read") == []
    assert heard.tick(14.0) == []
    [ended] = heard.tick(18.0)
    assert (ended.id, ended.reason) == (began.id, "5 messages could not be read")
    assert told([ended]) == [("ami", 10.0, 12.0, False)]
    assert heard.tick(30.0) == []


def test_a_pbx_that_was_never_heard_is_a_gap_since_we_began() -> None:
    heard = Listening("pbx", ("ami",), began_at=100.0)
    assert heard.tick(104.0) == []
    assert told(heard.tick(106.0)) == [("companion", 100.0, None, True)]
    assert heard.blind_gap is not None
    assert heard.tick(107.0) == []
    assert told(heard.up("ami", 160.0)) == [("companion", 100.0, 160.0, True)]


def test_a_pbx_that_is_heard_at_once_has_no_gap() -> None:
    heard = Listening("pbx", ("ami",), began_at=100.0)
    heard.up("ami", 101.0)
    assert heard.tick(106.0) == []
    assert told(heard.down("ami", 107.0, "reset")) == [("ami", 107.0, None, True)]
    assert heard.tick(120.0) == []


def test_a_gap_of_the_last_run_that_lasts_is_not_told_a_second_time() -> None:
    heard = Listening("pbx", ("ami",), began_at=100.0)
    heard.not_running(50.0)
    assert heard.tick(106.0) == []
