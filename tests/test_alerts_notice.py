"""What a notice says, in which words, and that nothing a remote party wrote does harm in it."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import structlog

from asterisk_sip.alerts.letter import Scribe, Templates
from asterisk_sip.alerts.model import Kind, Rule, Severity, State
from asterisk_sip.alerts.notice import Facts, Notice, notice_id
from asterisk_sip.alerts.notice_headline import Subject, headline
from asterisk_sip.alerts.notice_moved import Spot, moved, spots
from asterisk_sip.alerts.notice_words import words
from asterisk_sip.calls.model import SipStatus, to_json
from asterisk_sip.catalog import LANGUAGES, UnknownLanguageError, code_text

from .call_records import BEGAN, failed
from .notices import CLEARED, FACTS, FIRED, RULE, SINCE, change, told

HOSTILE = '<!channel> @everyone <b>x</b> [pay](https://evil.example/) \u202egnp.exe\x1b[31m <@U1> "&'


def written(notice: Notice) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(Scribe().write(notice))
    return data


class Seen(HTMLParser):
    """What a reader of HTML sees, and where its links lead."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text, self.links, self.tags = "", list[str](), set[str]()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value for name, value in attrs if name == "href" and value]

    def handle_data(self, data: str) -> None:
        self.text += data


# The first line


def test_the_first_line_alone_tells_where_what_how_many_of_how_many_and_since_when() -> None:
    assert told(FIRED).headline == "acme: 503 Service Unavailable on 37 of 80 calls in 5 min (46 %), since 03:12 UTC"


def test_what_is_over_says_after_how_long_and_how_it_is_now() -> None:
    assert told(CLEARED).headline == "acme: over after 12 min: 503 Service Unavailable, now 2 of 80 calls (2.5 %)"


@pytest.mark.parametrize(
    ("lang", "line"),
    [
        ("de", "acme: 503 Service Unavailable bei 37 von 80 Anrufen in 5 min (46 %), seit 03:12 UTC"),
        ("fr", "acme : 503 Service Unavailable pour 37 appels sur 80 en 5 min (46 %), depuis 03:12 UTC"),
        ("es", "acme: 503 Service Unavailable en 37 de 80 llamadas en 5 min (46 %), desde 03:12 UTC"),
        ("pt", "acme: 503 Service Unavailable em 37 de 80 chamadas em 5 min (46 %), desde 03:12 UTC"),
    ],
)
def test_the_first_line_is_in_the_language_of_the_configuration(lang: str, line: str) -> None:
    assert told(FIRED, lang=lang).headline == line


KINDS = [
    (Kind.COUNT, "calls", 12, {}, "acme: 486 Busy Here on 12 calls in 5 min, since 03:12 UTC"),
    (Kind.RATE, "per_minute", 2.4, {}, "acme: 486 Busy Here, 2.4 a minute over 5 min, since 03:12 UTC"),
    (
        *(Kind.RATIO, "share", 0.31, {"when": "below", "threshold": 0.4, "numerator": 25}),
        "acme: ASR only 31 % (25 of 80 attempts in 5 min), below 40 %, since 03:12 UTC",
    ),
    (
        *(Kind.PDD, "ms", 8_200, {"threshold": 6_000, "numerator": None}),
        "acme: 8.2 s until it rings (80 attempts in 5 min), more than 6.0 s, since 03:12 UTC",
    ),
    (
        *(Kind.CONSECUTIVE, "in_a_row", 10, {"numerator": 10, "denominator": None}),
        "acme: 486 Busy Here on 10 attempts in a row, since 03:12 UTC",
    ),
    (
        *(Kind.NEW_CODE, "calls", 1, {"numerator": 1, "denominator": None}),
        "acme: 486 Busy Here, never seen here before, on 1 attempt in 5 min, since 03:12 UTC",
    ),
    (
        *(Kind.BURST, "times", 12.4, {"numerator": 240, "denominator": 19}),
        "acme: 240 attempts in 5 min, 12.4 times the usual 19, since 03:12 UTC",
    ),
    (
        *(Kind.SILENCE, "calls", 0, {"numerator": 0, "denominator": 35}),
        "acme: 0 attempts in 5 min, where other weeks had 35 at this hour, since 03:12 UTC",
    ),
    (Kind.GAP, "s", 90, {"group": {"pbx": "pbx1"}}, "pbx1: not heard since 03:12 UTC"),
    (Kind.SINK, "s", 90, {"group": {"sink": "fleet"}}, "sink fleet: takes no records since 03:12 UTC"),
]


