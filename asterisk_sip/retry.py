"""When to try again: exponential back-off with jitter. Pure; the caller sleeps."""

from __future__ import annotations

import random
from dataclasses import dataclass, field


@dataclass(slots=True)
class Backoff:
    """Delays that double from ``min_s`` up to ``max_s`` seconds, each drawn between half and the whole of its step.

    The jitter keeps many clients from coming back in one instant after a restart.
    """

    min_s: float
    max_s: float
    draw: random.Random = field(default_factory=random.SystemRandom)
    failures: int = 0

    def next_s(self) -> float:
        """Count a failure; return how many seconds to wait before the next try."""
        step: float = min(self.max_s, self.min_s * 2 ** min(self.failures, 30))
        self.failures += 1
        return step * self.draw.uniform(0.5, 1.0)

    def reset(self) -> None:
        """Forget past failures: it worked."""
        self.failures = 0
