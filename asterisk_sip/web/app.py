"""The web application: routes, and what holds for every answer (headers, errors, ETag)."""

from __future__ import annotations

import hashlib
from http import HTTPStatus

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from asterisk_sip.errors import StoreError

from . import access, alerts_page, assets, failures, login, openapi, operations, pages
from .api import ENDPOINTS, PREFIX, SHELF
from .ledger import LEDGER, Ledger
from .live import READERS, Readers, end_streams
from .memo import MEMO, Memo
from .problems import ProblemError, problem
from .server import heard, keep_safe
from .shelf import Shelf

log = structlog.get_logger(__name__)

_WORTH_COMPRESSING = 1024
_LARGEST_BODY = 65_536


def application(
    shelf: Shelf,
    gate: access.Gate | None = None,
    program: operations.Program | None = None,
    ledger: Ledger | None = None,
    *,
    demo: bool = False,
    with_metrics: bool = True,
) -> web.Application:
    """Return the application over a store; over one of a ``demo`` every page says so.

    Without a ``gate`` everybody on this machine is let in. ``program`` is what runs beside it, None when nothing does;
    ``ledger`` holds the rules of alerts, and the book of what fired.
    """
    app = web.Application(middlewares=[heard, _errors, access.guard, _etag], client_max_size=_LARGEST_BODY)
    app[SHELF] = shelf
    app[access.GATE] = gate or access.Gate(access.Rules())
    app[READERS] = Readers()
    app[pages.DEMO] = demo
    app[MEMO] = Memo()
    app[LEDGER] = ledger or Ledger()
    described = openapi.document()

    async def describe(_request: web.Request) -> web.Response:
        return web.json_response(described)

    app.router.add_get(f"{PREFIX}/openapi.json", describe)
    for endpoint in ENDPOINTS:
        app.router.add_get(PREFIX + endpoint.path, endpoint.handle, allow_head=endpoint.gives != "Stream")
    for page in pages.PAGES:
        app.router.add_get(page.path, page.handle)
    app.router.add_get("/failures.csv", failures.as_csv)
    app.router.add_get(assets.PREFIX + "/{name:.+}", assets.serve)
    app.router.add_get("/login", login.ask)
    app.router.add_post("/login", login.log_in)
    app.router.add_post("/logout", login.log_out)
    app.router.add_post("/alerts/silence", alerts_page.silence)
    app.router.add_post("/alerts/unsilence", alerts_page.unsilence)
    app.router.add_post("/alerts/{id}/acknowledge", alerts_page.acknowledge)
    operations.add(app, program or operations.StoreOnly(shelf), with_metrics=with_metrics)
    app.on_response_prepare.extend((_safe, access.secured))
    app.on_shutdown.append(end_streams)
    return app


async def _safe(_request: web.Request, response: web.StreamResponse) -> None:
    keep_safe(response)
    response.headers.pop("Server", None)


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ProblemError as error:
        return pages.refused(request, error) if pages.wanted(request) else error.response()
    except web.HTTPException as error:
        allowed = {name: value for name, value in error.headers.items() if name == "Allow"}
        status = HTTPStatus(error.status)
        if pages.wanted(request):
            return pages.refused(request, ProblemError(status, f"{request.path} is not a page", allowed))
        return problem(status, f"{request.method} {request.path} is not served here", allowed)
    except StoreError as error:
        told = pages.unanswered(request, error)
        return pages.refused(request, told) if pages.wanted(request) else told.response()
    except Exception:  # whatever it is, one answer fails and the program goes on
        log.exception("cannot answer", path=request.path)
        return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "this should not have happened; the log says more")


@web.middleware
async def _etag(request: web.Request, handler: Handler) -> web.StreamResponse:
    response = await handler(request)
    if response.status == 200 and isinstance(response, web.Response) and isinstance(response.body, bytes):
        response.etag = tag = hashlib.blake2b(response.body, digest_size=12).hexdigest()
        asked = request.if_none_match or ()
        if any(each.value in (tag, "*") for each in asked):
            unchanged = web.Response(status=304)
            unchanged.etag = tag
            return unchanged
        if len(response.body) >= _WORTH_COMPRESSING:
            response.enable_compression()
            response.headers.setdefault("Vary", "Accept-Encoding")
    return response