@pytest.mark.parametrize(("kind", "unit", "value", "other", "line"), KINDS, ids=[str(each[0]) for each in KINDS])
def test_every_kind_of_rule_has_a_first_line_of_its_own(
    kind: Kind, unit: str, value: float, other: dict[str, Any], line: str
) -> None:
    counted = "calls" if kind in (Kind.COUNT, Kind.RATE) else "attempts"
    subject = Subject(486, None, "busy", counted, "asr")
    one = change(kind=kind, unit=unit, value=value, **({"numerator": int(value)} | other))
    assert headline(one, subject, words("en")) == line


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("kind", Kind)
def test_every_kind_can_be_told_in_every_language_fired_and_over(kind: Kind, lang: str) -> None:
    rule = Rule("r", kind, ratio="ner")
    states = (State.HOOK,) if kind is Kind.HOOK else (State.FIRED, State.CLEARED)
    for state in states:
        for when in ("above", "below"):
            one = change(kind=kind, rule="r", state=state, when=when, detail="no route")
            data = written(told(one, rule=rule, lang=lang))
            assert data["text"].startswith(data["headline"])
            assert "{" not in data["text"] + Seen(data["html"]).text


def test_a_record_that_matches_a_hook_is_told_with_who_called_whom() -> None:
    one = change(state=State.HOOK, kind=Kind.HOOK)
    line = "acme: 503 Service Unavailable, 101 called +4915123450 at 03:12 UTC"
    assert told(one, rule=Rule(RULE.name, Kind.HOOK)).headline == line


def test_of_several_the_most_urgent_is_told_first_and_the_others_are_counted() -> None:
    info = change(id="i", severity=Severity.INFO, group={"trunk": "globex"})
    both = told(CLEARED, info, FIRED)
    assert both.headline == f"{told(FIRED).headline}; and 2 more alerts"
    assert [each.id for each in both.alerts] == ["c1", "i", "c2"]
    assert (both.state, both.severity) == ("several", "critical")


SEVERAL = replace(RULE, filter={"code": (404, 484), "not.disposition": ("busy",)})
ANY = {"trunk": "acme"}


@pytest.mark.parametrize(
    ("counts", "what"),
    [
        ({(404, "not_found"): 37}, "404 Not Found"),
        ({(404, "not_found"): 30, (484, "not_found"): 7}, "mostly 404 Not Found"),
        ({(404, "not_found"): 37, (503, "congestion"): 400}, "404 Not Found"),  # the rule did not count the 503
        ({(404, "not_found"): 3, (484, "busy"): 400}, "404 Not Found"),
        ({(404, "not_found"): 1, (484, "not_found"): 1, (484, "rejected"): 1}, "failures"),
    ],
)
def test_a_rule_over_several_statuses_names_the_one_that_it_counted_and_says_when_others_were_with_it(
    counts: dict[tuple[int, str], int], what: str
) -> None:
    now = Counter({Spot("acme", code, name, ""): count for (code, name), count in counts.items()})
    said = told(change(query=ANY), facts=Facts(now), rule=SEVERAL).headline
    assert said.startswith(f"acme: {what} on 37 of 80 calls")


def test_three_samples_alike_do_not_prove_that_all_were_alike() -> None:
    said = told(change(query=ANY), facts=Facts(samples=FACTS.samples), rule=SEVERAL).headline
    assert said.startswith("acme: mostly 503 Service Unavailable on 37 of 80 calls")


def test_a_ratio_is_about_no_status_even_if_its_samples_have_one() -> None:
    rule = Rule("r", Kind.RATIO, ratio="asr")
    [alert] = told(change(kind=Kind.RATIO, rule="r", when="below", query=ANY), rule=rule).alerts
    assert (alert.sip_code, alert.disposition) == (None, None)
    assert alert.headline.startswith("acme: ASR only 46 %")


def test_a_test_says_so_at_once() -> None:
    assert told(change(test=True)).headline.startswith("TEST: acme: ")


def test_what_began_on_another_day_has_its_date() -> None:
    assert "since 2026-11-26 03:12 UTC" in told(change(since=SINCE - timedelta(days=1))).headline


def test_the_notice_of_the_same_changes_has_the_same_id_and_of_others_another() -> None:
    assert told(FIRED, CLEARED).id == notice_id([FIRED, CLEARED]) != notice_id([FIRED])


# What changed


def test_what_moved_most_comes_first_with_both_shares() -> None:
    first, second = moved(FACTS.now, FACTS.before)
    assert (first.trunk, first.code, first.prefix, first.now, first.now_of) == ("acme", 503, "+4915", 31, 40)
    assert (first.before, first.before_of) == (0, 5)
    assert (second.code, second.now, second.before) == (486, 3, 4)
    assert (
        "acme, 503 Service Unavailable, to +4915: 31 of 40 (78 %), before that 0 of 5 (0 %)"
        in (written(told(FIRED))["text"])
    )


