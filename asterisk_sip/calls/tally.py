"""Counts records for whoever watches from outside: only sums, few names, whatever remote parties say. Pure.

What counts into which ratio is the data of `catalog.ratios`, as for `kpi`. Names that the configuration does not know
(a collector hears of PBXs and trunks of others) are taken as they come, the first ``most_names`` of them; the rest is
counted as ``other``.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass, field
from functools import cache
from itertools import islice, product

from asterisk_sip.catalog import all_codes
from asterisk_sip.catalog.dispositions import disposition
from asterisk_sip.catalog.ratios import e425_group, ratio_rules, rfc6076_group

from .model import Attempt, CallRecord, Outcome, SipStatus, deciding

Labels = tuple[str, ...]

OTHER, UNKNOWN = "other", "unknown"
PDD_BOUNDS_S = (0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 20.0, 32.0)
LAG_BOUNDS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


@dataclass(slots=True)
class Spread:
    """How many values fell below each bound (and not below the one before), the last one: above all; and their sum."""

    bounds: tuple[float, ...]
    counts: list[int] = field(default_factory=list)
    total: float = 0.0

    def __post_init__(self) -> None:
        """Make the buckets."""
        self.counts = self.counts or [0] * (len(self.bounds) + 1)

    def add(self, value: float) -> None:
        """Count a value; a bound belongs to the bucket that it ends."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def copy(self) -> Spread:
        """Return it as it is now."""
        return Spread(self.bounds, [*self.counts], self.total)


class FewNames:
    """Lets through the names that are known and the first others, up to ``most``; any further one is ``other``."""

    def __init__(self, known: Iterable[str], most: int) -> None:
        self._names = set(known)
        self._most = most

    def of(self, name: str | None) -> str:
        """Return a name as it is counted; none is empty."""
        if not name:
            return ""
        if name not in self._names:
            if len(self._names) >= self._most:
                return OTHER
            self._names.add(name)
        return name


