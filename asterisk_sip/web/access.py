"""Who is let in, and what they may do. It holds for every path: nothing is served that this has not let through.

Reading needs a viewer. Whatever may change something needs an admin, and from a browser the token of its page (CSRF),
without the handler doing anything for it; ``EVERYBODY`` and ``EVERY_ROLE`` are the exceptions, by the first part
of the path of a route.
"""

from __future__ import annotations

import hashlib
import hmac
import html
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import quote

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from .origin import SAFE, Place, by_a_browser, followed_from_elsewhere, from_elsewhere, peer
from .problems import ProblemError
from .proof import Known, Prover
from .sessions import Session, Sessions
from .visitor import VISITOR, Role, Via, Visitor

log = structlog.get_logger(__name__)

EVERYBODY = frozenset({"login", "healthz", "readyz", "static"})
EVERY_ROLE = frozenset({"logout"})

_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="asterisk-sip"'}
_HALF_A_YEAR_S = 15_768_000
_LONGEST_NAME = 255


@dataclass(frozen=True, slots=True)
class Rules:
    """Who is let in: users and tokens by name, and whom a proxy names in ``header``. Without any of them: everybody."""

    place: Place = field(default_factory=Place)
    users: Mapping[str, Known] = field(default_factory=dict)
    tokens: Mapping[str, Known] = field(default_factory=dict)
    header: str | None = None
    admins: frozenset[str] = frozenset()
    lifetime_s: float = 43_200.0

    @property
    def open(self) -> bool:
        """Whether there is no login."""
        return not self.users and not self.tokens and self.header is None


class Gate:
    """Finds out who asks. ``clock`` tells seconds that only grow."""

    def __init__(self, rules: Rules, clock: Callable[[], float] = time.monotonic) -> None:
        self.rules = rules
        self._clock = clock
        self._prover = Prover(clock)
        self._sessions = Sessions(rules.lifetime_s)
        self._secret = secrets.token_bytes(32)
        self._proved: dict[bytes, Known] = {}  # tokens that were right once, by their keyed digest: one for each hash

    def take(self, rules: Rules) -> None:
        """Let in whom these rules let in from now on. Whose entry is gone or changed has to log in again."""
        same = {name for name, user in self.rules.users.items() if rules.users.get(name) == user}
        tokens = list(rules.tokens.values())
        self._sessions.end_all_but(same)
        self._sessions.lifetime_s = rules.lifetime_s
        self._proved = {digest: known for digest, known in self._proved.items() if known in tokens}
        self.rules = rules

    async def visitor(self, request: web.Request) -> Visitor | None:
        """Return who asks, None for a stranger. Raises ProblemError for a token that is wrong."""
        if self.rules.open:
            return self._known("", "admin", "open")
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return await self._by_token(request, token.strip())
        session = self.session(request)
        if session is not None:
            return self._known(session.user, session.role, "session", session.key)
        return self._by_proxy(request)

    def session(self, request: web.Request) -> Session | None:
        """Return the session whose cookie a browser sent."""
        session_id = request.cookies.get(self._cookie(request))
        return None if session_id is None else self._sessions.of(session_id, self._clock())

    def still(self, visitor: Visitor | None) -> bool:
        """Return whether somebody who was let in would be let in again: what lasts long asks now and then."""
        if visitor is None or visitor.via == "open":
            return self.rules.open
        if visitor.via == "session":
            return self._sessions.kept(visitor.key, self._clock()) is not None
        if visitor.via == "token":
            return any(known.name == visitor.name for known in self._proved.values())
        return self.rules.header is not None

    async def log_in(self, request: web.Request, name: str, password: str) -> str | None:
        """Begin a session and return its id; None for a wrong name or password. Raises ProblemError (429): wait."""
        address = self.rules.place.client(request)
        user = self.rules.users.get(name)
        if not await self._prover.proves(password, user, "user", address) or user is None:
            # a name that nobody has may well be a password, typed into the wrong field
            log.warning("login refused", user=user.name if user else None, address=address)
            return None
        before = self.session(request)
        if before is not None:
            self._sessions.end(before.key)
        log.info("logged in", user=user.name, address=address)
        return self._sessions.begin(user.name, user.role, self._clock())

    def log_out(self, visitor: Visitor) -> None:
        """End the session of who asks."""
        self._sessions.end(visitor.key)

    def set_cookie(self, request: web.Request, response: web.Response, session_id: str | None) -> None:
        """Give a browser the id of its session, or take it away."""
        response.set_cookie(
            self._cookie(request),
            session_id or "",
            max_age=int(self.rules.lifetime_s) if session_id else 0,
            path="/",
            secure=self.rules.place.is_secure(request),
            httponly=True,
            samesite="Strict",
        )

    def may_change(self, visitor: Visitor, told: str) -> bool:
        """Return whether a request that changes something was meant: it has the token of a page of ours."""
        return visitor.via == "token" or hmac.compare_digest(visitor.csrf.encode(), told.encode("utf-8", "replace"))

    def _cookie(self, request: web.Request) -> str:
        return "__Host-asterisk-sip" if self.rules.place.is_secure(request) else "asterisk-sip"

    async def _by_token(self, request: web.Request, token: str) -> Visitor:
        digest = hmac.digest(self._secret, token.encode("utf-8", "replace"), hashlib.sha256)
        known = self._proved.get(digest)
        if known is None:
            known = self.rules.tokens.get(token.rpartition(".")[0])
            address = self.rules.place.client(request)
            if not await self._prover.proves(token, known, "token", address) or known is None:
                log.warning("token refused", token=known.name if known else None, address=address)
                raise ProblemError(HTTPStatus.UNAUTHORIZED, "no such token is let in", _CHALLENGE)
            self._proved[digest] = known
        return self._known(known.name, known.role, "token")

    def _by_proxy(self, request: web.Request) -> Visitor | None:
        header = self.rules.header
        told = request.headers.getall(header, []) if header else []
        if len(told) != 1 or not self.rules.place.trusts(peer(request)):
            return None
        name = told[0].strip()
        if not name or len(name) > _LONGEST_NAME or not name.isprintable():
            return None
        return self._known(name, "admin" if name in self.rules.admins else "viewer", "proxy")

    def _known(self, name: str, role: Role, via: Via, key: str = "") -> Visitor:
        meant = f"{via} {key or name}".encode()
        return Visitor(name, role, via, key, hmac.new(self._secret, meant, hashlib.sha256).hexdigest())


