"""Addresses of the pages of this companion, as people who get a notice reach them."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlencode


class PageLinks:
    """Links below ``public_url``; none at all without one."""

    def __init__(self, public_url: str | None) -> None:
        self._base = None if public_url is None else public_url.rstrip("/")

    def failures(self, query: Mapping[str, str]) -> str | None:
        """Return the page of failures with exactly this query."""
        if self._base is None:
            return None
        asked = urlencode(query, quote_via=quote)
        return f"{self._base}/failures?{asked}" if asked else f"{self._base}/failures"

    def call(self, record_id: str) -> str | None:
        """Return the page of one call."""
        return None if self._base is None else f"{self._base}/calls/{quote(record_id, safe='')}"
