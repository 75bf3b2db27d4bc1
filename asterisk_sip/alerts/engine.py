"""The engine of alerts: records, troubles and the time go in, what fired and cleared comes out. Pure.

It judges at the end of whole seconds, over what ended before. Records may come in any order as long as none is later
than ``lag_s``: they are sorted by when their call ended, and a second is judged when it is so long past. So the same
records give the same changes, with the same ids, however often the time is told and in whatever portions they come:
what is judged again after a crash tells nothing new, and looking back at stored records tells what would have been.
A record that comes later still is counted with its own time, at the next second.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from heapq import heappop, heappush

from .engine_heard import Heard, Trouble
from .engine_mute import Silenced, Silences
from .engine_trouble import Troubled
from .engine_work import Counting, Hooking, Worker
from .model import Change, Kind, Rule
from .rules_fields import Json, ended_s

LAG_S = 2.0
_KEPT_GAPS_S = 3_600

_LEARNED_BY = ("kind", "filter", "of", "group_by", "counted", "window_s", "ratio", "percentile", "weeks")


class Engine:
    """All rules at work. Times are seconds since 1970; records are JSON of the schema ``asterisk-sip/call/1``."""

    def __init__(self, rules: Sequence[Rule], pbxs: Iterable[str] = (), lag_s: float = LAG_S) -> None:
        self.time = -math.inf
        self._lag_s = lag_s
        self._judged = -1 << 62  # the last second that was
        self._newest = -math.inf  # when the last of the records counted ended
        self._coming: list[tuple[float, str, int, int, Json]] = []  # a heap
        self._fed = 0
        self._wakes: list[int] = []  # a heap
        self._asked: set[int] = set()
        self._known = 0  # records up to this position were taken before a restart, but for those that waited
        self._waited: frozenset[int] = frozenset()
        self._heard = Heard(pbxs)
        self._silences = Silences()
        self._workers: dict[str, Worker] = {rule.name: self._worker(rule) for rule in rules}
        self._hooks = [each for each in self._workers.values() if isinstance(each, Hooking)]
        self._troubled = [each for each in self._workers.values() if isinstance(each, Troubled)]
        counting = [each for each in self._workers.values() if isinstance(each, Counting)]
        self._counting = counting
        self._of_calls = [each.take for each in counting if each.rule.counted == "calls"]
        self._of_attempts = [each.take for each in counting if each.rule.counted == "attempts"]
        self._longest_s = max((rule.window_s for rule in rules), default=0)

    def _worker(self, rule: Rule) -> Worker:
        if rule.kind is Kind.HOOK:
            return Hooking(rule, self._silences)
        if rule.kind in (Kind.GAP, Kind.SINK):
            return Troubled(rule, self._silences, self._wake)
        return Counting(rule, self._heard, self._silences, self._wake)

    @property
    def groups(self) -> int:
        """How many groups are kept, of all rules."""
        return sum(len(each.watch.groups) for each in self._counting)

    @property
    def evicted(self) -> int:
        """How many groups were forgotten because a rule had too many."""
        return sum(each.watch.evicted for each in self._counting)

    @property
    def crowded(self) -> list[str]:
        """The rules that had too many groups."""
        return [each.rule.name for each in self._counting if each.watch.evicted]

    @property
    def waiting(self) -> tuple[int, ...]:
        """The positions of the records that wait for their second."""
        return tuple(position for _, _, _, position, _ in self._coming)

    def feed(self, call: Json, position: int = 0, now: float = math.inf) -> list[Change]:
        """Take a record; return what is told by it, and by the seconds that ended meanwhile.

        ``position`` is where it stands in the spool: one that was taken before a restart is passed over.
        """
        if 0 < position <= self._known and position not in self._waited:
            return []
        at = min(ended_s(call), now)
        for hook in self._hooks:
            _give(hook, at, call)
        changes = [change for hook in self._hooks for change in hook.found()]
        if at < self.time:
            self._count(at, call)
        else:
            self._fed += 1
            heappush(self._coming, (at, call["id"], self._fed, position, call))
            changes += self._advance(at - self._lag_s)
        return changes

    def begin(self, now: float) -> None:
        """Hear when it begins to judge: nothing before is judged, unless it was taken up from an earlier run."""
        self.time = max(self.time, now - self._lag_s)
        self._judged = max(self._judged, int(self.time))

    def learn(self, call: Json) -> None:
        """Count a record of the past without judging: for rules that compare with it."""
        self._take(ended_s(call), call)

    def learned(self) -> dict[str, tuple[str, str]]:
        """Return what was learned, for ``load``: what is usual, and nothing of the last window."""
        for worker in self._counting:
            worker.watch.settle()
        states = self.dump()
        del states[""]
        return states

    def tick(self, now: float) -> list[Change]:
        """Hear the time: all records that ended before ``now - lag_s`` were fed. Return what changed up to then."""
        return self._advance(now - self._lag_s)

    def trouble(self, kind: Kind, trouble: Trouble) -> None:
        """Hear of a gap or a failing sink, or that it is over."""
        if kind is Kind.GAP:
            self._heard.take(trouble)
        for worker in self._troubled:
            if worker.rule.kind is kind:
                worker.hear(trouble)

    def lasting(self, kind: Kind) -> list[Trouble]:
        """Return the troubles of a kind that rules know to last."""
        return [each for worker in self._troubled if worker.rule.kind is kind for each in worker.lasting()]

    def silence(self, silenced: Iterable[Silenced]) -> None:
        """Take all silences that last; those taken before are forgotten, and what they held back is told."""
        if self._silences.replace(silenced):
            for worker in self._workers.values():
                worker.stir()

    def _advance(self, to: float) -> list[Change]:
        """Count and judge, each in its turn, up to a time."""
        changes: list[Change] = []
        coming, wakes = self._coming, self._wakes
        while True:
            second = wakes[0] if wakes else math.inf
            if coming and coming[0][0] < second:
                if coming[0][0] > to:
                    break
                at, _, _, _, call = heappop(coming)
                self._count(at, call)
            elif second <= to:
                heappop(wakes)
                self._asked.discard(int(second))
                changes += self._judge(int(second))
            else:
                break
        self.time = max(self.time, to)
        return changes

    def _count(self, at: float, call: Json) -> None:
        self._newest = max(self._newest, at)
        self._take(at, call)
        self._wake(int(at) + 1)

    def _take(self, at: float, call: Json) -> None:
        for take in self._of_calls:
            take(at, call, None)
        if self._of_attempts:
            for attempt in call["attempts"]:
                for take in self._of_attempts:
                    take(at, call, attempt)

    def _judge(self, second: int) -> list[Change]:
        self._judged = second
        self._heard.forget(second - self._longest_s - _KEPT_GAPS_S)
        return [change for worker in self._workers.values() for change in worker.work(second)]

    def _wake(self, second: int) -> None:
        """Judge at a second; at the next one that is not judged yet and not before what was counted already."""
        second = max(second, self._judged + 1)
        if self._newest >= second:
            second = math.floor(self._newest) + 1
        if second not in self._asked:
            self._asked.add(second)
            heappush(self._wakes, second)

    def dump(self, position: int = 0) -> dict[str, tuple[str, str]]:
        """Return what is known: of each rule by its name, and of the engine itself under the empty one.

        ``position`` is that of the record fed last. Those of `waiting` are to be fed again.
        """
        known = {"position": max(position, self._known), "waiting": self.waiting}
        times = {"time": self.time, "judged": self._judged, "newest": self._newest, "wakes": sorted(self._asked)}
        own = json.dumps({**times, **known})
        states = {name: (fingerprint(worker.rule), worker.dump()) for name, worker in self._workers.items()}
        return {"": ("", own), **states}

    def load(self, states: Mapping[str, tuple[str, str]]) -> tuple[str, ...]:
        """Take up what ``dump`` gave; return the rules that begin anew: they count otherwise, or cannot be read.

        Without what the engine knew of itself, only what the rules have learned is taken.
        """
        own = json.loads(states[""][1]) if "" in states else None
        if own is not None:
            self.time, self._judged = float(own["time"]), int(own["judged"])
            self._newest = float(own.get("newest", -math.inf))  # that of an earlier version does not tell
            self._known, self._waited = int(own["position"]), frozenset(own["waiting"])
            for second in own["wakes"]:
                self._wake(int(second))
        elif math.isfinite(self.time):
            self._wake(0)  # as soon as may be: to look at what was learned
        return tuple(name for name, worker in self._workers.items() if not _loaded(worker, states.get(name)))

    def adopt(self, changes: Iterable[Change]) -> list[Change]:
        """Take up alerts that were told of before; return those that no rule has any more."""
        orphans = []
        for change in changes:
            worker = self._workers.get(change.rule)
            if worker is None or worker.rule.kind is not change.kind:
                orphans.append(change)
            else:
                worker.adopt(change)
        return orphans


def fingerprint(rule: Rule) -> str:
    """Return what tells whether a rule still counts the same: its threshold may change meanwhile."""
    text = repr([getattr(rule, name) for name in _LEARNED_BY])
    return hashlib.blake2b(text.encode(errors="replace"), digest_size=8).hexdigest()


def _give(worker: Worker, at: float, call: Json) -> None:
    if worker.rule.counted == "calls":
        worker.take(at, call, None)
    else:
        for attempt in call["attempts"]:
            worker.take(at, call, attempt)


def _loaded(worker: Worker, state: tuple[str, str] | None) -> bool:
    """Let a rule take up what it knew; return whether it could."""
    if state is None or state[0] != fingerprint(worker.rule):
        return False
    try:
        worker.load(json.loads(state[1]))
    except (KeyError, TypeError, ValueError):
        return False
    return True
