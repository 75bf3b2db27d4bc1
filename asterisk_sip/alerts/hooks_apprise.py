"""Notices by Apprise: mail, chats, pagers and text messages, each an URL as its manual has it (extra ``notify``)."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal

from asterisk_sip.errors import PermanentSinkError, TransientSinkError
from asterisk_sip.sinks.base import Delivery, Kind

_REMEMBERED = 256
"""Of so many notices it is known who took them."""

_KINDS = {"critical": "failure", "warning": "warning", "info": "info"}


@dataclass(frozen=True, slots=True)
class AppriseSettings:
    """Where to: URLs that hold passwords, so they are never shown. ``form``: text, or HTML where that can be shown."""

    urls: tuple[str, ...] = field(repr=False)
    form: Literal["text", "html"] = "text"


class AppriseTarget:
    """Sends each notice to every URL; after a failure, or when nobody waited for it, to those that did not take it.

    Apprise is loaded and runs in a thread of its own: it takes half a second to load, and it waits for the network.
    """

    wants: frozenset[Kind] = frozenset({"notice"})
    at_most = 1

    def __init__(self, settings: AppriseSettings) -> None:
        self._settings = settings
        self._thread = ThreadPoolExecutor(1, "apprise")
        self._places: list[Any] = []
        self._taken: dict[str, set[int]] = {}

    async def open(self) -> None:
        """Load Apprise and its URLs. Raises PermanentSinkError when it is not there, or for what is no URL of it."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._load)

    async def write(self, deliveries: Sequence[Delivery]) -> None:
        """Send notices. Raises TransientSinkError when a URL did not take one."""
        for delivery in deliveries:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._send, delivery)

    async def close(self) -> None:
        """Let the thread end by itself."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _load(self) -> None:
        if self._places:
            return
        places = load(self._settings.urls)
        bad = [number for number, place in enumerate(places, 1) if place is None]
        if bad:
            told = ", ".join(map(str, bad))
            raise PermanentSinkError(f"apprise knows no such URL: number {told} of {len(places)}")
        self._places = places

    def _send(self, delivery: Delivery) -> None:
        told = json.loads(delivery.text)
        taken = self._taken.setdefault(delivery.id, set())
        while len(self._taken) > _REMEMBERED:
            del self._taken[next(iter(self._taken))]
        failed = []
        for number, place in enumerate(self._places):
            if number in taken:
                continue
            if place.notify(
                title=told["headline"],
                body=told["html"] if self._settings.form == "html" else told["text"].split("\n", 1)[1].strip(),
                body_format=self._settings.form,
                notify_type="success" if told["state"] == "cleared" else _KINDS.get(told["severity"], "info"),
            ):
                taken.add(number)
            else:
                failed.append(f"{number + 1} ({place[0].service_name})")
        if failed:
            raise TransientSinkError(f"apprise: not taken by URL {', '.join(failed)}")


def load(urls: Sequence[str]) -> list[Any]:
    """Return what Apprise makes of each URL, None for one it does not know. Raises PermanentSinkError without it.

    Slow: it loads all of Apprise. Its log is kept quiet, for it may name URLs.
    """
    try:
        import apprise  # noqa: PLC0415  an extra, and slow to load
    except ImportError as error:
        raise PermanentSinkError("needs apprise: pip install 'asterisk-sip[notify]'") from error
    logging.getLogger("apprise").setLevel(logging.CRITICAL)
    asset = apprise.AppriseAsset(
        app_id="asterisk-sip",
        app_desc="asterisk-sip alerts",
        app_url="",
        async_mode=False,
        secure_logging=True,
        interpret_emojis=False,
        interpret_escapes=False,
    )
    places: list[Any] = []
    for url in urls:
        place = apprise.Apprise(asset=asset)
        places.append(place if place.add(url) else None)
    return places
