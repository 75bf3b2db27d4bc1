from __future__ import annotations

import json
from pathlib import Path

import pytest

from asterisk_sip.cli import main

RULES = """
[[pbx]]
name = "p"

[[trunk]]
name = "acme"
endpoints = ["acme"]

[[override]]
name = "acme throttles"
trunk = "acme"
code = 486
under_ms = 300
meaning = "No more calls from us in this second."

[[override]]
name = "elsewhere"
trunk = "globex"
hint = "Call globex."
"""


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "rules.toml"
    path.write_text(RULES)
    return str(path)


def test_explain_shows_what_the_operator_knows_of_a_trunk(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """No secret is needed to ask for a meaning."""
    assert main(["explain", "486", "--trunk", "acme", "--config", config, "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [rule["name"] for rule in told["overrides"]] == ["acme throttles"]
    assert main(["explain", "486", "--trunk", "acme", "--config", config]) == 0
    text = capsys.readouterr().out
    assert "'acme throttles', when it failed in less than 300 ms" in text
    assert "No more calls from us in this second." in text


def test_a_rule_of_another_trunk_or_code_is_not_shown(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "503", "--trunk", "acme", "--config", config, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["overrides"] == []


def test_a_trunk_without_a_configuration_says_which_file_is_missing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["explain", "486", "--trunk", "acme"]) == 2
    assert "asterisk-sip.toml" in capsys.readouterr().err
