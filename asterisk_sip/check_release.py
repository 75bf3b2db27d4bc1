"""What a release of Asterisk tells by itself, by its version number."""

from __future__ import annotations

import re

from asterisk_sip.check_remark import Level, Remark

FIRST_TECH_CAUSE = {20: (17, 0), 22: (7, 0), 23: (1, 0)}
"""The first release of each branch whose Hangup carries TechCause (commit 5766460cc7). Never in 16 to 19 and 21."""

EMPTY_TECH = {20: ((17, 0), (18, 0)), 21: ((12, 0), (12, 4)), 22: ((7, 0), (8, 0)), 23: ((1, 0), (2, 0))}
"""From and up to which release HANGUPCAUSE(...,tech) can be empty when a Reason header came (issues 1606, 1621)."""


def has_tech_cause(version: str | None) -> bool | None:
    """Return whether Hangup carries TechCause in this release; None when the version is not known."""
    parsed = _release(version)
    if parsed is None:
        return None
    major, rest, certified = parsed
    if certified:
        return major == 22
    first = FIRST_TECH_CAUSE.get(major)
    return major > max(FIRST_TECH_CAUSE) or (first is not None and rest >= first)


def tech_may_be_empty(version: str | None) -> bool:
    """Return whether this release is one in which the line can be empty although a response came."""
    parsed = _release(version)
    if parsed is None or parsed[2] or parsed[0] not in EMPTY_TECH:
        return False
    begin, end = EMPTY_TECH[parsed[0]]
    return begin <= parsed[1] < end


def about_release(version: str | None) -> list[Remark]:
    """Return what is to be said of a release."""
    known = has_tech_cause(version)
    if known is None:
        return []
    text = (
        "This release tells TechCause: without the line (channelvars), codes are known but not phrases"
        if known
        else "This release has no TechCause: without the line (channelvars) only a set of possible codes is known"
    )
    remarks = [Remark(Level.OK if known else Level.NOTE, text)]
    if tech_may_be_empty(version):
        remarks.append(
            Remark(
                Level.NOTE,
                "In this release the status can be missing when the far end sent a Reason header "
                "(mended in 20.18, 22.8, 23.2; never in 21). TechCause fills in where there is one.",
            )
        )
    return remarks


def _release(version: str | None) -> tuple[int, tuple[int, int], bool] | None:
    match = re.match(r"(certified/|certified-)?(\d+)\.(\d+)(?:\.(\d+))?(-cert)?", version or "")
    if match is None:
        return None
    return int(match[2]), (int(match[3]), int(match[4] or 0)), bool(match[1] or match[5])
