"""A real HTTP server that webhooks are sent to: it notes what comes, and answers as it is told."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Answer = Callable[["Post"], web.Response | None]


@dataclass(frozen=True, slots=True)
class Post:
    """One request, as it came."""

    headers: dict[str, str]
    body: str
    path: str

    @property
    def event(self) -> dict[str, Any]:
        """The CloudEvent in it."""
        event: dict[str, Any] = json.loads(self.body)
        return event


@dataclass(slots=True)
class Target:
    """``answer`` says what each request is answered: None hangs until the server ends."""

    answer: Answer = lambda _: web.Response(status=204)
    posts: list[Post] = field(default_factory=list)
    most_at_a_time: int = 0
    url: str = ""
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    _under_way: int = 0

    def has(self, number: int) -> bool:
        """Say whether so many requests came."""
        return len(self.posts) >= number

    def ids(self) -> list[str]:
        """Return the ids of what came, in order."""
        return [post.event["id"] for post in self.posts]

    async def take(self, request: web.Request) -> web.Response:
        """Note one request and answer it."""
        self._under_way += 1
        self.most_at_a_time = max(self.most_at_a_time, self._under_way)
        try:
            post = Post(dict(request.headers), await request.text(), request.path_qs)
            self.posts.append(post)
            await asyncio.sleep(0)  # the others may come meanwhile
            answer = self.answer(post)
            if answer is None:
                await self.ended.wait()
                return web.Response(status=503)
            return answer
        finally:
            self._under_way -= 1


@asynccontextmanager
async def webhook_target(answer: Answer | None = None, tls: ssl.SSLContext | None = None) -> AsyncIterator[Target]:
    """Run a target on a free loopback port while the context lasts."""
    target = Target() if answer is None else Target(answer)
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", target.take)
    runner = web.AppRunner(application, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        bound = runner.addresses[0][1]
        target.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{bound}/calls?token=of-the-url"
        yield target
    finally:
        target.ended.set()
        await runner.cleanup()
