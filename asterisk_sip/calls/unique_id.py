"""The second in which Asterisk made a channel, as its uniqueid tells it. Pure."""

from __future__ import annotations

import re

_MADE_AT = re.compile(r"(?:.*-)?(\d{9,10})\.\d+", re.ASCII | re.DOTALL)


def made_at_s(unique_id: str) -> int | None:
    """Return the second since 1970 that a uniqueid or linkedid begins with, None when it holds no time.

    ``[systemname-]1700000000.12`` (main/channel_internal_api.c), unless who originated the call chose another.
    """
    found = _MADE_AT.fullmatch(unique_id)
    return int(found[1]) if found is not None else None
