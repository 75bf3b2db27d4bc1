"""Asterisk's own mapping between SIP codes and causes, by driver and release. It is not the RFC's.

SIP to cause: ``hangup_sip2cause`` in channels/chan_sip.c and channels/chan_pjsip.c (16), later
``ast_sip_hangup_sip2cause`` in res/res_pjsip.c. Cause to SIP: ``hangup_cause2sip`` in both drivers.
Two tables exist. "now": chan_pjsip from 20.19, 22.9 and 23.3 on. "before": everything older, all of 21, the
certified branches up to 22.8, and chan_sip in every release. They differ in one pair, 302 and 23.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import Literal

from .sip import all_codes, sip_code
from .tables import rows

DECLINE = 603  # what an unanswered caller gets for a cause without a mapping (res_pjsip_session.c, chan_sip.c)

_Table = Literal["before", "now"]
_RELEASE = re.compile(r"(?<![\w.])(?:certified[/-])?(\d{1,2})(?:\.(\d+))?(?!\w)")


def asterisk_sip_to_cause(code: int, driver: str = "pjsip", version: str | None = None) -> int:
    """Return the cause under which this Asterisk files a SIP code (100..699).

    ``driver`` is "pjsip" or "sip". ``version`` is Asterisk's own text ("22.10.1", "certified/22.8-cert4"); None and
    texts without a release in them ("GIT-master-...") mean the newest. On releases of the table "before" a Reason
    header may replace the cause (res_pjsip_rfc3326).
    """
    sip_code(code)
    table = _sip_to_cause(_table(driver, version))
    for key in (str(code), f"{code // 100}xx"):
        if key in table:
            return table[key]
    return table["*"]


def asterisk_cause_to_sip(cause: int, driver: str = "pjsip", version: str | None = None) -> int | None:
    """Return the SIP code that this Asterisk sends for a cause, None when it has no mapping."""
    return _cause_to_sip(_table(driver, version)).get(cause)


def code_sent_to_caller(cause: int, driver: str = "pjsip", version: str | None = None) -> int:
    """Return what an inbound leg that was never answered was sent when it ended with this cause.

    Without a mapping that is 603 Decline: ``ast_sip_session_terminate`` in res/res_pjsip_session.c, ``sip_hangup`` in
    channels/chan_sip.c.
    """
    return asterisk_cause_to_sip(cause, driver, version) or DECLINE


@lru_cache(maxsize=4096)
def candidates(cause: int, version: str | None = None, driver: str = "pjsip") -> tuple[int, ...]:
    """Return the final codes from 300 (registered or seen) that this Asterisk files under a cause, in order."""
    codes = {entry.code for entry in all_codes() if entry.code >= 300}
    return tuple(code for code in sorted(codes) if asterisk_sip_to_cause(code, driver, version) == cause)


@lru_cache(maxsize=64)
def _table(driver: str, version: str | None) -> _Table:
    if driver not in ("pjsip", "sip"):
        raise ValueError(f"{driver!r} is not a driver; there are: pjsip, sip")
    if driver == "sip":
        return "before"
    release = _RELEASE.search(version or "")
    if release is None:
        return "now"
    branch, minor = int(release[1]), release[2]
    since = {int(row["branch"]): int(row["now_since"]) for row in rows("asterisk_releases")}
    if branch in since:  # a branch named without a minor release is taken at its newest
        return "now" if minor is None or int(minor) >= since[branch] else "before"
    return "now" if branch > max(since) else "before"


@cache
def _sip_to_cause(table: _Table) -> dict[str, int]:
    return {row["code"]: int(row[table]) for row in rows("asterisk_sip_to_cause")}


@cache
def _cause_to_sip(table: _Table) -> dict[int, int]:
    return {int(row["cause"]): int(row[table]) for row in rows("asterisk_cause_to_sip") if row[table]}
