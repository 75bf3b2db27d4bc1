"""The verb password: what it prints is what the configuration takes."""

from __future__ import annotations

import getpass
import io
import sys
import tomllib

import pytest

from asterisk_sip import cli
from asterisk_sip.config_web import WebConfig
from asterisk_sip.password import Hash

from .config_texts import HIDDEN


def typed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


def test_what_it_prints_lets_that_person_in(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed(monkeypatch, f"{HIDDEN}\n")
    assert cli.main(["password", 'Zo\u00eb "Z"', "--role", "admin"]) == 0
    shown = capsys.readouterr()
    assert HIDDEN not in shown.out + shown.err
    (user,) = WebConfig(**tomllib.loads(shown.out)["web"]).user
    assert (user.name, user.role) == ('Zo\u00eb "Z"', "admin")
    assert Hash.read(user.password_hash.get_secret_value()).fits(HIDDEN)


def test_without_a_name_it_prints_the_hash_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed(monkeypatch, HIDDEN)
    assert cli.main(["password"]) == 0
    assert Hash.read(capsys.readouterr().out.rstrip("\n")).fits(HIDDEN)


def test_a_token_is_told_apart_from_the_lines_for_the_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["password", "--token", "grafana"]) == 0
    shown = capsys.readouterr()
    (token,) = WebConfig(**tomllib.loads(shown.out)["web"]).token
    (made,) = [line for line in shown.err.splitlines() if line.startswith("grafana.")]
    assert Hash.read(token.token_hash.get_secret_value()).fits(made)


@pytest.mark.parametrize(
    ("arguments", "text", "reason"),
    [
        ([], "short\n", "12 to 1024 characters"),
        ([], "", "12 to 1024 characters"),
        (["--token"], "", "needs a name"),
        (["a b", "--token"], "", "needs a name"),
        (["al\nice"], "", "one line of 1 to 79 characters"),
        (["a" * 80], "", "one line of 1 to 79 characters"),
    ],
)
def test_what_cannot_be_used_is_refused(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    text: str,
    reason: str,
) -> None:
    typed(monkeypatch, text)
    assert cli.main(["password", *arguments]) == (2 if arguments else 1)
    assert reason in capsys.readouterr().err


def test_whoever_gives_up_at_the_question_is_told_so_in_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    def ended(_prompt: str) -> str:
        raise EOFError

    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(getpass, "getpass", ended)
    assert cli.main(["password", "alice"]) == 1
    assert capsys.readouterr().err == "asterisk-sip: no password was given\n"
