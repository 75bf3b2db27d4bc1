"""The words in five languages: complete, not left in English, and the same facts in each."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections import Counter
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest

from asterisk_sip.catalog import (
    LANGUAGES,
    UnknownLanguageError,
    all_causes,
    all_codes,
    all_dispositions,
    all_refused,
    code_text,
    disposition_text,
    e425_groups,
    hint,
    label,
    q850_reason,
    q850_text,
    refused_text,
    sip_class,
)
from tests.catalog_facts import FACTS

OTHERS = LANGUAGES[1:]

# Where a language rightly says the same as English.
SAME = {"fr": {"class.3.name"}, "es": {"class.1.name", "label.retry.no"}}
# Words that only an English sentence has; a text with one of them was not translated.
ENGLISH = re.compile(r"\b(the|and|with|is|are|of|called|caller|which|from the)\b", re.IGNORECASE)
# Letters spelled around, as on an old keyboard.
SPELLED_AROUND = {
    "de": r"\b(fuer|ueber|koenn|pruef|moegl|naech|hoer|groess|gehoer|waehl|zurueck)",
    "fr": r"\b(numero|operateur|appele|delai|reponse|reseau|verifier)\b",
    "es": r"\b(numero|codec|direccion|opcion|peticion|despues|telefono)\b",
    "pt": r"\b(numero|nao|codigo|cabecalho|requisicao|operacao|endereco)\b",
}


def raw(lang: str) -> dict[str, Any]:
    text = (files("asterisk_sip.catalog") / "data" / "lang" / f"{lang}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def leaves(section: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield (path, text) for every text of a language file."""
    if isinstance(section, dict):
        for key, value in section.items():
            yield from leaves(value, f"{path}.{key}" if path else key)
    elif isinstance(section, list):
        for index, value in enumerate(section):
            yield from leaves(value, f"{path}[{index}]")
    else:
        yield path, section


def entry_texts(lang: str) -> dict[str, list[str]]:
    """Return the sentences of every code and disposition, joined by entry and kind."""
    found: dict[str, list[str]] = {}
    for path, text in leaves(raw(lang)):
        if "fault_reason" not in path:
            found.setdefault(re.sub(r"\[\d+\]", "", path), []).append(text)
    return found


def test_the_five_languages_are_there_english_first() -> None:
    assert LANGUAGES[0] == "en"
    assert set(LANGUAGES) >= {"en", "de", "es", "fr", "pt"}


@pytest.mark.parametrize("lang", OTHERS)
def test_a_language_has_every_text_that_english_has_and_no_other(lang: str) -> None:
    english = {path for path, _ in leaves(raw("en"))}
    reasons = {f"code.{entry.key}.fault_reason" for entry in all_codes()}
    reasons |= {f"disposition.{entry.name}.fault_reason" for entry in all_dispositions()}
    reasons |= {f"unlisted.{digit}.fault_reason" for digit in range(1, 7)}
    reasons |= {f"refused.{entry.kind}.fault_reason" for entry in all_refused()}
    reasons |= {f"q850.reason.{entry.cause}" for entry in all_causes() if entry.assigned}
    assert {path for path, _ in leaves(raw(lang))} == english | reasons


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_code_cause_class_and_disposition_speaks(lang: str) -> None:
    for entry in all_codes():
        text = code_text(entry.code, entry.phrase, lang)
        assert text.meaning
        assert text.fault_reason
        assert text.causes
        assert text.next_steps
        if entry.code >= 300:
            assert 2 <= len(text.causes) <= 4, entry.key
            assert 2 <= len(text.next_steps) <= 4, entry.key
    for known in all_dispositions():
        assert disposition_text(known.name, lang).next_steps
        assert label("disposition", known.name, lang)
    for refusal in all_refused():
        assert refused_text(refusal, lang).next_step
    for cause in all_causes():
        assert q850_text(cause.cause, lang)
        assert q850_reason(cause.cause, lang)
    for digit in range(1, 7):
        assert sip_class(digit, lang).retry
        assert code_text(digit * 100 + 98, lang=lang).next_steps


@pytest.mark.parametrize("lang", OTHERS)
def test_no_text_was_left_in_english(lang: str) -> None:
    english = dict(leaves(raw("en")))
    reasons = {entry.fault_why for entry in all_codes()} | {entry.fault_why for entry in all_causes()}
    reasons |= {entry.fault_why for entry in all_dispositions()} | {entry.fault_why for entry in all_refused()}
    for path, text in leaves(raw(lang)):
        if path in SAME.get(lang, ()):
            assert text == english[path], f"{path} need not be excused"
            continue
        assert text != english.get(path), path
        assert text not in reasons, path
        assert not ENGLISH.search(re.sub(r'`[^`]*`|"[^"]*"|«[^»]*»', "", text)), f"{path}: {text}"


