"""The numbers: ratios with their intervals, delays, durations and what failures are made of, from counts. Pure.

What counts into a ratio is data, see `catalog.ratios`. Only attempts that took a trunk count, and calls that such an
attempt decided: a ``trunk`` that is empty is a telephone of ours, or Asterisk's own Local channel.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from math import sqrt
from typing import Literal, Protocol, TypeVar

from asterisk_sip.catalog.dispositions import disposition
from asterisk_sip.catalog.ratios import NOT_COUNTED, RatioRule, e425_group, fault_side, ratio_rules, rfc6076_group

from .delays import percentile_ms

By = Literal["pbx", "trunk", "direction", "code", "class", "endpoint", "country", "prefix"]
Key = tuple[str, ...]
Name = TypeVar("Name", int, str)
Named = TypeVar("Named", bound=Hashable)

MIN_COUNT = 30
"""Below so many in the denominator a ratio says nothing: its interval is some 35 points wide."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_Z = 1.959963984540054  # 95 % of a normal distribution lie within so many standard deviations


class Total(Protocol):
    """A count, as a store gives it: an unknown SIP code is 0, an absent trunk or direction is empty."""

    @property
    def total(self) -> int: ...  # noqa: D102  told in stores.base.Total
    @property
    def talk_ms(self) -> int: ...  # noqa: D102  told in stores.base.Total
    @property
    def minute(self) -> datetime | None: ...  # noqa: D102  told in stores.base.Total
    @property
    def hour(self) -> datetime | None: ...  # noqa: D102  told in stores.base.Total
    @property
    def pbx(self) -> str | None: ...  # noqa: D102  told in stores.base.Total
    @property
    def direction(self) -> str | None: ...  # noqa: D102  told in stores.base.Total
    @property
    def trunk(self) -> str | None: ...  # noqa: D102  told in stores.base.Total
    @property
    def outcome(self) -> str | None: ...  # noqa: D102  told in stores.base.Total
    @property
    def disposition(self) -> str | None: ...  # noqa: D102  told in stores.base.Total
    @property
    def sip_code(self) -> int | None: ...  # noqa: D102  told in stores.base.Total
    @property
    def pdd(self) -> int | None: ...  # noqa: D102  told in stores.base.Total
    @property
    def endpoint(self) -> str | None: ...  # noqa: D102  told in stores.base.Total
    @property
    def country(self) -> str | None: ...  # noqa: D102  told in stores.base.Total
    @property
    def prefix(self) -> str | None: ...  # noqa: D102  told in stores.base.Total


@dataclass(frozen=True, slots=True)
class Ratio:
    """A share, 0 to 1, with all it was computed from.

    ``value``, ``low`` and ``high`` (the 95 % Wilson interval) are None when the denominator is below the least count.
    """

    name: str
    formula: str
    numerator: int
    denominator: int
    value: float | None
    low: float | None
    high: float | None
    reference: str


@dataclass(frozen=True, slots=True)
class Delays:
    """Post-dial delay of the attempts where it is known, in ms; None below the least count."""

    count: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True, slots=True)
class Duration:
    """ACD: the mean time from answer to end of the answered calls, in seconds; None below the least count."""

    count: int
    mean_s: float | None


@dataclass(frozen=True, slots=True)
class Failures:
    """How many attempts failed, told apart in four ways; each way sums up to ``total``.

    An unknown SIP code is 0, and so is its class. The side is the usual one of such a failure: what a rule of the
    configuration says of a trunk is in the records, not in the counts.
    """

    total: int
    by_class: Mapping[int, int]
    by_code: Mapping[int, int]
    by_disposition: Mapping[str, int]
    by_fault: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Group:
    """The numbers of one group. ``key`` has a text for each dimension asked for, ``at`` is the start of its step.

    ``attempts`` are those that count as seizures, ``calls`` those that a trunk decided. ``pdd`` is None when delays
    are not told apart by what was asked for.
    """

    key: Key
    at: datetime | None
    attempts: int
    calls: int
    ratios: tuple[Ratio, ...]
    pdd: Delays | None
    acd: Duration
    failures: Failures

    def ratio(self, name: str) -> Ratio:
        """Return a ratio by name. Raises KeyError."""
        for ratio in self.ratios:
            if ratio.name == name:
                return ratio
        raise KeyError(name)


@dataclass(frozen=True, slots=True)
class Counts:
    """What the numbers are computed from. What took no trunk has an empty one, and is passed over, or is not there.

    ``attempts`` need disposition and sip_code, ``calls`` outcome, ``delays`` pdd. ``delays`` is None when delays are
    not told apart by what is asked for.
    """

    attempts: Iterable[Total]
    calls: Iterable[Total]
    delays: Iterable[Total] | None = None


@dataclass(slots=True)
class _Sums:
    groups: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    failed: Counter[tuple[int, str]] = field(default_factory=Counter)
    pdd: Counter[int] = field(default_factory=Counter)
    talk_ms: int = 0


def wilson(numerator: int, denominator: int) -> tuple[float, float]:
    """Return the bounds of the 95 % score interval of a share (E. B. Wilson, 1927).

    Raises ValueError unless 0 <= numerator <= denominator and 0 < denominator.
    """
    if not 0 <= numerator <= denominator or denominator == 0:
        raise ValueError(f"{numerator} of {denominator} is no share")
    share, square = numerator / denominator, _Z * _Z / denominator
    centre = share + square / 2
    spread = _Z * sqrt((share * (1 - share) + square / 4) / denominator)
    low, high = (centre - spread) / (1 + square), (centre + spread) / (1 + square)
    return min(share, max(0.0, low)), max(share, min(1.0, high))  # rounding never puts a share beside its interval