GATE = web.AppKey("gate", Gate)


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let a request through to what answers it, or refuse it."""
    gate = request.app[GATE]
    place = gate.rules.place
    if not place.own(request.host):
        reason = "this program does not go by that name; if it should, add the name to names in [web]"
        raise ProblemError(HTTPStatus.MISDIRECTED_REQUEST, reason)
    if from_elsewhere(request, place.names):
        raise ProblemError(HTTPStatus.FORBIDDEN, "a page elsewhere asked for this")
    resource = request.match_info.route.resource
    part = "" if resource is None else resource.canonical.strip("/").partition("/")[0]
    if part not in EVERYBODY:
        visitor = await gate.visitor(request)
        if visitor is None:
            return _stranger(request)
        request[VISITOR] = visitor
        if request.method not in SAFE:
            await _changes(request, gate, visitor, part)
    return await handler(request)


async def secured(request: web.Request, response: web.StreamResponse) -> None:
    """Have browsers stay with TLS once they were here by TLS."""
    if request.app[GATE].rules.place.is_secure(request):
        response.headers["Strict-Transport-Security"] = f"max-age={_HALF_A_YEAR_S}"


async def _changes(request: web.Request, gate: Gate, visitor: Visitor, part: str) -> None:
    if not visitor.is_admin and part not in EVERY_ROLE:
        raise ProblemError(HTTPStatus.FORBIDDEN, "this takes an admin; you are a viewer")
    if visitor.via == "open" and not by_a_browser(request):
        return
    told = request.headers.get("X-CSRF-Token")
    if told is None and request.content_type == "application/x-www-form-urlencoded":
        told = str((await request.post()).get("csrf", ""))
    if not gate.may_change(visitor, told or ""):
        reason = "the page this came from is too old, or not ours: load it again"
        raise ProblemError(HTTPStatus.FORBIDDEN, reason)


def _stranger(request: web.Request) -> web.Response:
    """Lead a browser to the login; tell a program to bring a token."""
    wants_page = request.method in SAFE and "text/html" in request.headers.get("Accept", "")
    if request.path.startswith("/api/") or not wants_page:
        more = {"HX-Redirect": "/login"} if "HX-Request" in request.headers else {}
        raise ProblemError(HTTPStatus.UNAUTHORIZED, "log in, or send a token: Authorization: Bearer", _CHALLENGE | more)
    login = f"/login?next={quote(request.raw_path, safe='')}"
    if not followed_from_elsewhere(request):
        return web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": login})
    # the cookie of the session was kept back because the link stands elsewhere: ask again from here
    again = (
        f'<!doctype html><title>asterisk-sip</title><meta http-equiv="refresh" content="0;url={html.escape(login)}">'
    )
    return web.Response(text=again, content_type="text/html")