@pytest.mark.parametrize("lang", OTHERS)
def test_letters_are_typed_as_the_language_has_them(lang: str) -> None:
    for path, text in leaves(raw(lang)):
        assert unicodedata.is_normalized("NFC", text), path
        assert not re.search(SPELLED_AROUND.get(lang, r"(?!)"), text, re.IGNORECASE), f"{path}: {text}"


@pytest.mark.parametrize("lang", OTHERS)
def test_commands_options_and_numbers_are_the_same_in_every_language(lang: str) -> None:
    english, other = entry_texts("en"), entry_texts(lang)
    for path, sentences in english.items():
        for pattern in (r"`[^`]+`", r"\d{2,}|(?<=\()A(?=\))", r"\{\w+\}"):
            wanted = Counter(re.findall(pattern, " ".join(sentences)))
            assert Counter(re.findall(pattern, " ".join(other[path]))) == wanted, f"{path}: {other[path]}"


@pytest.mark.parametrize("lang", LANGUAGES)
def test_sentences_are_short_and_whole(lang: str) -> None:
    for path, text in leaves(raw(lang)):
        assert text == text.strip(), path
        assert len(text) <= 160, f"{path}: {len(text)} characters"
        if not re.match(r"label|class|q850\.class|disposition\.\w+\.label", path):
            assert text.endswith("."), f"{path}: {text}"


def test_every_option_and_command_we_advise_exists_in_asterisk_22() -> None:
    names = [line.split(" ", 1) for line in (FACTS / "asterisk_22.10.1_names.txt").read_text().splitlines()]
    options = {name.split(".", 1)[1] for kind, name in names if kind == "option"}
    functions = {name for kind, name in names if kind in {"application", "function"}}
    commands = tuple(name for kind, name in names if kind == "cli")
    other = {
        "r",
        "i",
        "user",
        "sip:",
        "sips:",
        "tel:",
        "alaw",
        "ulaw",
        "_X.",
        "timedatectl",
        "channelvars",
        "asterisk-sip check",
    }
    for path, text in leaves(raw("en")):
        for advised in re.findall(r"`([^`]+)`", text):
            known = (
                advised in other
                or advised.split("=")[0] in options
                or advised.split("(")[0] in functions
                or advised.startswith(commands)
            )
            assert known, f"{path}: {advised}"


def test_the_hint_is_the_first_step_of_the_code_that_the_disposition_stands_on() -> None:
    assert hint("busy", 486) == code_text(486).next_steps[0]
    assert hint("blocked", 603, "Network Blocked", "de") == code_text(603, "Network Blocked", "de").next_steps[0]


@pytest.mark.parametrize(("disposition", "code"), [("no_response", 408), ("unreachable", 503), ("pbx_refused", 603)])
def test_a_code_that_asterisk_made_itself_does_not_give_the_hint(disposition: str, code: int) -> None:
    assert hint(disposition, code) == disposition_text(disposition).next_steps[0]
    assert hint(disposition, code) != code_text(code).next_steps[0]


def test_without_a_code_the_disposition_gives_the_hint() -> None:
    assert hint("no_response", None, lang="fr") == disposition_text("no_response", "fr").next_steps[0]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_short_names_are_there_in_every_language(lang: str) -> None:
    assert all(label("fault", side, lang) for side in ("caller", "callee", "carrier", "us", "unknown"))
    assert all(label("retry", answer, lang) for answer in ("yes", "no", "never"))
    assert all(label("e425", group, lang) for group in e425_groups())
    assert all(label("heading", key, lang) for key in ("causes", "next_steps", "fault", "retry", "disposition", "q850"))
    assert len({label("disposition", entry.name, lang) for entry in all_dispositions()}) == len(all_dispositions())


@pytest.mark.parametrize(("kind", "key"), [("fault", "nobody"), ("colour", "red"), ("disposition", "gone")])
def test_a_short_name_that_is_not_there_is_refused(kind: str, key: str) -> None:
    with pytest.raises(ValueError, match=key):
        label(kind, key)


def test_a_language_that_is_not_there_is_refused_with_those_there_are() -> None:
    with pytest.raises(UnknownLanguageError, match=", ".join(LANGUAGES)):
        code_text(486, lang="xx")
    with pytest.raises(UnknownLanguageError):
        sip_class(4, "../en")


def test_english_reasons_of_fault_are_the_argument_of_the_table() -> None:
    assert all(code_text(entry.code, entry.phrase).fault_reason == entry.fault_why for entry in all_codes())
    assert all(q850_reason(entry.cause) == entry.fault_why for entry in all_causes())