def ratio(rule: RatioRule, counts: Mapping[str, int], least: int = MIN_COUNT) -> Ratio:
    """Return a ratio over the counts of each group of its grouping."""
    numerator = sum(counts.get(group, 0) for group in rule.numerator)
    denominator = sum(counts.get(group, 0) for group in rule.denominator)
    value = low = high = None
    if denominator >= max(1, least):
        value = numerator / denominator
        low, high = wilson(numerator, denominator)
    return Ratio(rule.name, rule.formula, numerator, denominator, value, low, high, rule.reference)


def delays(counts: Mapping[int, int], least: int = MIN_COUNT) -> Delays:
    """Return the percentiles of delays counted in the buckets of `calls.delays`."""
    count = sum(counts.values())
    if count < max(1, least):
        return Delays(count, None, None, None)
    return Delays(count, *(percentile_ms(counts, share) for share in (0.5, 0.95, 0.99)))


_TEXTS: Mapping[By, Callable[[Total], str]] = {
    "pbx": lambda total: total.pbx or "",
    "trunk": lambda total: total.trunk or "",
    "direction": lambda total: total.direction or "",
    "code": lambda total: str(total.sip_code or ""),
    "class": lambda total: str((total.sip_code or 0) // 100 or ""),
    "endpoint": lambda total: total.endpoint or "",
    "country": lambda total: total.country or "",
    "prefix": lambda total: total.prefix or "",
}
"""What a count says of each dimension; empty is unknown."""


def kpis(
    counts: Counts,
    by: tuple[By, ...] = (),
    step: timedelta | None = None,
    least: int = MIN_COUNT,
    since: datetime = _EPOCH,
) -> list[Group]:
    """Return the numbers of each group in the order of its key, of each ``step`` apart when there is one.

    Steps begin at ``since``. Without ``by`` and ``step`` there is exactly one group, also when nothing was counted.
    """
    sums: defaultdict[tuple[Key, datetime | None], _Sums] = defaultdict(_Sums)
    if not by and step is None:
        sums[(), None] = _Sums()

    texts = tuple(_TEXTS[name] for name in by)

    def of(total: Total) -> _Sums:
        return sums[tuple(text(total) for text in texts), _step(total, step, since)]

    for total in counts.attempts:
        if total.trunk != "":
            _add_attempts(of(total), total)
    for total in counts.calls:
        if total.trunk != "":
            kept = of(total)
            kept.groups["outcome"][total.outcome or ""] += total.total
            kept.talk_ms += total.talk_ms
    for total in counts.delays or ():
        if total.trunk != "" and total.pdd is not None:
            of(total).pdd[total.pdd] += total.total
    order = sorted(sums, key=lambda at: (at[1] or _EPOCH, at[0]))
    return [_group(*at, sums[at], least, timed=counts.delays is not None) for at in order]


def one_ratio(
    name: str, attempts: Iterable[Total], key: Callable[[Total], Named], least: int = MIN_COUNT
) -> dict[Named, Ratio]:
    """Return one ratio of the attempts under each key: a tenth of the work of `kpis`, for lines of many points."""
    rule = next(rule for rule in ratio_rules() if rule.name == name)
    counts: defaultdict[Named, Counter[str]] = defaultdict(Counter)
    for total in attempts:
        if total.trunk != "":
            e425, rfc6076, _ = _kinds(total.sip_code or None, total.disposition or "unknown")
            counts[key(total)][e425 if rule.grouping == "e425" else rfc6076] += total.total
    return {each: ratio(rule, groups, least) for each, groups in counts.items()}


def _add_attempts(sums: _Sums, total: Total) -> None:
    code, name = total.sip_code or None, total.disposition or "unknown"
    e425, rfc6076, failed = _kinds(code, name)
    sums.groups["e425"][e425] += total.total
    sums.groups["rfc6076"][rfc6076] += total.total
    if failed:
        sums.failed[code or 0, name] += total.total


@lru_cache(1024)
def _kinds(code: int | None, name: str) -> tuple[str, str, bool]:
    """Return the group of E.425, that of RFC 6076, and whether it counts as failed."""
    e425 = e425_group(code, name)
    return e425, rfc6076_group(code, name), e425 != NOT_COUNTED and disposition(name).failed


def _step(total: Total, step: timedelta | None, since: datetime) -> datetime | None:
    at = total.minute or total.hour
    if step is None or at is None:
        return None
    return since + (at - since) // step * step


def _group(key: Key, at: datetime | None, sums: _Sums, least: int, *, timed: bool) -> Group:
    outcomes = sums.groups["outcome"]
    answered = outcomes["answered"] + outcomes["rescued"]
    mean_s = sums.talk_ms / 1000 / answered if answered >= max(1, least) else None
    return Group(
        key=key,
        at=at,
        attempts=sum(count for group, count in sums.groups["e425"].items() if group != NOT_COUNTED),
        calls=outcomes.total(),
        ratios=tuple(ratio(rule, sums.groups[rule.grouping], least) for rule in ratio_rules()),
        pdd=delays(sums.pdd, least) if timed else None,
        acd=Duration(answered, mean_s),
        failures=_failures(sums.failed),
    )


def _failures(failed: Mapping[tuple[int, str], int]) -> Failures:
    by_class: Counter[int] = Counter()
    by_code: Counter[int] = Counter()
    by_disposition: Counter[str] = Counter()
    by_fault: Counter[str] = Counter()
    for (code, name), count in failed.items():
        by_class[code // 100] += count
        by_code[code] += count
        by_disposition[name] += count
        by_fault[fault_side(code or None, name)] += count
    return Failures(by_code.total(), _most(by_class), _most(by_code), _most(by_disposition), _most(by_fault))


def _most(counts: Counter[Name]) -> dict[Name, int]:
    return dict(counts.most_common())
