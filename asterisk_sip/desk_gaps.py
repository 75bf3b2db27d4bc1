"""Which doors of one PBX are heard, and the gaps in that. Pure: news in, the rows that change out.

A PBX is *blind* while none of the doors that tell of its calls is heard: calls may then begin and end unseen. An outage
of one door while another still tells is a gap too, but not a blind one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

from asterisk_sip.calls.model import gap_id
from asterisk_sip.stores.base import Gap

COMPANION, INBOX = "companion", "inbox"
"""Sources of gaps that are no doors: we did not run; more was heard than could be worked on."""

UNHEARD_S = 5.0
"""A PBX that nothing has told of for so long since we began is not heard: also before it ever was."""

BURST_S = 5.0
"""Messages lost within so many seconds of each other are one gap."""


class Listening:
    """Keeps the gaps of one PBX. ``telling`` are the doors that tell of its calls by themselves.

    ``lasting`` are gaps that an earlier run left open: each ends when its door is heard again. ``began_at`` is when we
    began to listen. Every method returns the rows to write; times are seconds since 1970. Counted since it was made:
    ``outages`` and ``lost_messages`` by door, ``begun`` gaps by source and whether they are blind.
    """

    def __init__(
        self, pbx: str, telling: Iterable[str], lasting: Iterable[Gap] = (), began_at: float | None = None
    ) -> None:
        self._pbx = pbx
        self._began_at = began_at  # None as soon as it is known what became of that
        self._telling = frozenset(telling)
        self._up: set[str] = set()
        self._lasting: dict[str, Gap] = {gap.source: gap for gap in lasting}
        self._bursts: dict[str, tuple[Gap, int, float]] = {}  # by door: the gap, messages lost, when the last one was
        self.outages: Counter[str] = Counter()
        self.lost_messages: Counter[str] = Counter()
        self.begun: Counter[tuple[str, bool]] = Counter()

    @property
    def blind(self) -> bool:
        """Whether nothing tells of the calls."""
        return not self._up & self._telling

    @property
    def lasting(self) -> dict[str, Gap]:
        """The gaps that last, by source."""
        return self._lasting

    def hears(self, door: str) -> bool:
        """Return whether a door is heard."""
        return door in self._up

    @property
    def blind_gap(self) -> Gap | None:
        """The gap that lasts while nothing tells of the calls, None when something does or never did."""
        return next((gap for gap in self._lasting.values() if gap.blind), None) if self.blind else None

    def not_running(self, since: float) -> list[Gap]:
        """Hear that the program did not run since a time; what an earlier gap covers already is no new one."""
        if any(gap.blind for gap in self._lasting.values()):
            return []
        return [self._begin(COMPANION, since, "the companion was not running", blind=True)]

    def up(self, door: str, at: float) -> list[Gap]:
        """Hear that a door is heard from now on."""
        was_blind = self.blind
        self._up.add(door)
        rows = self._end(door, at)
        if was_blind and not self.blind:
            rows += self._end(COMPANION, at)
            for other in [gap for gap in self._lasting.values() if gap.blind]:  # still down, but no longer blind
                rows += self._end(other.source, at)
                rows.append(self._begin(other.source, at, other.reason, blind=False))
        return rows

    def down(self, door: str, at: float, reason: str) -> list[Gap]:
        """Hear that a door is not heard from now on."""
        was_blind = self.blind
        self.outages[door] += door in self._up
        self._up.discard(door)
        if door in self._lasting:
            return []
        return [self._begin(door, at, reason, blind=self.blind and not was_blind)]

    def overflow(self, at: float) -> list[Gap]:
        """Hear that events are lost from now on: more come than can be worked on."""
        return [] if INBOX in self._lasting else [self._begin(INBOX, at, "more events than could be worked on")]

    def overflow_ended(self, at: float) -> list[Gap]:
        """Hear that no more events are lost."""
        return self._end(INBOX, at)

    def lost(self, door: str, at: float, count: int, reason: str) -> list[Gap]:
        """Hear that a door passed over some messages; those close together make one gap."""
        self.lost_messages[door] += count
        burst = self._bursts.get(door)
        gap = burst[0] if burst is not None else self._gap(f"{door} messages", door, at, reason, blind=False)
        total = count + (burst[1] if burst is not None else 0)
        self._bursts[door] = (gap, total, at)
        return [] if burst is not None else [gap]

    def tick(self, now: float) -> list[Gap]:
        """Return the bursts of lost messages that are over, and the gap of a PBX that was not heard from the start."""
        over = [door for door, (_, _, last) in self._bursts.items() if now - last > BURST_S]
        rows = self._never_heard(now)
        for door in over:
            gap, total, last = self._bursts.pop(door)
            rows.append(replace(gap, ended_at=_utc(last), reason=f"{total} {gap.reason}"))
        return rows

    def _never_heard(self, now: float) -> list[Gap]:
        began_at = self._began_at
        if began_at is not None and now - began_at < UNHEARD_S:
            return []
        self._began_at = None
        if began_at is None or not self.blind or any(gap.blind for gap in self._lasting.values()):
            return []
        return [self._begin(COMPANION, began_at, "nothing was heard since the companion began", blind=True)]

    def _begin(self, source: str, at: float, reason: str, *, blind: bool = True) -> Gap:
        gap = self._lasting[source] = self._gap(source, source, at, reason, blind=blind)
        return gap

    def _gap(self, key: str, source: str, at: float, reason: str, *, blind: bool) -> Gap:
        self.begun[source, blind] += 1
        return Gap(gap_id(self._pbx, key, at), self._pbx, source, _utc(at), None, reason, blind)

    def _end(self, source: str, at: float) -> list[Gap]:
        gap = self._lasting.pop(source, None)
        return [] if gap is None else [replace(gap, ended_at=max(gap.began_at, _utc(at)))]


def _utc(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)
