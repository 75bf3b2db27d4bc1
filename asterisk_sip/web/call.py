"""What the page of one call shows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

from aiohttp import web

from asterisk_sip.calls.model import Attempt, CallRecord, to_json
from asterisk_sip.calls.story import story
from asterisk_sip.calls.ticket import ticket
from asterisk_sip.catalog import disposition, hint

from . import worded
from .api import SHELF
from .problems import ProblemError
from .words import language

_TALK_SHOWN = 0.35  # of the time before it: a long talk must not squeeze the set-up into nothing
_LEAST_SHOWN = timedelta(milliseconds=200)
_A_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Track:
    """How an attempt is drawn, in per cent of the line of time: where it began, rang, was answered and ended.

    ``cut``: it went on for longer than is shown.
    """

    began: float
    rang: float | None
    answered: float | None
    ended: float
    cut: bool


async def fill(request: web.Request, _values: dict[str, Any]) -> dict[str, Any]:
    """Return what the template shows. Raises ProblemError."""
    store = await request.app[SHELF].store()
    record = await store.call(request.match_info["id"])
    if record is None:
        reason = "no call has this id; answered calls are only counted unless [records] keep is all"
        raise ProblemError(HTTPStatus.NOT_FOUND, reason)
    lang = language(request)
    at = record.started_at or record.ended_at
    drawn, shown_ms = tracks(record)
    return {
        "call": record,
        "story": story(record, lang),
        "worded": worded,
        "tracks": drawn,
        "shown_ms": shown_ms,
        "refused": next((each for each in record.attempts if disposition(each.disposition).failed), None),
        "hint_of": hint,
        "offset_ms": lambda moment: None if moment is None or at is None else (moment - at) / timedelta(milliseconds=1),
        "tickets": [(attempt, ticket(record, attempt, lang)) for attempt in record.attempts if _refused(attempt)],
        "around": None if at is None else {"since": _whole(at - _A_DAY), "until": _whole(at + _A_DAY)},
        "raw": json.dumps(to_json(record), indent=1, ensure_ascii=False),
    }


def tracks(record: CallRecord) -> tuple[dict[int, Track], float]:
    """Return how each attempt is drawn, by its number, and how many ms the line is long.

    There is none when too little is known of the times.
    """
    timed = [(each, each.began_at, each.ended_at) for each in record.attempts if each.began_at and each.ended_at]
    if not timed:
        return {}, 0
    begin = min(filter(None, (record.started_at, *(began for _, began, _ in timed))))
    end = max(ended for _, _, ended in timed)
    if record.answered_at is not None:
        set_up = max(_LEAST_SHOWN, record.answered_at - begin)
        end = min(end, record.answered_at + _TALK_SHOWN * set_up)
    length = max(_LEAST_SHOWN, end - begin)

    def place(moment: datetime) -> float:
        return round(min(100.0, max(0.0, 100 * ((moment - begin) / length))), 2)

    def track(attempt: Attempt, began_at: datetime, ended_at: datetime) -> Track:
        rang_at = None
        if attempt.ring_ms is not None and attempt.pdd_ms is not None:
            rang_at = began_at + timedelta(milliseconds=attempt.pdd_ms)
        answered_at = record.answered_at if attempt.disposition == "answered" else None
        return Track(
            place(began_at),
            None if rang_at is None else place(rang_at),
            None if answered_at is None else place(answered_at),
            place(ended_at),
            ended_at > end,
        )

    drawn = {each.seq: track(each, began_at, ended_at) for each, began_at, ended_at in timed}
    return drawn, length / timedelta(milliseconds=1)


def _refused(attempt: Attempt) -> bool:
    return attempt.trunk is not None and disposition(attempt.disposition).failed


def _whole(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)
