"""Errors as RFC 9457 has them: every refusal of the API is application/problem+json, and says what to do."""

from __future__ import annotations

import json
from http import HTTPStatus

from aiohttp import web

MEDIA_TYPE = "application/problem+json"


class ProblemError(Exception):
    """A request that is not answered as asked. ``detail`` is for the person who made it."""

    def __init__(self, status: HTTPStatus, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers or {}

    def response(self) -> web.Response:
        """Return the answer."""
        return problem(self.status, self.detail, self.headers)


def problem(status: HTTPStatus, detail: str, headers: dict[str, str] | None = None) -> web.Response:
    """Return a problem as an answer."""
    body = {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": detail}
    return web.Response(body=json.dumps(body).encode(), status=status, headers=headers or {}, content_type=MEDIA_TYPE)
