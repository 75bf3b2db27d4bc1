"""The page of the login, and the end of a session."""

from __future__ import annotations

import asyncio
import re
from http import HTTPStatus
from urllib.parse import quote

from aiohttp import web

from . import pages
from .access import GATE
from .problems import ProblemError
from .visitor import visitor_of

_FORM_S = 10.0
_FORM = "application/x-www-form-urlencoded"
_INSIDE = re.compile(r"/(?![/\\])[!-\[\]-~]*")


async def ask(request: web.Request) -> web.Response:
    """Show the form, or lead on whoever needs none."""
    gate = request.app[GATE]
    target = inside(request.query.get("next", ""))
    if gate.rules.open or gate.session(request) is not None:
        return _led_to(target)
    return _page(request, target)


async def log_in(request: web.Request) -> web.Response:
    """Take name and password; lead on to where the reader wanted to go."""
    if request.content_type != _FORM:
        raise ProblemError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"the login takes {_FORM}")
    try:
        async with asyncio.timeout(_FORM_S):
            form = await request.post()
    except TimeoutError:
        raise ProblemError(HTTPStatus.REQUEST_TIMEOUT, "the form did not come") from None
    gate = request.app[GATE]
    name, password, target = (str(form.get(key, "")) for key in ("name", "password", "next"))
    target = inside(target)
    try:
        session_id = await gate.log_in(request, name, password)
    except ProblemError as error:
        page = _page(request, target, "login.wait", error.status)
        page.headers.update(error.headers)
        return page
    if session_id is None:
        return _page(request, target, "login.wrong", HTTPStatus.FORBIDDEN)
    response = _led_to(target)
    gate.set_cookie(request, response, session_id)
    return response


async def log_out(request: web.Request) -> web.Response:
    """End the session; its cookie is of no use any more, wherever it was copied to."""
    gate, visitor = request.app[GATE], visitor_of(request)
    if visitor is not None:
        gate.log_out(visitor)
    response = _led_to("/login")
    response.headers["Clear-Site-Data"] = '"cache"'
    gate.set_cookie(request, response, None)
    return response


def inside(target: str) -> str:
    """Return a path of ours as it came, and ``/`` for what would lead elsewhere."""
    return target if _INSIDE.fullmatch(target) and not target.startswith(("/login", "/logout")) else "/"


def _led_to(target: str) -> web.Response:
    return web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": quote(target, safe="%/:?#[]@!$&'()*+,;=~")})


def _page(request: web.Request, target: str, fault: str = "", status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    gate = request.app[GATE]
    page = pages.shown(
        request, "login.html", "login", {"target": target, "fault": fault, "users": gate.rules.users}, status
    )
    page.headers["Cache-Control"] = "no-store"
    return page
