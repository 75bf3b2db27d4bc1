"""Who is let in, and what they may do: asked by a real client over HTTP."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import secrets
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme
from aiohttp import web

from asterisk_sip.config import Config
from asterisk_sip.config_web import WebConfig
from asterisk_sip.daemon_access import certificate, rules, taker
from asterisk_sip.errors import ConfigError
from asterisk_sip.password import Hash, hashed, token
from asterisk_sip.stores.base import Batch
from asterisk_sip.stores.sqlite import SqliteStore
from asterisk_sip.web.access import Gate, Rules
from asterisk_sip.web.app import application
from asterisk_sip.web.login import inside
from asterisk_sip.web.origin import Place
from asterisk_sip.web.proof import Known
from asterisk_sip.web.server import listen
from asterisk_sip.web.sessions import Sessions
from asterisk_sip.web.shelf import Shelf
from asterisk_sip.web.throttle import Throttle
from asterisk_sip.web.visitor import visitor_of

from .call_records import failed

PASSWORD = "correct horse battery"
TOKEN = token("grafana")
PAGE = {"Accept": "text/html"}
HERE = ipaddress.ip_network("127.0.0.1")


def cheap(text: str) -> Hash:
    """A hash that takes a test no time."""
    made = Hash(1 << 10, 8, 1, secrets.token_bytes(16), bytes(32))
    return replace(made, digest=made.of(text))


ALICE = Known("alice", "admin", cheap(PASSWORD))
BOB = Known("bob", "viewer", cheap(PASSWORD))
USERS = Rules(users={"alice": ALICE, "bob": BOB}, tokens={"grafana": Known("grafana", "viewer", cheap(TOKEN))})
BEHIND_A_PROXY = replace(
    USERS, place=Place(frozenset({"pbx.example"}), (HERE,)), header="X-User", admins=frozenset("a")
)


@dataclass
class Door:
    """The application at an address, a browser without a memory for cookies, and a clock that is set by hand."""

    url: str
    session: aiohttp.ClientSession
    clock: list[float]
    gate: Gate
    changed: list[str] = field(default_factory=list)

    async def ask(self, method: str, path: str, **how: Any) -> aiohttp.ClientResponse:
        """Return an answer, read, without following where it leads."""
        async with self.session.request(method, self.url + path, allow_redirects=False, **how) as response:
            await response.read()
            return response

    async def log_in(
        self, name: str = "bob", password: str = PASSWORD, headers: dict[str, str] | None = None, **more: str
    ) -> aiohttp.ClientResponse:
        """Send the form of the login."""
        form = {"name": name, "password": password, **more}
        return await self.ask("POST", "/login", data=form, headers=headers or {})

    async def cookie(self, name: str = "bob") -> str:
        """Log in and return the header with the cookie."""
        response = await self.log_in(name)
        assert response.status == 303
        return next(iter(response.cookies.values())).OutputString().partition(";")[0]


Opened = Callable[[Rules], Any]


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Opened]:
    """Opens doors with rules."""
    path = tmp_path / "calls.db"
    store = SqliteStore(path)
    await store.open()
    await store.write(Batch([failed(1)]))
    left: list[Any] = [store.close]

    async def build(let_in: Rules) -> Door:
        shelf = Shelf(lambda: SqliteStore(path, readonly=True))
        clock = [1_000.0]
        gate = Gate(let_in, lambda: clock[0])
        app = application(shelf, gate)
        changed: list[str] = []

        async def change(request: web.Request) -> web.Response:
            visitor = visitor_of(request)
            assert visitor is not None
            if request.method == "POST":
                changed.append(visitor.name)
            return web.json_response({"name": visitor.name, "role": visitor.role, "csrf": visitor.csrf})

        app.router.add_route("*", "/change", change)
        runner = await listen(app, "127.0.0.1", 0)
        session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        left.extend((shelf.close, runner.cleanup, session.close))
        host, port = runner.addresses[0]
        return Door(f"http://{host}:{port}", session, clock, gate, changed)

    yield build
    for close in reversed(left):
        await close()


async def test_without_users_everybody_on_this_machine_reads_and_changes(opened: Opened) -> None:
    door = await opened(Rules())
    assert (await door.ask("GET", "/api/v1/calls")).status == 200
    assert (await door.ask("POST", "/change")).status == 200
    csrf = (await (await door.ask("GET", "/change")).json())["csrf"]
    page = {"Origin": door.url}
    assert (await door.ask("POST", "/change", headers=page)).status == 403
    assert (await door.ask("POST", "/change", headers={**page, "X-CSRF-Token": csrf})).status == 200
    response = await door.ask("GET", "/login?next=/failures")
    assert (response.status, response.headers["Location"]) == (303, "/failures")


@pytest.mark.parametrize("path", ["/api/v1/calls", "/api/v1/stream", "/api/v1/openapi.json", "/nothing", "/change"])
async def test_a_stranger_reads_nothing(opened: Opened, path: str) -> None:
    door = await opened(USERS)
    for how in ({}, {"Cookie": "asterisk-sip=made-up"}, {"X-User": "alice"}, {"Authorization": "Basic YTpi"}):
        response = await door.ask("GET", path, headers=how)
        assert (response.status, response.content_type) == (401, "application/problem+json")
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
        assert (await door.ask("POST", path, headers=how)).status == 401


@pytest.mark.parametrize(("rules", "told"), [(USERS, {"status"}), (Rules(), {"status", "version"})])
async def test_which_version_runs_is_told_only_where_everybody_is_let_in(
    opened: Opened, rules: Rules, told: set[str]
) -> None:
    response = await (await opened(rules)).ask("GET", "/healthz")
    assert response.status == 200
    assert set(await response.json()) == told


async def test_a_reader_is_led_to_the_login_and_from_there_to_the_page_that_was_asked_for(opened: Opened) -> None:
    door = await opened(USERS)
    response = await door.ask("GET", "/failures?trunk=a%26b&code=503", headers=PAGE)
    login = response.headers["Location"]
    assert (response.status, login) == (303, "/login?next=%2Ffailures%3Ftrunk%3Da%2526b%26code%3D503")
    form = await door.ask("GET", login, headers=PAGE)
    target = re.search(r'name="next" value="([^"]*)"', await form.text())
    assert form.status == 200
    assert target
    response = await door.log_in(next=target[1].replace("&amp;", "&"))
    assert (response.status, response.headers["Location"]) == (303, "/failures?trunk=a%26b&code=503")


async def test_a_login_opens_everything_to_read_and_its_cookie_is_kept_from_scripts(opened: Opened) -> None:
    door = await opened(USERS)
    response = await door.log_in()
    (told,) = response.headers.getall("Set-Cookie")
    assert {part.partition("=")[0].strip().lower() for part in told.split(";")} >= {"httponly", "samesite", "path"}
    assert "SameSite=Strict" in told
    cookie = {"Cookie": told.partition(";")[0]}
    assert (await door.ask("GET", "/api/v1/calls", headers=cookie)).status == 200
    assert (await (await door.ask("GET", "/change", headers=cookie)).json())["name"] == "bob"
    door.clock[0] += USERS.lifetime_s
    assert (await door.ask("GET", "/api/v1/calls", headers=cookie)).status == 401


async def test_what_is_logged_out_stays_out_wherever_the_cookie_was_copied_to(opened: Opened) -> None:
    door = await opened(USERS)
    cookie = {"Cookie": await door.cookie()}
    csrf = (await (await door.ask("GET", "/change", headers=cookie)).json())["csrf"]
    assert (await door.ask("POST", "/logout", headers=cookie)).status == 403
    assert (await door.ask("POST", "/logout", headers=cookie, data={"csrf": csrf})).status == 303
    assert (await door.ask("GET", "/api/v1/calls", headers=cookie)).status == 401


async def test_a_login_never_takes_up_the_id_that_a_browser_brought(opened: Opened) -> None:
    door = await opened(USERS)
    first = await door.cookie()
    response = await door.log_in(headers={"Cookie": first})
    assert first not in response.headers["Set-Cookie"]
    assert (await door.ask("GET", "/api/v1/calls", headers={"Cookie": first})).status == 401
    response = await door.log_in(headers={"Cookie": "asterisk-sip=planted"})
    assert "planted" not in response.headers["Set-Cookie"]


async def test_only_an_admin_changes_something_and_only_from_a_page_of_ours(opened: Opened) -> None:
    door = await opened(USERS)
    for name, allowed in (("bob", 403), ("alice", 200)):
        cookie = {"Cookie": await door.cookie(name)}
        csrf = (await (await door.ask("GET", "/change", headers=cookie)).json())["csrf"]
        for told in ({}, {"X-CSRF-Token": csrf[::-1]}, {"X-CSRF-Token": "\xe9"}):
            assert (await door.ask("POST", "/change", headers=cookie | told)).status == 403
        assert (await door.ask("POST", "/change", headers=cookie | {"X-CSRF-Token": csrf})).status == allowed
        assert (await door.ask("POST", "/change", headers=cookie, data={"csrf": csrf})).status == allowed
        other = {"Cookie": await door.cookie(name), "X-CSRF-Token": csrf}
        assert (await door.ask("POST", "/change", headers=other)).status == 403
    assert door.changed == ["alice", "alice"]


@pytest.mark.parametrize(
    "told",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:1"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://[oops"},
    ],
)
async def test_a_page_elsewhere_cannot_send_a_form(opened: Opened, told: dict[str, str]) -> None:
    door = await opened(USERS)
    assert (await door.log_in(headers=told)).status == 403
    cookie = await door.cookie("alice")
    csrf = (await (await door.ask("GET", "/change", headers={"Cookie": cookie})).json())["csrf"]
    both = {"Cookie": cookie, "X-CSRF-Token": csrf, **told}
    assert (await door.ask("POST", "/change", headers=both)).status == 403
    assert (await door.ask("POST", "/change", headers=both | {"Origin": door.url, "Sec-Fetch-Site": "same-origin"})).ok


async def test_a_page_elsewhere_can_link_here_but_embed_nothing(opened: Opened) -> None:
    door = await opened(Rules())
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert (await door.ask("GET", "/api/v1/calls", headers=link)).status == 200
    assert (await door.ask("GET", "/api/v1/calls", headers=link | {"Sec-Fetch-Mode": "no-cors"})).status == 403
    door = await opened(USERS)
    response = await door.ask("GET", "/failures", headers=PAGE | link)
    assert (response.status, response.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert 'content="0;url=/login?next=%2Ffailures"' in await response.text()
    again = PAGE | {"Sec-Fetch-Site": "same-origin", "Cookie": await door.cookie()}
    response = await door.ask("GET", "/login?next=%2Ffailures", headers=again)
    assert (response.status, response.headers["Location"]) == (303, "/failures")


async def test_a_token_lets_a_program_in(opened: Opened) -> None:
    door = await opened(USERS)
    right = {"Authorization": f"bearer {TOKEN}"}
    for _ in range(20):
        assert (await door.ask("GET", "/api/v1/calls", headers=right)).status == 200
    assert (await door.ask("POST", "/change", headers=right)).status == 403, "a viewer"
    cookie = await door.cookie()
    for wrong in (TOKEN + "x", TOKEN.replace("grafana", "loki"), "", "grafana"):
        both = {"Authorization": f"Bearer {wrong}", "Cookie": cookie}
        assert (await door.ask("GET", "/api/v1/calls", headers=both)).status == 401


async def test_wrong_passwords_are_tried_a_few_times_and_then_seldom(opened: Opened) -> None:
    door = await opened(USERS)
    statuses = [(await door.log_in(password=f"wrong {number}")).status for number in range(6)]
    assert statuses == [403] * 5 + [429]
    response = await door.log_in()
    assert (response.status, response.headers["Retry-After"]) == (429, "30"), "the right one waits too"
    assert "Too many wrong tries" in await response.text()
    door.clock[0] += 30
    assert (await door.log_in()).status == 303
    assert (await door.ask("GET", "/api/v1/calls", headers={"Authorization": f"Bearer {TOKEN}"})).status == 200


async def test_many_tries_at_a_time_are_counted_before_they_are_looked_at(opened: Opened) -> None:
    door = await opened(USERS)
    answers = await asyncio.gather(*(door.log_in(password=f"wrong {number}") for number in range(20)))
    assert sorted(answer.status for answer in answers) == [403] * 5 + [429] * 15


async def test_behind_a_proxy_tries_are_counted_for_the_machine_that_made_them(opened: Opened) -> None:
    door = await opened(BEHIND_A_PROXY)
    for number in range(6):
        response = await door.log_in(password="wrong", headers={"X-Forwarded-For": f"10.0.0.{number}, 192.0.2.1"})
    assert response.status == 429, "what stands before the last address is not believed"
    assert (await door.log_in(headers={"X-Forwarded-For": "192.0.2.1, 192.0.2.2, 127.0.0.1"})).status == 303
    assert (await (await opened(USERS)).log_in(headers={"X-Forwarded-For": "192.0.2.1"})).status == 303


async def test_a_proxy_is_believed_and_nobody_else(opened: Opened) -> None:
    door = await opened(BEHIND_A_PROXY)
    for name, role in (("a", "admin"), ("carol", "viewer")):
        told = await (await door.ask("GET", "/change", headers={"X-User": name})).json()
        assert (told["name"], told["role"]) == (name, role)
    twice = [("X-User", "carol"), ("X-User", "a")]
    assert (await door.ask("GET", "/change", headers=twice)).status == 401
    for name in ("", "x" * 256):
        assert (await door.ask("GET", "/change", headers={"X-User": name})).status == 401
    elsewhere = replace(BEHIND_A_PROXY, place=Place(proxies=(ipaddress.ip_network("192.0.2.0/24"),)))
    door = await opened(elsewhere)
    assert (await door.ask("GET", "/change", headers={"X-User": "a"})).status == 401


async def test_over_https_the_cookie_is_secure_and_browsers_are_told_to_stay(opened: Opened) -> None:
    door = await opened(BEHIND_A_PROXY)
    https = {"X-Forwarded-Proto": "https", "Host": "pbx.example", "Origin": "https://pbx.example"}
    response = await door.log_in(headers=https)
    assert response.headers["Set-Cookie"].startswith("__Host-asterisk-sip=")
    assert "Secure" in response.headers["Set-Cookie"]
    assert response.headers["Strict-Transport-Security"] == "max-age=15768000"
    planted = response.headers["Set-Cookie"].partition(";")[0].removeprefix("__Host-")
    assert (await door.ask("GET", "/change", headers={**https, "Cookie": planted})).status == 401
    assert "Strict-Transport-Security" not in (await door.ask("GET", "/login")).headers
    door = await opened(USERS)
    assert "Secure" not in (await door.log_in(headers={"X-Forwarded-Proto": "https"})).headers["Set-Cookie"]


@pytest.mark.parametrize(
    ("host", "status"), [("evil.example", 421), ("PBX.example:8600", 401), ("127.0.0.1", 401), ("192.0.2.7", 421)]
)
async def test_it_answers_under_its_own_names_only(opened: Opened, host: str, status: int) -> None:
    door = await opened(BEHIND_A_PROXY)
    assert (await door.ask("GET", "/api/v1/calls", headers={"Host": host})).status == status
    anywhere = replace(USERS, place=Place(frozenset({"pbx.example"}), anywhere=True))
    status = 401 if host == "192.0.2.7" else status
    assert (await (await opened(anywhere)).ask("GET", "/api/v1/calls", headers={"Host": host})).status == status


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "/a\r\nSet-Cookie: x=y",
        "/\t/evil.example",
        "/login",
        "",
    ],
)
async def test_a_login_leads_nowhere_else(opened: Opened, target: str) -> None:
    assert inside(target) == "/"
    response = await (await opened(USERS)).log_in(next=target)
    assert (response.status, response.headers["Location"]) == (303, "/")
    assert len(response.headers.getall("Set-Cookie")) == 1


async def test_a_login_that_is_no_form_or_too_long_is_refused(opened: Opened) -> None:
    door = await opened(USERS)
    assert (await door.ask("POST", "/login", json={"name": "bob", "password": PASSWORD})).status == 415
    assert (await door.log_in(password="x" * 100_000)).status == 413
    assert (await door.log_in(password="x" * 2_000)).status == 403
    assert (await door.log_in(name="")).status == 403


async def test_a_stream_ends_with_the_session_of_its_reader(opened: Opened) -> None:
    door = await opened(USERS)
    cookie = {"Cookie": await door.cookie()}
    async with asyncio.timeout(20), door.session.get(f"{door.url}/api/v1/stream?after=0", headers=cookie) as response:
        assert response.status == 200
        assert b"retry" in await response.content.readline()
        door.clock[0] += USERS.lifetime_s
        await response.content.read()


async def test_other_rules_hold_at_once_and_end_the_sessions_of_who_is_gone_or_changed(opened: Opened) -> None:
    door = await opened(USERS)
    bob, alice = {"Cookie": await door.cookie("bob")}, {"Cookie": await door.cookie("alice")}
    grafana = {"Authorization": f"Bearer {TOKEN}"}
    for known in (bob, alice, grafana):
        assert (await door.ask("GET", "/change", headers=known)).status == 200
    door.gate.take(Rules(users={"alice": ALICE, "bob": replace(BOB, hash=cheap("another password"))}))
    assert (await door.ask("GET", "/change", headers=alice)).status == 200
    for gone in (bob, grafana):
        assert (await door.ask("GET", "/change", headers=gone)).status == 401
    assert (await door.log_in("bob", "another password")).status == 303


def test_an_address_that_others_reach_is_never_opened_to_everybody() -> None:
    user = {"name": "alice", "password_hash": hashed(PASSWORD)}
    served = WebConfig.model_validate({"host": "0.0.0.0", "user": (user,)})
    gate = Gate(rules(served))
    prepare = taker(gate, served)
    without = Config.model_validate({"pbx": (), "collector": {"servers": ("127.0.0.1:4222",)}, "web": {}})
    with pytest.raises(ConfigError, match="open to everybody"):
        prepare(without)
    prepare(without.model_copy(update={"web": served.model_copy(update={"session_hours": 1})}))()
    assert gate.rules.lifetime_s == 3_600
    assert gate.rules.place.anywhere


def test_what_the_throttle_remembers_is_bounded() -> None:
    throttle = Throttle(2, 10.0, most=100)
    for number in range(1_000):
        throttle.tried(str(number), 0.0)
    assert len(throttle) == 100
    throttle.tried("999", 0.0)
    assert throttle.wait_s("999", 1.0) == 9.0
    assert throttle.wait_s("0", 1.0) == 0.0
    throttle.tried("new", 60.0)
    assert len(throttle) == 1


def test_what_is_kept_of_sessions_is_bounded_and_holds_no_id() -> None:
    sessions = Sessions(60.0, most=3)
    ids = [sessions.begin(f"user {number}", "viewer", float(number)) for number in range(5)]
    assert [sessions.of(each, 5.0) is not None for each in ids] == [False, False, True, True, True]
    assert not any(each in repr(vars(sessions)) for each in ids)
    sessions.begin("late", "viewer", 500.0)
    assert len(sessions) == 1


def test_a_hash_fits_its_password_and_no_other() -> None:
    text = hashed("Zo\u00eb's password")
    assert text != hashed("Zo\u00eb's password")
    assert Hash.read(text).fits("Zoe\u0308's password"), "however the keyboard writes it"
    assert not Hash.read(text).fits("Zoe's password")
    assert "scrypt" not in repr(Hash.read(text))


def test_a_hash_that_another_program_made_fits() -> None:
    made = (
        "$scrypt$ln=16,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E"  # passlib's manual
    )
    assert Hash.read(made).fits("password")
    digest = (  # RFC 7914 section 12
        "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162"
        "2eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640"
    )
    assert Hash(1 << 10, 8, 16, b"NaCl", bytes.fromhex(digest)).fits("password")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("hunter2", "is no scrypt hash"),
        ("$scrypt$ln=9,r=8,p=1$c2FsdHNhbHQ$" + "A" * 43, "cost"),
        ("$scrypt$ln=19,r=99,p=1$c2FsdHNhbHQ$" + "A" * 43, "cost"),
        ("$scrypt$ln=15,r=8,p=17$c2FsdHNhbHQ$" + "A" * 43, "cost"),
        ("$scrypt$ln=15,r=8,p=3$c2Fs$" + "A" * 43, "cut off"),
        ("$scrypt$ln=15,r=8,p=3$c2FsdHNhbHQ$AAA", "cut off"),
    ],
)
def test_a_hash_that_nothing_could_be_checked_with_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Hash.read(text)


def files(folder: Path, name: str) -> tuple[Path, Path, trustme.CA]:
    """Write a certificate for a name and its key."""
    authority = trustme.CA()
    issued = authority.issue_cert(name)
    cert, key = folder / "web.pem", folder / "web.key"
    issued.private_key_pem.write_to_path(key)
    cert.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    return cert, key, authority


async def test_it_is_served_by_tls_and_a_renewed_certificate_is_shown_without_a_restart(tmp_path: Path) -> None:
    cert, key, authority = files(tmp_path, "localhost")
    shown = certificate(WebConfig(cert_file=cert, key_file=key))
    assert shown is not None
    shelf = Shelf(lambda: SqliteStore(tmp_path / "none.db", readonly=True))
    runner = await listen(application(shelf), "127.0.0.1", 0, shown.context)
    url = f"https://localhost:{runner.addresses[0][1]}/api/v1/openapi.json"

    async def ask(trusted: trustme.CA) -> aiohttp.ClientResponse:
        context = ssl.create_default_context()
        trusted.configure_trust(context)
        async with aiohttp.ClientSession() as session, session.get(url, ssl=context) as response:
            return response

    response = await ask(authority)
    assert response.status == 200
    assert "max-age" in response.headers["Strict-Transport-Security"]
    assert not shown.renew()
    key.write_text("half written")
    with pytest.raises(ConfigError, match=r"web\.cert_file: .*no certificate in PEM form"):
        shown.renew()
    assert (await ask(authority)).status == 200, "the old one stays"
    _, _, newer = files(tmp_path, "localhost")
    assert shown.renew()
    assert (await ask(newer)).status == 200
    await runner.cleanup()


def test_rules_are_those_of_the_configuration() -> None:
    config = WebConfig.model_validate(
        {
            "host": "0.0.0.0",
            "names": ("PBX.example",),
            "user": ({"name": "alice", "role": "admin", "password_hash": hashed(PASSWORD)},),
            "token": ({"name": "grafana", "token_hash": hashed(TOKEN)},),
            "proxy": {"addresses": ("10.0.0.0/8",), "user_header": "X-User", "admins": ("bob",)},
            "session_hours": 1,
        }
    )
    made = rules(config)
    assert made.users["alice"].hash.fits(PASSWORD)
    assert (made.users["alice"].role, made.tokens["grafana"].role) == ("admin", "viewer")
    assert made.place.own("pbx.example:8600")
    assert (made.header, sorted(made.admins), made.lifetime_s) == ("X-User", ["bob"], 3_600.0)
    assert "scrypt" not in repr(config), "not even the hash is shown"