class Tally:
    """Counts records. Each counter is keyed by the texts that its name tells, a delay by PBX and trunk."""

    def __init__(
        self, pbxs: Iterable[str] = (), trunks: Iterable[str] = (), most_names: int = 200, most_series: int = 5_000
    ) -> None:
        self._expected = tuple(pbxs)
        self._pbxs, self._trunks = FewNames(self._expected, most_names), FewNames((), most_names)
        self._most = most_series
        self._known: list[Labels] = []
        self.know(trunks)
        self.calls: Counter[Labels] = Counter()  # pbx, trunk, direction, outcome
        self.failed_calls: Counter[Labels] = Counter()  # pbx, trunk, class, code, disposition, fault
        self.attempts: Counter[Labels] = Counter()  # pbx, trunk, disposition
        self.failed_attempts: Counter[Labels] = Counter()  # as failed_calls
        self.evidence: Counter[Labels] = Counter()  # pbx, trunk, grade: of failed attempts
        self.groups: Counter[Labels] = Counter()  # pbx, trunk, grouping, group
        self.disagreements: Counter[Labels] = Counter()  # pbx
        self.partial: Counter[Labels] = Counter()  # pbx
        self.backfilled: Counter[Labels] = Counter()  # pbx
        self.talk_ms: Counter[Labels] = Counter()  # pbx, trunk
        self.pdd_s: dict[Labels, Spread] = {}  # pbx, trunk
        self.lag_s: dict[Labels, Spread] = {}  # pbx

    def know(self, trunks: Iterable[str]) -> None:
        """Expect some trunks: each has its numbers from now on, 0 as long as nobody uses it."""
        self._known = [*islice(product(self._expected, trunks), self._most)]
        for _, trunk in self._known:
            self._trunks.of(trunk)

    def add(self, record: CallRecord, stored_at: float) -> None:
        """Count a record that became durable at a time (seconds since 1970)."""
        pbx = self._pbxs.of(record.pbx)
        decided = deciding(record)
        trunk = self._trunks.of(None if decided is None else decided.trunk)
        outcome = record.outcome
        self._count(self.calls, (pbx, trunk, record.direction or UNKNOWN, outcome.value))
        if outcome is Outcome.FAILED:
            self._count(self.failed_calls, (pbx, trunk, *_told(record.sip, record.disposition, record.fault.side)))
        if trunk:
            self._count(self.groups, (pbx, trunk, "outcome", outcome.value))
        if record.answered_at is not None and record.ended_at is not None:
            talk_s = (record.ended_at - record.answered_at).total_seconds()
            self._count(self.talk_ms, (pbx, trunk), max(0, round(talk_s * 1000)))
        self.partial[pbx,] += record.partial
        self.backfilled[pbx,] += record.backfilled
        self.disagreements[pbx,] += record.evidence.conflict
        if record.ended_at is not None and not record.partial and not record.backfilled:
            lag_s = max(0.0, stored_at - record.ended_at.timestamp())
            self._spread(self.lag_s, (pbx,), LAG_BOUNDS_S).add(lag_s)
        for attempt in record.attempts:
            self._attempt(pbx, attempt)

    def copy(self) -> Tally:
        """Return it as it is now: quick, and what is worked out of it may take as long as it wants."""
        made = copy(self)
        for name, value in vars(self).items():
            if isinstance(value, Counter):
                setattr(made, name, Counter(value))
        made.pdd_s = {key: spread.copy() for key, spread in self.pdd_s.items()}
        made.lag_s = {key: spread.copy() for key, spread in self.lag_s.items()}
        return made

    def ratios(self) -> dict[str, tuple[Counter[Labels], Counter[Labels]]]:
        """Return numerator and denominator of each ratio, by PBX and trunk; 0 for what nobody used yet."""
        found: dict[str, tuple[Counter[Labels], Counter[Labels]]] = {}
        nothing = dict.fromkeys(self._known, 0)
        for rule in ratio_rules():
            sums: tuple[Counter[Labels], Counter[Labels]] = (Counter(nothing), Counter(nothing))
            for (pbx, trunk, grouping, group), count in self.groups.items():
                if grouping == rule.grouping:
                    sums[0][pbx, trunk] += count if group in rule.numerator else 0
                    sums[1][pbx, trunk] += count if group in rule.denominator else 0
            found[rule.name] = sums
        return found

    def _attempt(self, pbx: str, attempt: Attempt) -> None:
        trunk, name = self._trunks.of(attempt.trunk), attempt.disposition
        self._count(self.attempts, (pbx, trunk, name))
        if disposition(name).failed:
            self._count(self.failed_attempts, (pbx, trunk, *_told(attempt.sip, name, attempt.fault.side)))
            self._count(self.evidence, (pbx, trunk, attempt.evidence.grade.value))
        if trunk:
            code = attempt.sip.code
            self._count(self.groups, (pbx, trunk, "e425", e425_group(code, name)))
            self._count(self.groups, (pbx, trunk, "rfc6076", rfc6076_group(code, name)))
        if attempt.pdd_ms is not None:
            self._spread(self.pdd_s, (pbx, trunk), PDD_BOUNDS_S).add(max(0, attempt.pdd_ms) / 1000)

    def _count(self, counter: Counter[Labels], key: Labels, by: int = 1) -> None:
        if key not in counter and len(counter) >= self._most:
            key = (OTHER,) * len(key)
        counter[key] += by

    def _spread(self, spreads: dict[Labels, Spread], key: Labels, bounds: tuple[float, ...]) -> Spread:
        if key not in spreads and len(spreads) >= self._most:
            key = (OTHER,) * len(key)
        found = spreads.get(key)
        if found is None:
            found = spreads[key] = Spread(bounds)
        return found


@cache
def _codes() -> frozenset[int]:
    return frozenset(code.code for code in all_codes())


def _told(sip: SipStatus, name: str, side: str) -> Labels:
    """Return class, code, disposition and fault; a code that is in no table is ``other``."""
    code = sip.code
    if code is None:
        return UNKNOWN, UNKNOWN, name, side
    return f"{code // 100}xx", str(code) if code in _codes() else OTHER, name, side
