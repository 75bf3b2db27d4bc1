"""Text cut into the JSON objects in it. Pure; ``json_event_wire`` tells what events they are."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

MAX_OBJECT_CHARS = 1 << 20
"""An object that is not whole after so much is none: the reader goes on in the next line."""

_BETWEEN = re.compile(r"[\s,\[\]\x1e\ufeff]*")


class Objects:
    """Cuts text into the JSON objects in it, however the reads fall: lines, an array, or one behind the other.

    What is no object is passed over up to the next line, and counted in ``unreadable``. A number with a point stays
    text, digit by digit: a uniqueid may be ``1795477621.10``.
    """

    def __init__(self) -> None:
        self._rest = ""
        self._decoder = json.JSONDecoder(parse_float=str)
        self.unreadable = 0

    def feed(self, text: str) -> list[tuple[dict[str, Any], str]]:
        """Take the next text; return each object that is now whole, and its text."""
        return list(self._cut(self._rest + text, final=False))

    def finish(self) -> list[tuple[dict[str, Any], str]]:
        """Say that no more comes; return the objects behind one that is not whole."""
        return list(self._cut(self._rest, final=True))

    def _cut(self, text: str, *, final: bool) -> Iterator[tuple[dict[str, Any], str]]:
        at = 0
        while True:
            between = _BETWEEN.match(text, at)
            start = at if between is None else between.end()
            if start == len(text):
                at = start
                break
            try:
                value, end = self._decoder.raw_decode(text, start)
            except (ValueError, RecursionError):
                if not final and text[start] == "{" and len(text) - start < MAX_OBJECT_CHARS:
                    at = start
                    break  # the rest of it is still to come
                value, end = None, _behind(text, start)
            at = end
            if isinstance(value, dict):
                yield value, text[start:end]
            else:
                self.unreadable += 1
        self._rest = text[at:]


def _behind(text: str, start: int) -> int:
    """Return where to go on behind what is no JSON: the next line, or a list in an object that is too long or cut."""
    ends = [text.find("\n", start), text.find("[", start) if text[start] == "{" else -1]
    return min((end + 1 for end in ends if end >= 0), default=len(text))
