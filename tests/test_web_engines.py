"""The same pages over every engine: the same numbers, whoever keeps the records."""

from __future__ import annotations

import aiohttp

from asterisk_sip.web.app import application
from asterisk_sip.web.server import listen
from asterisk_sip.web.shelf import Shelf

from .store_engines import Engine
from .test_web_pages import Site, call_links, shown_calls
from .web_site import RECORDS, fill


async def test_the_pages_are_the_same_over_every_engine(engine: Engine) -> None:
    store = engine.store()
    await store.open()
    await fill(store)
    shelf = Shelf(lambda: engine.store(readonly=True), ("pbx",))
    runner = await listen(application(shelf), "127.0.0.1", 0)
    host, port = runner.addresses[0]
    async with aiohttp.ClientSession() as session:
        site = Site(f"http://{host}:{port}", session)
        overview = await site.page("/")
        assert "486 Busy Here" in overview.replace("</span>", "")
        assert "heard until" in overview
        for asked, count in (("outcome=any", len(RECORDS)), ("attempt_code=503&outcome=any", 2), ("country=49", 7)):
            page = await site.page(f"/failures?{asked}")
            assert (shown_calls(page), len(call_links(page))) == (count, count), asked
        assert "rescued" in await site.page(call_links(await site.page("/failures?outcome=rescued"))[0])
    await runner.cleanup()
    await shelf.close()
    await store.close()
