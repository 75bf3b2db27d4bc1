"""Whatever a change holds, its notice can be written, in every language, and nothing in it is mark-up."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from asterisk_sip.alerts.letter import Scribe
from asterisk_sip.alerts.model import Change, Kind, Rule, Severity, State, change_of, change_text
from asterisk_sip.alerts.notice import Facts
from asterisk_sip.alerts.notice_moved import Spot
from asterisk_sip.calls.model import SipStatus
from asterisk_sip.catalog import LANGUAGES, all_dispositions

from .call_records import failed
from .notices import FIRED, SINCE, told

TEXTS = st.text(st.characters(codec="utf-8"), max_size=60) | st.sampled_from(
    ["<!channel>", "@here", "[x](https://y)", "{where}", "{0.__class__}", "{{ page }}", "%s", "503", "x" * 500, ""]
)
NUMBERS = st.none() | st.floats(0, 1e12) | st.integers(0, 10**9)
COUNTS = st.none() | st.integers(0, 10**9)
NAMES = st.sampled_from(["trunk", "code", "prefix", "prefix9", "sip.code", "country", "caller.endpoint", "sink"])
DISPOSITIONS = st.sampled_from([each.name for each in all_dispositions()])


@st.composite
def changes(draw: st.DrawFn) -> Change:
    """A change that may hold nonsense, as long as its types are right."""
    return replace(
        FIRED,
        kind=draw(st.sampled_from(Kind)),
        severity=draw(st.sampled_from(Severity)),
        state=draw(st.sampled_from(State)),
        group=draw(st.dictionaries(NAMES | TEXTS, TEXTS, max_size=6)),
        since=SINCE - timedelta(seconds=draw(st.integers(-100, 10**8))),
        value=draw(NUMBERS),
        threshold=draw(st.floats(0, 1e9)),
        unit=draw(st.sampled_from(["calls", "attempts", "per_minute", "share", "ms", "in_a_row", "times", "s"])),
        when=draw(st.sampled_from(["above", "below"])),
        numerator=draw(COUNTS),
        denominator=draw(COUNTS),
        query=draw(st.dictionaries(st.sampled_from(["code", "trunk", "disposition"]), TEXTS)),
        completeness=draw(st.floats(0, 1)),
        detail=draw(st.none() | TEXTS),
    )


@st.composite
def facts(draw: st.DrawFn) -> Facts:
    """What a store may hold about it."""
    record = failed(1)
    sip = SipStatus(draw(st.none() | st.integers(100, 699)), draw(st.none() | TEXTS))
    record = replace(record, sip=sip, dialled=draw(st.none() | TEXTS), disposition=draw(DISPOSITIONS))
    spots = st.builds(Spot, TEXTS, st.just(0) | st.integers(100, 699), DISPOSITIONS, TEXTS)
    counts = st.dictionaries(spots, st.integers(1, 10**6), max_size=6).map(Counter)
    return Facts(draw(counts), draw(counts), (record,) * draw(st.integers(0, 3)))


@settings(max_examples=60, deadline=None)
@given(changes(), facts(), st.sampled_from(LANGUAGES), TEXTS)
def test_every_notice_can_be_written(change: Change, known: Facts, lang: str, rule: str) -> None:
    change = replace(change_of(change_text(change)), rule=rule)  # as it comes from the queue
    notice = told(change, facts=known, rule=Rule(rule, change.kind, ratio="asr"), lang=lang)
    data = json.loads(Scribe().write(notice))
    assert re.sub("[\u00a0\u200c\u200d]", "", data["headline"]).isprintable()  # parts of how names are written
    assert data["text"].startswith(data["headline"])
    for armed in ("<!", "@here", "](https"):
        assert armed not in data["headline"] + data["text"].replace(str(notice.link), "")
