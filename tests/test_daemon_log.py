"""The log under a flood: a few lines alike are told, the rest counted; another outage is never hidden by it."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import structlog

from asterisk_sip.daemon_log import ALIKE_S, MOST_ALIKE, REMEMBERED, Repeats, Threshold


class Log:
    """What came through."""

    def __init__(self) -> None:
        self.now = 0.0
        self.repeats = Repeats(lambda: self.now)
        self.lines: list[dict[str, Any]] = []

    def say(self, method: str = "error", **event: Any) -> None:
        try:
            self.lines.append(dict(self.repeats(None, method, event)))
        except structlog.DropEvent:
            return


def test_lines_alike_are_told_a_few_times_a_minute_and_then_counted() -> None:
    log = Log()
    for number in range(MOST_ALIKE + 30):
        log.say(event="cannot answer", path=f"/{number}")
    assert len(log.lines) == MOST_ALIKE
    log.now = ALIKE_S
    log.say(event="cannot answer")
    log.say(event="cannot answer")
    assert [line.get("unsaid") for line in log.lines[-2:]] == [30, None]


def test_another_door_another_sink_or_another_level_is_another_line() -> None:
    log = Log()
    for _ in range(MOST_ALIKE + 1):
        log.say(event="not listening", pbx="pbx1", door="ami")
    log.say(event="not listening", pbx="pbx1", door="ari")
    log.say(event="not listening", pbx="pbx2", door="ami")
    log.say("info", event="not listening", pbx="pbx1", door="ami")
    assert len(log.lines) == MOST_ALIKE + 3


def test_a_flood_of_different_lines_takes_no_more_memory() -> None:
    log = Log()
    for number in range(3 * REMEMBERED):
        log.say(event=f"event {number}")
    assert len(log.lines) == 3 * REMEMBERED
    assert len(log.repeats._told) <= REMEMBERED


@pytest.mark.parametrize(("level", "told"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_the_level_can_be_changed_at_any_time(level: str, told: int) -> None:
    threshold = Threshold()
    threshold.set(level)
    passed = 0
    for method in ("debug", "info", "warning", "exception"):
        try:
            threshold(None, method, {})
        except structlog.DropEvent:
            continue
        passed += 1
    assert passed == told


@pytest.mark.parametrize("form", ["console", "json"])
def test_an_error_that_should_not_have_happened_is_told_without_the_values_of_variables(form: str) -> None:
    program = (
        "import structlog; from asterisk_sip.config import LogConfig; from asterisk_sip.daemon_log import set_up_log\n"
        f"set_up_log(LogConfig(format={form!r}))\n"
        "def check(password):\n    return 1 / 0\n"
        "try:\n    check('-'.join(('hunter2', 'must', 'never', 'show')))\n"
        "except ZeroDivisionError:\n    structlog.get_logger().exception('cannot answer')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "ZeroDivisionError" in done.stderr
    assert "hunter2-must-never-show" not in done.stderr


@pytest.mark.parametrize("form", ["console", "json"])
def test_nothing_that_remote_parties_say_steers_a_terminal(form: str) -> None:
    program = (
        "import structlog; from asterisk_sip.config import LogConfig; from asterisk_sip.daemon_log import set_up_log\n"
        f"set_up_log(LogConfig(format={form!r})); log = structlog.get_logger()\n"
        "for text in ('\\x1b[31mred', '\\x9b2J', 'a\\u202eb', 'in words \\x1b[2J', 'x\\ny', \"it's \\x07\"):\n"
        "    log.warning('login refused', user=text)\n"
        "try:\n    raise ValueError('\\x1b]0;title\\x07')\n"
        "except ValueError:\n    log.exception('cannot answer')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    lines = done.stderr.decode().splitlines()
    assert [line for line in lines if not line.isprintable()] == []
    assert sum("login refused" in line for line in lines) == 6
    assert any("x1b[31mred" in line or "u001b[31mred" in line for line in lines)
