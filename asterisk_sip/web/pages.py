"""The pages: what each path shows. The same table makes the routes and the navigation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from http import HTTPStatus
from typing import Any

import jinja2
import structlog
from aiohttp import web

from asterisk_sip import __version__
from asterisk_sip.catalog import LANGUAGES, code_text, sip_code
from asterisk_sip.errors import StoreError, TookTooLongError

from . import alerts_page, assets, call, charts, codes, failures, live_page, overview, parameters, status_page
from .problems import ProblemError
from .shelf import PATIENCE_S
from .show import harmless, iso, lasted, link, utc
from .visitor import visitor_of
from .words import COOKIE, language, words

log = structlog.get_logger(__name__)

Values = dict[str, Any]
Fill = Callable[[web.Request, Values], Awaitable[dict[str, Any]]]

DEMO = web.AppKey("demo", bool)

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_A_YEAR_S = 365 * 86_400


@dataclass(frozen=True, slots=True)
class Page:
    """One page: its path, the key of its name in the words, its template, what it takes, and what fills it."""

    path: str
    name: str
    takes: tuple[str, ...]
    fill: Fill
    in_nav: bool = True

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer a request, errors too: as a page."""
        try:
            values = parameters.read(parameters.given(request.query), (*self.takes, "lang"))
            return shown(request, f"{self.name}.html", self.name, await self.fill(request, values))
        except ProblemError as error:
            return refused(request, error)
        except StoreError as error:
            return refused(request, unanswered(request, error))


def shown(
    request: web.Request, template: str, name: str, filling: dict[str, Any], status: HTTPStatus = HTTPStatus.OK
) -> web.Response:
    """Return a template, filled, as an answer. ``name`` is that of the page in the navigation."""
    lang = language(request)
    told = words(lang)
    text = (
        _environment()
        .get_template(template)
        .render(
            t=told,
            lang=lang,
            languages=[(each, words(each)("lang.name")) for each in LANGUAGES],
            here=name,
            nav=[page for page in PAGES if page.in_nav],
            now=datetime.now(UTC),
            query=request.query,
            demo=request.app[DEMO],
            visitor=visitor_of(request),
            **filling,
        )
    )
    response = web.Response(text=text, content_type="text/html", status=status)
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Vary"] = "Accept-Language, Cookie, Accept-Encoding"
    if request.query.get("lang") == lang:
        response.set_cookie(COOKIE, lang, max_age=_A_YEAR_S, samesite="Lax", httponly=True)
    return response


def refused(request: web.Request, error: ProblemError) -> web.Response:
    """Return why a request is not answered, as a page."""
    page = shown(request, "error.html", "", {"status": error.status, "detail": error.detail}, error.status)
    page.headers.update(error.headers)
    return page


def unanswered(request: web.Request, error: StoreError) -> ProblemError:
    """Return why the store gave no answer: to a person in their language what to ask instead, if that is the reason."""
    log.error("cannot answer", path=request.path, reason=str(error))
    if not isinstance(error, TookTooLongError):
        told = f"the records cannot be read: {error}"
        return ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, told, {"Retry-After": "5"})
    lang = "en" if request.path.startswith("/api/") else language(request)
    return ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, words(lang)("error.too_long", s=f"{PATIENCE_S:.0f}"))


def wanted(request: web.Request) -> bool:
    """Return whether whoever asks wants a page, not data."""
    return not request.path.startswith(("/api/", f"{assets.PREFIX}/")) and "text/html" in request.headers.get(
        "Accept", ""
    )


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("asterisk_sip.web"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=harmless,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters["without"] = lambda values, *names: {k: v for k, v in values.items() if k not in names}
    environment.globals |= {
        "asset": assets.url,
        "iso": iso,
        "utc": utc,
        "link": link,
        "lasted": lasted,
        "version": __version__,
        "phrase": lambda code: sip_code(code).phrase,
        "meaning": lambda code, lang: code_text(code, None, lang).meaning,
        "spark": charts.sparkline,
        "hot": charts.heat,
    }
    return environment


PAGES = (
    Page("/", "overview", ("window",), overview.fill),
    Page("/failures", "failures", failures.TAKES, failures.fill),
    Page("/calls/{id}", "call", (), call.fill, in_nav=False),
    Page("/live", "live", live_page.TAKES, live_page.fill),
    Page("/codes", "codes", ("q", "seen"), codes.fill),
    Page("/codes/{code}", "code", (), codes.fill_one, in_nav=False),
    Page("/alerts", "alerts", (), alerts_page.fill),
    Page("/alerts/{id}", "alert", (), alerts_page.fill_one, in_nav=False),
    Page("/status", "status", (), status_page.fill),
)
