"""Explaining what somebody typed: the right code, or an error that says what is accepted."""

from __future__ import annotations

import json
import resource
import subprocess
import sys

import pytest

from asterisk_sip.catalog import (
    LANGUAGES,
    UnknownLanguageError,
    all_causes,
    all_codes,
    all_dispositions,
    disposition_text,
)
from asterisk_sip.catalog.explain import (
    UnknownQueryError,
    explain,
    explain_all,
    explain_causes,
    search,
)

PROMISED = {"code", "phrase", "class", "class_name", "class_meaning", "meaning", "causes", "next_steps", "reference"}
PROMISED |= {"registered", "disposition", "fault", "retry", "q850", "lang"}


@pytest.mark.parametrize(
    ("query", "code", "variant"),
    [
        ("608", 608, ""),
        (" 486 ", 486, ""),
        ("603", 603, ""),
        ("603+", 603, "603+"),
        ("SIP 603 Network Blocked", 603, "603+"),
        ("sip/2.0 603 network blocked", 603, "603+"),
        ("SIP 603 Decline", 603, ""),
        ("SIP/2.0 486 Busy Here", 486, ""),
        ("486 Besetzt", 486, ""),
        ("SIP;cause=480", 480, ""),
        ('SIP;cause=200;text="Call completed elsewhere"', 200, ""),
        ("busy here", 486, ""),
        ("BusyHere", 486, ""),
        ("Request-URI Too Large", 414, ""),
        ("network blocked", 603, "603+"),
        ("service unavailable", 503, ""),
        ("450", 450, ""),
    ],
)
def test_a_code_is_found_however_it_is_written(query: str, code: int, variant: str) -> None:
    found = explain(query)
    assert (found["kind"], found["code"], found["variant"]) == ("sip", code, variant)


@pytest.mark.parametrize(
    ("query", "cause"),
    [
        ("q850:34", 34),
        ("Q.850:34", 34),
        ("cause 34", 34),
        ("Cause: 127", 127),
        ("q850 101", 101),
        ("Q.850;cause=16", 16),
        ('Q.850;cause=21;text="Call Rejected"', 21),
        ("0", 0),
        ("34", 34),
        ("AST_CAUSE_USER_BUSY", 17),
        ("ast_cause_noanswer", 19),
        ("CONGESTION", 34),
        ("user busy", 17),
    ],
)
def test_a_cause_is_found_however_it_is_written(query: str, cause: int) -> None:
    found = explain(query)
    assert (found["kind"], found["cause"]) == ("q850", cause)


@pytest.mark.parametrize("query", ["", "   ", "hello", "700", "099", "1000", "q850:128", "486+", "4xx", "cause", "-1"])
def test_what_names_nothing_is_refused_with_what_is_accepted(query: str) -> None:
    with pytest.raises(UnknownQueryError, match=r"Accepted: .*603\+.*q850:34"):
        explain(query)


@pytest.mark.parametrize(("query", "names"), [("not acceptable", "406, 606"), ("stale date", "403, 439")])
def test_a_phrase_of_two_codes_is_refused_with_both(query: str, names: str) -> None:
    with pytest.raises(UnknownQueryError, match=names):
        explain(query)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_code_is_explained_with_the_promised_keys_and_is_plain_json(lang: str) -> None:
    entries = explain_all(lang)
    assert len(entries) == len(all_codes())
    for entry in entries:
        assert set(entry) >= PROMISED
        assert entry["lang"] == lang
        assert set(entry["fault"]) >= {"side", "reason"}
        assert json.loads(json.dumps(entry)) == entry
        assert explain(f"{entry['code']} {entry['phrase']}", lang) == entry


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_cause_and_disposition_is_explained(lang: str) -> None:
    causes = explain_causes(lang)
    assert [entry["cause"] for entry in causes] == [cause.cause for cause in all_causes() if cause.assigned]
    assert all(json.loads(json.dumps(entry)) == entry for entry in causes)
    for known in all_dispositions():
        assert disposition_text(known.name, lang).next_steps


def test_a_code_shows_the_rfc_beside_what_asterisk_does() -> None:
    q850 = explain("302")["q850"]
    assert q850["rfc3398"]["cause"] == 23
    assert (q850["asterisk"]["before"], q850["asterisk"]["cause"]) == (16, 23)
    assert q850["asterisk"]["changed_in"] == ["20.19.0", "22.9.0", "23.3.0"]
    q850 = explain("504")["q850"]
    assert q850["asterisk"] == {
        "cause": 102,
        "text": "Recover on timer expiry",
        "before": 102,
        "changed_in": [],
        "sent_to_caller": 603,
    }
    assert explain("180")["q850"] is None


def test_a_cause_lists_the_codes_it_may_stand_for() -> None:
    asterisk = explain("cause 21")["sip"]["asterisk"]
    assert asterisk["candidates"] == [401, 403, 407, 603]
    assert asterisk["sent_to_caller"] == 403


def test_an_unknown_code_says_so_in_the_language_asked() -> None:
    found = explain("450", "de")
    assert found["known"] is False
    assert "450 steht in keiner Tabelle" in found["meaning"]
    assert "8.1.3.2" in found["meaning"]


def test_search_finds_codes_and_causes_by_all_their_words() -> None:
    assert {488, 606} <= {entry.get("code") for entry in search("codec common")}
    assert [entry["code"] for entry in search("Network Blocked analytics")] == [603]
    assert 17 in {entry.get("cause") for entry in search("besetzt", "de")}
    assert search("") == []
    assert search("zebra") == []


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(UnknownLanguageError):
        explain("486", "tlh")


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_only_the_language_asked_is_read() -> None:
    code = (
        "import asterisk_sip.catalog.tables as tables; read = []; texts = tables.tomllib.load;"
        "tables.tomllib.load = lambda file: read.append(file.name) or texts(file);"
        "from asterisk_sip.catalog.explain import explain; explain('608', 'de'); explain('q850:34', 'de');"
        "print(*read)"
    )
    assert run(code).split()[0].endswith("de.toml")
    assert len(run(code).split()) == 1


def test_the_catalogue_needs_no_event_loop_no_log_and_no_third_party() -> None:
    code = (
        "import sys; from asterisk_sip.catalog.explain import explain; explain('608');"
        "print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    loaded = set(run(code).split())
    assert not loaded & {"asyncio", "logging", "pydantic", "aiohttp", "cyclopts", "rich"}


def test_explaining_is_quick_from_a_cold_start() -> None:
    def seconds(code: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        run(code)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)  # processor time: a busy machine changes nothing
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    script = "import json; from asterisk_sip.catalog.explain import explain; print(json.dumps(explain('608', 'fr')))"
    assert min(seconds(script) for _ in range(5)) < 0.3