def test_a_prefix_is_named_only_when_most_of_the_change_is_its_own() -> None:
    many = Counter({Spot("acme", 503, "congestion", f"+49{number}"): 5 for number in range(10, 16)})
    [move] = moved(many, Counter())
    assert (move.prefix, move.now) == (None, 30)


def test_what_moved_little_or_failed_nothing_is_not_told() -> None:
    steady = Counter({Spot("acme", 486, "busy", "+4930"): 50, Spot("acme", 503, "congestion", "+4930"): 1})
    assert moved(steady, steady) == ()
    assert moved(Counter(), steady) == ()


def test_where_nothing_failed_before_that_is_said_and_no_share_of_nothing() -> None:
    text = written(told(FIRED, facts=replace(FACTS, before=Counter())))["text"]
    assert "to +4915: 31 of 40 (78 %), and nothing failed before that" in text


def test_failed_attempts_are_counted_by_when_they_ended_and_not_those_that_were_answered() -> None:
    records = [failed(number, trunk="acme") for number in range(10)]
    found = spots(map(to_json, records), BEGAN + timedelta(seconds=3), BEGAN + timedelta(seconds=6))
    assert found == {Spot("acme", 503, "congestion", "+4930"): 3}
    flood = replace(failed(3), count=40)
    assert spots([to_json(flood)], BEGAN, BEGAN + timedelta(hours=1)).total() == 40


# The rest of it


def test_text_html_and_json_say_the_same() -> None:
    data = written(told(FIRED))
    seen = Seen(data["html"])
    [alert] = data["alerts"]
    for line in (*data["text"].splitlines(), alert["headline"], alert["meaning"], *alert["next_steps"]):
        said = line.removeprefix("- ").strip().replace(" %", "\u00a0%").replace("`", "")
        if not line.startswith(("--", "  ")):
            assert said.split("  ")[0] in re.sub(r"\s+", " ", seen.text) or said in seen.text, line
    assert alert["link"] in seen.links
    assert alert["link"] in data["text"]
    assert {sample["link"] for sample in alert["samples"]} <= {*seen.links}


def test_it_means_and_helps_what_the_catalogue_says_in_the_same_language() -> None:
    for lang in LANGUAGES:
        [alert] = told(FIRED, lang=lang).alerts
        text = code_text(503, lang=lang)
        assert (alert.meaning, alert.next_steps) == (text.meaning, text.next_steps[:2])


def test_a_603_of_an_analytics_engine_is_told_as_blocked() -> None:
    blocked = SipStatus(603, "Network Blocked", 6)
    facts = Facts(samples=tuple(replace(failed(n), sip=blocked, disposition="blocked") for n in range(3)))
    one = change(query={"code": "603"})
    [alert] = told(one, facts=facts).alerts
    assert alert.headline.startswith("acme: 603 Network Blocked on 37")
    assert alert.meaning == code_text(603, "Network Blocked").meaning


def test_a_408_that_asterisk_made_itself_is_told_as_no_response() -> None:
    silent = SipStatus(408, "Request Timeout", 4)
    facts = Facts(samples=tuple(replace(failed(n), sip=silent, disposition="no_response") for n in range(3)))
    [alert] = told(change(query={}), facts=facts).alerts
    assert alert.sip_code == 408
    assert alert.meaning != code_text(408).meaning


def test_words_of_the_rule_come_before_those_of_the_catalogue() -> None:
    rule = replace(RULE, meaning="Acme is full.", hint="Call Acme: 555 0100.")
    [alert] = told(FIRED, rule=rule).alerts
    assert (alert.meaning, alert.next_steps) == ("Acme is full.", ("Call Acme: 555 0100.",))


def test_commands_in_advice_look_like_commands_and_nothing_else_becomes_mark_up() -> None:
    rule = replace(RULE, hint="Run `core show channels` <b>now</b>.")
    assert "Run <code>core show channels</code> &lt;b&gt;now&lt;/b&gt;." in written(told(FIRED, rule=rule))["html"]


def test_who_was_not_listening_all_the_time_says_so() -> None:
    assert "All of that time was listened to." in written(told(FIRED))["text"]
    text = written(told(change(completeness=0.83)))["text"]
    assert "Only 83 % of that time was listened to: calls may be missing" in text


