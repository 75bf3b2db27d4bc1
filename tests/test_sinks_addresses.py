"""Where a program may be sent to by a name or a redirect: what was checked is what is connected to."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from asterisk_sip.errors import PermanentSinkError, TransientSinkError
from asterisk_sip.sinks.addresses import Guard, is_public
from asterisk_sip.sinks.poster import Poster, PostSettings

from .webhook_target import Post, Target, webhook_target

PRIVATE = (
    *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1"),
    *("::1", "fe80::1", "fe80::1%eth0", "fd00::1", "ff02::1", "::", "::ffff:127.0.0.1", "::ffff:10.0.0.1"),
    *("64:ff9b::7f00:1", "2002:7f00:1::", "2001:0:7f00:1::"),
)


class Names(AbstractResolver):
    """Resolves names from a list for each: the next one each time it is asked, the last for ever."""

    def __init__(self, **addresses: list[str]) -> None:
        self._addresses = {name.replace("_", "."): list(found) for name, found in addresses.items()}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        left = self._addresses[host]
        address = left.pop(0) if len(left) > 1 else left[0]
        return [ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)]

    async def close(self) -> None:
        """There is nothing to close."""


@asynccontextmanager
async def poster(url: str, guard: Guard | None = None, **settings: object) -> AsyncIterator[Poster]:
    made = Poster(PostSettings(url, **{"allow_private": False, **settings}), "text/plain", guard)  # type: ignore[arg-type]  # of any type
    await made.open()
    try:
        yield made
    finally:
        await made.close()


def to(target: Target, host: str) -> str:
    """The URL of a target under another name."""
    return target.url.replace("127.0.0.1", host)


def redirecting(status: int, where: Callable[[], str]) -> Callable[[Post], web.Response]:
    return lambda _: web.Response(status=status, headers={"Location": where()})


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_of_this_machine_or_network_is_not_public_however_it_is_written(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"])
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


async def test_an_address_that_the_url_itself_names_may_be_of_this_machine() -> None:
    async with webhook_target() as target:
        for url in (target.url, to(target, "localhost")):
            async with poster(url) as made:
                await made.post(b"", {})
    assert len(target.posts) == 2


async def test_a_name_that_leads_to_this_machine_is_refused_and_the_message_says_what_would_allow_it() -> None:
    async with webhook_target() as target:
        url = to(target, "hooks.example.net")
        guard = Guard(url, allow_private=False, inner=Names(hooks_example_net=["127.0.0.1"]))
        async with poster(url, guard) as made:
            with pytest.raises(TransientSinkError, match=r"is at 127\.0\.0\.1, no address .* allow_private = true"):
                await made.post(b"", {})
        allowed = Guard(url, allow_private=True, inner=Names(hooks_example_net=["127.0.0.1"]))
        async with poster(url, allowed) as made:
            await made.post(b"", {})
    assert len(target.posts) == 1


async def test_a_name_is_asked_for_once_a_connection_so_it_cannot_change_its_address_after_the_check() -> None:
    names = Names(rebind_example_net=["1.1.1.1", "127.0.0.1"])  # public at first, loopback when asked again
    guard = Guard("https://rebind.example.net/", allow_private=False, inner=names)
    assert [each["host"] for each in await guard.resolve("rebind.example.net", 443)] == ["1.1.1.1"]
    with pytest.raises(OSError, match="no address of the internet"):
        await guard.resolve("rebind.example.net", 443)
    asked: list[str] = []

    class Once(Names):
        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
        ) -> list[ResolveResult]:
            asked.append(host)
            return await super().resolve(host, port, family)

    async with webhook_target() as target:
        url = to(target, "nowhere.invalid")  # no other resolver knows it: the connection goes where the guard says
        async with poster(url, Guard(url, allow_private=True, inner=Once(nowhere_invalid=["127.0.0.1"]))) as made:
            await made.post(b"", {})
    assert (asked, len(target.posts)) == (["nowhere.invalid"], 1)


async def test_a_redirect_leads_nowhere_unless_it_was_allowed() -> None:
    async with webhook_target() as there, webhook_target(redirecting(308, lambda: there.url)) as here:
        async with poster(here.url) as made:
            with pytest.raises(TransientSinkError, match="answered 308, but redirects are not followed"):
                await made.post(b"", {})
        async with poster(here.url, redirects=1) as made:
            await made.post(b"the body", {"webhook-id": "7"})
    assert [(post.body, post.headers["webhook-id"]) for post in there.posts] == [("the body", "7")]


@pytest.mark.parametrize("host", ["127.0.0.2", "localhost", "[::1]", "169.254.169.254"])
async def test_a_redirect_does_not_lead_to_another_address_of_this_machine_or_network(host: str) -> None:
    async with (
        webhook_target() as there,
        webhook_target(redirecting(307, lambda: to(there, host))) as here,
        poster(here.url, redirects=3) as made,
    ):
        with pytest.raises(TransientSinkError, match="no address of the internet"):
            await made.post(b"", {})
    assert there.posts == []


async def test_a_redirect_turns_no_post_into_a_get_and_takes_no_password_to_another_host() -> None:
    async with (
        webhook_target() as there,
        webhook_target(redirecting(302, lambda: there.url)) as here,
        poster(here.url, redirects=3, headers={"Authorization": "Bearer x"}) as made,
    ):
        with pytest.raises(TransientSinkError, match="answered 302"):
            await made.post(b"", {})
        here.answer = redirecting(307, lambda: there.url)
        await made.post(b"", {})
    assert here.posts[-1].headers["Authorization"] == "Bearer x"
    assert ["Authorization" in post.headers for post in there.posts] == [False]


async def test_redirects_in_a_ring_end() -> None:
    async with webhook_target() as target:
        target.answer = redirecting(307, lambda: target.url)
        async with poster(target.url, redirects=3) as made:
            with pytest.raises(TransientSinkError, match="no further redirect is followed"):
                await made.post(b"", {})
    assert len(target.posts) == 4


@pytest.mark.parametrize("location", ["", "ftp://127.0.0.1/", "http://[", "javascript:alert(1)"])
async def test_a_redirect_to_what_is_no_web_address_is_told(location: str) -> None:
    async with webhook_target(redirecting(307, lambda: location)) as target, poster(target.url, redirects=3) as made:
        with pytest.raises(TransientSinkError, match="redirects to what is no URL"):
            await made.post(b"", {})


async def test_of_a_long_answer_only_the_beginning_is_read() -> None:
    long = web.Response(status=400, text="x" * 10_000_000)
    async with webhook_target(lambda _: long) as target, poster(target.url) as made:
        with pytest.raises(PermanentSinkError, match=r"answered 400: x{1,200}$"):
            await made.post(b"", {})
