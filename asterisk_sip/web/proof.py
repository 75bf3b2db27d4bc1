"""Whether a secret is the right one: checked off the event loop, one at a time, and not as often as one likes."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from asterisk_sip.password import MOST_CHARACTERS, NOBODY, Hash

from .problems import ProblemError
from .throttle import Throttle
from .visitor import Role

_AT_ONCE, _REFILL_S = 5, 30.0  # by address: whoever mistypes has five tries
_OF_A_NAME_AT_ONCE, _OF_A_NAME_REFILL_S = 30, 5.0  # by name: one address alone cannot lock its owner out


@dataclass(frozen=True, slots=True)
class Known:
    """A user or a token that is let in, and the hash of its secret."""

    name: str
    role: Role
    hash: Hash


class Prover:
    """Compares secrets with hashes. Only so many wrong ones are looked at: by address, and by the name they were for.

    All names that nobody has count as one. So the work that strangers can cause is bounded, and so is what is kept.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._by_address = Throttle(_AT_ONCE, _REFILL_S)
        self._by_name = Throttle(_OF_A_NAME_AT_ONCE, _OF_A_NAME_REFILL_S)
        self._one_at_a_time = asyncio.Lock()

    async def proves(self, text: str, known: Known | None, kind: str, address: str) -> bool:
        """Return whether a secret is that of a user or token, who may be nobody. Raises ProblemError (429): wait."""
        now, name = self._clock(), f"{kind} {known.name}" if known else kind
        wait_s = math.ceil(max(self._by_address.wait_s(address, now), self._by_name.wait_s(name, now)))
        if wait_s > 0:
            reason = f"too many wrong tries; the next one counts in {wait_s} seconds"
            raise ProblemError(HTTPStatus.TOO_MANY_REQUESTS, reason, {"Retry-After": str(wait_s)})
        self._by_address.tried(address, now)
        self._by_name.tried(name, now)
        if len(text) > MOST_CHARACTERS:
            return False
        async with self._one_at_a_time:
            fits = await asyncio.to_thread((known.hash if known else NOBODY).fits, text)
        if fits and known:
            self._by_address.fitted(address)
            self._by_name.fitted(name)
        return fits and known is not None
