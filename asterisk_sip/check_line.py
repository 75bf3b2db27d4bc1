"""The line in channelvars that makes Asterisk show the status as received: whether it is there, and what else is."""

from __future__ import annotations

from collections.abc import Iterable

from asterisk_sip.calls.model import Grade
from asterisk_sip.check_files import lines_of
from asterisk_sip.check_release import has_tech_cause
from asterisk_sip.check_remark import Level, Remark, remark_with
from asterisk_sip.sources.ami_event_wire import reads_status

(THE_LINE,) = lines_of("manager.conf", "general", "channelvars")
"""What makes Asterisk show the status line as received: the same in manager.conf and ari.conf, section general."""

RELOAD = {"manager.conf": "manager reload", "ari.conf": "module reload res_ari"}


def about_line(file: str, configured: list[str] | None, shown: bool | None, wait_s: float) -> Remark:
    """Say whether the line is in ``file``.

    ``configured`` are the values of channelvars there, None when nobody tells; ``shown`` is whether events carried it,
    None when no call passed by.
    """
    if shown:
        text = "The line is active: statuses are known as received, phrase included (grade wire)"
        return Remark(Level.OK, text)
    missing = remark_with(
        Level.PROBLEM,
        "The line is missing: the status as received, with its phrase, is not told. "
        f'Then: asterisk -rx "{RELOAD[file]}"',
        *(file, "general", "channelvars"),
    )
    if shown is False:
        return missing
    if configured is not None:
        if any(map(reads_status, configured)):
            return Remark(Level.OK, f"The line is in {file} (no call passed by to show it)")
        return missing
    return remark_with(
        Level.NOTE,
        f"No call passed by in {wait_s:g} s, so it is not known whether the line is there. "
        "Place a call while checking (--wait 60), or look for it:",
        *(file, "general", "channelvars"),
    )


def about_pjsip(texts: Iterable[str]) -> list[Remark]:
    """Warn of what freezes Asterisk. ``texts`` are values of channelvars, or names of variables that events carried."""
    if not any("CHANNEL(pjsip" in text for text in texts):
        return []
    return [
        Remark(
            Level.PROBLEM,
            "channelvars holds CHANNEL(pjsip,...): calls hang for ever. On Asterisk 16.28 and 22.10.1 the first "
            "that rang did, without any load. Take it out.",
        )
    ]


def about_twice(file: str, texts: Iterable[str]) -> list[Remark]:
    """Warn of EVAL inside EVAL, as in the line of former times. ``texts`` are as in `about_pjsip`.

    The outer one inserts the name of the channel and the inner one evaluates it, and in the name of a Local channel
    stands what was dialled: ``1${ENV(PATH)}`` is read, the call to ``1${SHELL(id)}`` hangs (16.28 and 22.10.1).
    """
    if not any("EVAL(${EVAL(" in text for text in texts):
        return []
    text = (
        "channelvars holds EVAL inside EVAL, as this program once advised: of a call to a Local channel, Asterisk runs "
        "functions that stand in the number dialled. Put the new line in its place. "
        f'Then: asterisk -rx "{RELOAD[file]}"'
    )
    return [remark_with(Level.PROBLEM, text, file, "general", "channelvars")]


def grade_of_events(version: str | None, *, line: bool | None) -> tuple[Grade | None, str]:
    """Return how well events tell a status, and how; ``line``: whether it is active, None when that is not known."""
    if line:
        return Grade.WIRE, "the last status line received on each dialled leg, phrase included"
    if line is None:
        return None, "not known: no call passed by to show whether the line is there"
    if has_tech_cause(version):
        return Grade.REPORTED, "the code of each refused leg, without its phrase (TechCause)"
    return Grade.CANDIDATES, "the Q.850 cause of each leg: a set of codes"
