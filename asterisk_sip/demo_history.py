"""A past for the demo: the calls of its recording, again and again, with earlier dates and ids of their own.

A working day has its busy hours and its quiet night, and once a day the first carrier has a bad half hour.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from importlib.resources import as_file, files

from asterisk_sip.calls.enrich import Surroundings
from asterisk_sip.calls.model import CallRecord, Outcome, call_id
from asterisk_sip.sources.recording import Replay

PAST = timedelta(days=9)
"""So far back: as the pages compare with the week before."""

_BUSIEST_AN_HOUR = 110
_OF_THE_DAY = (3, 2, 2, 2, 3, 6, 18, 45, 78, 100, 100, 92, 70, 84, 96, 90, 74, 52, 34, 24, 18, 12, 8, 5)
"""Per cent of the busiest hour, by the hour in UTC."""

_AT_THE_WEEKEND = 0.35
_BAD_HALF_HOUR = range(20, 50)
_ANSWERED_MORE_OFTEN = 4  # the recording is of what can go wrong; an office's calls are mostly answered
_FAILED = {Outcome.FAILED, Outcome.ABANDONED}
_BAD_CODES = {500, 502, 503}


def recorded_calls(around: Surroundings) -> list[CallRecord]:
    """Return the calls of the recording that comes with the package."""
    with as_file(files("asterisk_sip") / "data" / "demo.ami.gz") as path:
        return [record for record in Replay(around).read([path]) if record.started_at and record.ended_at]


def past(recorded: Sequence[CallRecord], since: datetime, until: datetime) -> Iterator[CallRecord]:
    """Yield calls that ended in a time, the oldest first: always the same ones in the same time."""
    bad = [record for record in recorded if {attempt.sip.code for attempt in record.attempts} & _BAD_CODES]
    usual = [record for record in recorded for _ in range(1 if record.outcome in _FAILED else _ANSWERED_MORE_OFTEN)]
    minute = since.replace(second=0, microsecond=0)
    while minute < until:
        dice = random.Random(int(minute.timestamp()))  # noqa: S311  no secret: a minute is always the same
        calls = _BUSIEST_AN_HOUR / 60 * _OF_THE_DAY[minute.hour] / 100
        calls *= _AT_THE_WEEKEND if minute.weekday() >= 5 else 1
        goes_wrong = minute.hour == 8 + minute.day % 9 and minute.minute in _BAD_HALF_HOUR
        for number in range(int(calls + dice.random())):
            several = bad if bad and goes_wrong and dice.random() < 0.7 else usual
            record = dice.choice(several)
            moved = _moved(record, minute + timedelta(seconds=60 * dice.random()), number)
            if moved.ended_at is not None and since < moved.ended_at < until:
                yield moved
        minute += timedelta(minutes=1)


def _moved(record: CallRecord, to: datetime, number: int) -> CallRecord:
    """Return a call as if it had begun at another time, on channels of that time."""
    if record.started_at is None:
        return record
    shift = to - record.started_at
    made_at = int(to.timestamp())
    linkedid = f"{made_at}.9{number:03}{record.linkedid.partition('.')[2]}"

    def later(at: datetime | None) -> datetime | None:
        return None if at is None else at + shift

    attempts = tuple(
        replace(
            attempt,
            uniqueid=f"{made_at}.9{number:03}{attempt.uniqueid.partition('.')[2]}",
            began_at=later(attempt.began_at),
            ended_at=later(attempt.ended_at),
        )
        for attempt in record.attempts
    )
    return replace(
        record,
        id=call_id(record.pbx, linkedid),
        linkedid=linkedid,
        started_at=to,
        ended_at=later(record.ended_at),
        answered_at=later(record.answered_at),
        attempts=attempts,
    )
