"""Who has logged in: kept in memory, ended by logging out, by time, or with the program. Time is an argument."""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Container
from dataclasses import dataclass

from .visitor import Role


@dataclass(frozen=True, slots=True)
class Session:
    """One browser in which a user has logged in. ``key`` is what it is kept under, which is not its id."""

    key: str
    user: str
    role: Role
    ends_at: float


class Sessions:
    """At most ``most`` sessions of ``lifetime_s`` each; the oldest makes room. Ids are 256 random bits, kept hashed."""

    def __init__(self, lifetime_s: float, most: int = 1_000) -> None:
        self.lifetime_s = lifetime_s
        self._most = most
        self._open: OrderedDict[str, Session] = OrderedDict()

    def __len__(self) -> int:
        return len(self._open)

    def begin(self, user: str, role: Role, now: float) -> str:
        """Begin a session and return its id, which was never used before."""
        session_id = secrets.token_urlsafe(32)
        key = _key(session_id)
        self._open[key] = Session(key, user, role, now + self.lifetime_s)
        while len(self._open) > self._most or next(iter(self._open.values())).ends_at <= now:
            self._open.popitem(last=False)
        return session_id

    def of(self, session_id: str, now: float) -> Session | None:
        """Return the session of an id, None when there is none (any more)."""
        return self.kept(_key(session_id), now)

    def kept(self, key: str, now: float) -> Session | None:
        """Return the session that is kept under a key, None when it is over."""
        session = self._open.get(key)
        return session if session is not None and session.ends_at > now else None

    def end_all_but(self, users: Container[str]) -> None:
        """End the sessions of everybody but these."""
        for key in [key for key, session in self._open.items() if session.user not in users]:
            del self._open[key]

    def end(self, key: str) -> None:
        """End a session."""
        self._open.pop(key, None)


def _key(session_id: str) -> str:
    return hashlib.sha256(session_id.encode("utf-8", "replace")).hexdigest()
