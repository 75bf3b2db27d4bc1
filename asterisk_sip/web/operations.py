"""What machines ask: /metrics for Prometheus, /healthz and /readyz for whoever restarts or routes."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from aiohttp import web

from asterisk_sip import __version__, health, metrics
from asterisk_sip.errors import StoreError

from .access import GATE
from .exposition import exposition
from .problems import ProblemError
from .shelf import Shelf


class Program(Protocol):
    """The program that runs beside the pages, as it sees itself."""

    async def health(self) -> health.Health:
        """Return how it is."""

    async def samples(self) -> metrics.Samples:
        """Return its numbers."""


PROGRAM: web.AppKey[Program] = web.AppKey("program")


class StoreOnly:
    """Nothing runs beside the pages: all there is to tell is whether the store can be read."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    async def health(self) -> health.Health:
        """Return whether the store can be read."""
        trouble = None
        try:
            await (await self._shelf.store()).last_position()
        except (ProblemError, StoreError) as error:
            trouble = str(error)
        return health.Health("running", trouble)

    async def samples(self) -> metrics.Samples:
        """Return what follows from that."""
        return metrics.of_health(await self.health())


def add(app: web.Application, program: Program, *, with_metrics: bool) -> None:
    """Serve the three below the root; /metrics only when it is wanted."""
    app[PROGRAM] = program
    rendering = asyncio.Semaphore(1)

    async def tell_metrics(request: web.Request) -> web.Response:
        samples = await program.samples()
        async with rendering:
            body, content_type = await asyncio.to_thread(exposition, samples, request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def tell_ready(request: web.Request) -> web.Response:
        told = health.told(await program.health())
        known = await request.app[GATE].visitor(request)  # whoever restarts or routes has no login
        shown = told if known is not None else {"status": told["status"], "reasons": _parts(told)}
        return web.json_response(shown, status=503 if told["reasons"] else 200)

    app.router.add_get("/healthz", _alive)
    app.router.add_get("/readyz", tell_ready)
    if with_metrics:
        app.router.add_get("/metrics", tell_metrics)


def _parts(told: dict[str, Any]) -> list[dict[str, str]]:
    """Return which parts keep the program from its work, without the words: they name users, hosts and files."""
    return [{"part": reason["part"]} for reason in told["reasons"]]


async def _alive(request: web.Request) -> web.Response:
    """Answer whoever asks. Which version it is, and so what is wrong with it, is told where everybody is let in."""
    version = {"version": __version__} if request.app[GATE].rules.open else {}
    return web.json_response({"status": "alive", **version})
