"""Who asks: found by ``access`` for every request, and asked for by whoever answers it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from aiohttp import web

Role = Literal["viewer", "admin"]
Via = Literal["open", "session", "token", "proxy"]


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks, what they may do, and how that is known. ``name`` is empty where there is no login.

    ``csrf`` belongs into every form, as the hidden field ``csrf``, or into the header ``X-CSRF-Token``.
    """

    name: str
    role: Role
    via: Via
    key: str = field(default="", repr=False)
    csrf: str = field(default="", repr=False)

    @property
    def is_admin(self) -> bool:
        """Whether they may change something."""
        return self.role == "admin"


VISITOR = web.RequestKey("visitor", Visitor)


def visitor_of(request: web.Request) -> Visitor | None:
    """Return who asks; None only where nobody needs to be known, such as the page of the login."""
    return request.get(VISITOR)