def test_people_are_shown_ten_alerts_and_programs_all() -> None:
    data = written(told(*(change(id=str(n), group={"trunk": f"t{n}"}) for n in range(12)), missed=3))
    assert data["headline"].endswith("; and 11 more alerts")
    assert "t9: 503" in data["text"]
    assert "t10: 503" not in data["text"]
    assert "2 more alerts are not shown here." in data["text"]
    assert "Before this, 3 alerts were not told" in data["text"]
    assert len(data["alerts"]) == 12


@pytest.mark.parametrize("lang", LANGUAGES)
def test_what_remote_parties_wrote_calls_nobody_steers_nothing_and_is_no_mark_up(lang: str) -> None:
    status = SipStatus(503, HOSTILE, 5)
    record = replace(failed(1), sip=status, dialled=HOSTILE)
    record = replace(record, caller=replace(record.caller, number=HOSTILE))
    one = change(group={"trunk": HOSTILE}, detail=HOSTILE, rule=HOSTILE)
    harmless = written(told(FIRED, facts=Facts(), lang=lang))
    data = written(
        told(one, facts=Facts(Counter({Spot(HOSTILE, 503, "congestion", "")}), samples=(record,)), lang=lang)
    )
    seen = Seen(data["html"])
    for text in (data["headline"], data["text"], seen.text):
        assert re.sub(r"[\n\u00a0]", "", text).isprintable()
        for armed in ("<!", "<@", "@everyone", "](", "https://evil", "\u202e", "\x1b"):
            assert armed not in text, armed
    assert seen.tags <= Seen(harmless["html"]).tags | {"h3", "ul", "li", "a", "p"}
    assert not any("evil" in link.split("?")[0] for link in seen.links)


def test_a_language_that_is_not_there_is_refused() -> None:
    with pytest.raises(UnknownLanguageError):
        told(FIRED, lang="xx")


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_language_has_the_keys_and_the_places_of_english(lang: str) -> None:
    english, other = words("en"), words(lang)
    assert other.keys() == english.keys()
    for key in sorted(english.keys()):
        places = [set(re.findall(r"\{(\w+)\}", t._texts[key])) for t in (english, other)]
        assert places[0] == places[1], key
        code = [re.findall(r"`[^`]+`", t._texts[key]) for t in (english, other)]
        assert code[0] == code[1], key


@pytest.mark.parametrize("lang", sorted({*LANGUAGES} - {"en"}))
def test_no_word_of_a_notice_was_left_in_english(lang: str) -> None:
    english = re.compile(r"\b(the|and|with|is|are|of|called|since|over|which|from)\b")
    for key in sorted(words("en").keys()):
        text = re.sub(r"`[^`]+`|\{\w+\}", "", words(lang)._texts[key])
        assert not english.search(text), f"{key}: {text}"


# Templates


def test_a_template_of_the_configuration_takes_the_place_of_the_built_in_one(tmp_path: Path) -> None:
    text, html = tmp_path / "n.txt", tmp_path / "n.html"
    text.write_text("{{ page.headline }} !{{ page.parts[0].samples | length }}")
    html.write_text("<p>{{ page.headline }}</p>")
    scribe = Scribe(Templates(text, html))
    data = json.loads(scribe.write(told(change(group={"trunk": "a&b"}))))
    assert data["text"] == f"{data['headline']} !3"
    assert data["html"].startswith("<p>a&amp;b: 503")
    text.write_text("changed")
    assert json.loads(scribe.write(told(FIRED)))["text"] == "changed"


@pytest.mark.parametrize(
    "broken",
    [
        "{{ page.",
        "{{ page.nothing }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{% for n in range(10**9) %}x{% endfor %}",
        "",
    ],
)
def test_a_template_that_does_not_work_is_told_once_and_the_built_in_one_is_used(broken: str, tmp_path: Path) -> None:
    path = tmp_path / "broken.txt"
    path.write_text(broken)
    scribe = Scribe(Templates(text=path))
    with structlog.testing.capture_logs() as logged:
        for _ in range(2):
            assert json.loads(scribe.write(told(FIRED)))["text"] == written(told(FIRED))["text"]
    assert [entry["file"] for entry in logged] == [str(path)]


def test_a_template_that_is_not_there_is_no_reason_to_stay_silent(tmp_path: Path) -> None:
    assert written(told(FIRED)) == json.loads(Scribe(Templates(text=tmp_path / "gone.txt")).write(told(FIRED)))


def test_times_are_told_in_their_two_largest_units() -> None:
    shown = [words("en").lasting(s) for s in (0, 45, 300, 5_400, 90_061)]
    assert shown == ["0 s", "45 s", "5 min", "1 h 30 min", "1 d 1 h"]
