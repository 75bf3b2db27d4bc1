"""Rules of alerts as types: what may be set for each kind, in which range, and the `Rule` that comes of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, time
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import Field, Strict, ValidationInfo, field_validator

from asterisk_sip.alerts.model import Filter, Kind, QuietHours, Rule, Severity, Value
from asterisk_sip.alerts.rules_fields import NUMBERS, RESULTS, canonical, known
from asterisk_sip.catalog.ratios import ratio_rules
from asterisk_sip.config_types import Line, Name, Section

Names = Annotated[tuple[Line, ...], Strict(strict=False)]
Number = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
Filters = Annotated[dict[str, Any], Field(default={}, validate_default=True)]

_TROUBLES = {"gap": ("pbx", "source", "blind", "reason"), "sink": ("sink", "reason")}
_GROUPS = {"gap": ("pbx", "source"), "sink": ("sink",), "new_code": ("trunk",)}
_SHARES = ("share", "ratio")
_NO_RESULTS = ("ratio", "pdd", "consecutive", "silence")
_NEEDS_THRESHOLD = ("count", "rate", "share", "ratio", "pdd", "consecutive", "burst")
_THRESHOLDS = {"new_code": 1.0, "silence": 0.0, "hook": 1.0}
_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")
_NOT = "not."
_DAY_S = 86_400


class AlertingConfig(Section):
    """Where more rules stand: files beside this one, each with ``[[alerts]]`` and nothing else."""

    include: Annotated[tuple[Line, ...] | None, Strict(strict=False)] = None


class AlertConfig(Section):
    """One rule. What it needs depends on its kind; the order of the fields is that in which they are looked at."""

    name: Name
    kind: Literal[
        "count",
        "rate",
        "share",
        "ratio",
        "pdd",
        "consecutive",
        "new_code",
        "burst",
        "silence",
        "gap",
        "sink",
        "hook",
    ]
    enabled: bool = True
    ratio: Annotated[Line | None, Field(validate_default=True)] = None
    counted: Literal["calls", "attempts"] | None = None
    filter: Filters
    of: Filters
    group_by: Names | None = None
    threshold: Annotated[Number | None, Field(validate_default=True)] = None
    clear: Number | None = None
    percentile: float = Field(0.95, gt=0, lt=1)
    window_s: int = Field(300, ge=1, le=_DAY_S)
    min_samples: int | None = Field(None, ge=1, le=1_000_000)
    for_s: int = Field(0, ge=0, le=_DAY_S)
    weeks: int = Field(4, ge=2, le=8)
    expected: float = Field(5.0, gt=0, le=1e9)
    learn_s: int = Field(_DAY_S, ge=0, le=31_536_000)
    severity: Literal["info", "warning", "critical"] = "warning"
    cooldown_s: int = Field(0, ge=0, le=7 * _DAY_S)
    quiet_hours: Line | None = None
    quiet_zone: Line = "UTC"
    targets: Names = ()
    max_groups: int = Field(10_000, ge=1, le=100_000)
    meaning: Line | None = None
    hint: Line | None = None

    @field_validator("ratio")
    @classmethod
    def _a_ratio(cls, value: str | None, info: ValidationInfo) -> str | None:
        names = [rule.name for rule in ratio_rules()]
        if info.data.get("kind") == "ratio" and value not in names:
            raise ValueError(f"must be one of: {', '.join(names)}")
        return _only(value, info, "ratio")

    @field_validator("counted")
    @classmethod
    def _what_can_be_counted(cls, value: str | None, info: ValidationInfo) -> str | None:
        only = _only_counted(info.data)
        if value is not None and only is not None and value != only:
            raise ValueError(f"must be {only!r} for this kind")
        return value

    @field_validator("filter", "of")
    @classmethod
    def _known_fields(cls, value: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        kind = info.data.get("kind")
        if value and info.field_name == "of" and kind not in ("share", "consecutive"):
            raise ValueError('has no effect without kind = "share" or kind = "consecutive"')
        if not value and info.field_name == "filter" and kind == "share":
            raise ValueError("must name a field: of what the share is")
        flat = _flat(value)
        for field in flat:
            _check_field(field.removeprefix(_NOT), kind)
        return dict(flat)

    @field_validator("group_by")
    @classmethod
    def _groups(cls, value: tuple[str, ...] | None, info: ValidationInfo) -> tuple[str, ...] | None:
        kind = info.data.get("kind")
        for field in value or ():
            _check_field(field, kind)
            if canonical(field) in NUMBERS:
                raise ValueError(f"{field} names a person: alerts would keep it where no purge looks for it")
            if kind in _NO_RESULTS and canonical(field) in RESULTS:
                raise ValueError(f"{field} is known at the end of a call only: this kind cannot be told apart by it")
        if value and len({canonical(field) for field in value}) != len(value):
            raise ValueError("names a field twice")
        return value

    @field_validator("threshold")
    @classmethod
    def _a_threshold(cls, value: float | None, info: ValidationInfo) -> float | None:
        kind = info.data.get("kind")
        if value is None and kind in _NEEDS_THRESHOLD:
            raise ValueError("is required for this kind")
        if value is not None and kind in ("gap", "sink", "hook", "new_code"):
            raise ValueError("has no effect for this kind" + ("; set for_s" if kind in _TROUBLES else ""))
        if kind in _SHARES and value is not None and not 0 < value <= 1:
            raise ValueError("is a share: more than 0, at most 1")
        return value

    @field_validator("clear")
    @classmethod
    def _on_the_safe_side(cls, value: float | None, info: ValidationInfo) -> float | None:
        threshold = info.data.get("threshold")
        if value is None or threshold is None:
            return value
        below = _when(info.data) == "below"
        if (value < threshold) if below else (value > threshold):
            raise ValueError(f"must be at {'least' if below else 'most'} threshold ({threshold:g})")
        return value

    @field_validator("quiet_hours")
    @classmethod
    def _hours(cls, value: str | None) -> str | None:
        match = None if value is None else _HOURS.fullmatch(value)
        if value is not None and (match is None or match[1] + match[2] == match[3] + match[4]):
            raise ValueError('must be two times of a day: "22:00-06:00"')
        return value

    @field_validator("quiet_zone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, OSError, ValueError):
            raise ValueError('must be a time zone such as "Europe/Berlin"') from None
        return value

    def rule(self) -> Rule:
        """Return the rule as the engine takes it."""
        counted = self.counted or _only_counted(self.model_dump()) or "calls"
        threshold = self.threshold if self.threshold is not None else _THRESHOLDS.get(self.kind, float(self.for_s))
        group_by = tuple(canonical(each) for each in self.group_by or _GROUPS.get(self.kind, ()))
        if self.kind == "new_code" and "code" not in group_by:
            group_by = (*group_by, "code")
        return Rule(
            name=self.name,
            kind=Kind(self.kind),
            threshold=threshold,
            clear=threshold if self.clear is None else self.clear,
            when=_when({"kind": self.kind, "ratio": self.ratio}),
            filter=_rule_filter(self.filter) or ({"e425": ("other",)} if self.kind == "consecutive" else {}),
            of=_rule_filter(self.of) or _among(self.kind, counted),
            group_by=group_by,
            counted=counted,
            window_s=self.window_s,
            min_samples=self.min_samples or (30 if self.kind in (*_SHARES, "pdd") else 1),
            for_s=self.for_s,
            ratio=self.ratio,
            percentile=self.percentile,
            weeks=self.weeks,
            expected=self.expected,
            learn_s=self.learn_s,
            severity=Severity(self.severity),
            cooldown_s=self.cooldown_s,
            quiet=self._quiet(),
            targets=self.targets,
            max_groups=self.max_groups,
            meaning=self.meaning,
            hint=self.hint,
        )

    def _quiet(self) -> QuietHours | None:
        match = None if self.quiet_hours is None else _HOURS.fullmatch(self.quiet_hours)
        if match is None:
            return None
        begin, end = time(int(match[1]), int(match[2])), time(int(match[3]), int(match[4]))
        return QuietHours(begin, end, UTC if self.quiet_zone == "UTC" else ZoneInfo(self.quiet_zone))


Alerts = Annotated[tuple[AlertConfig, ...], Strict(strict=False)]
"""All rules: those of the file and those of the files it includes."""


def rules(alerts: tuple[AlertConfig, ...]) -> tuple[Rule, ...]:
    """Return the rules that are enabled."""
    return tuple(alert.rule() for alert in alerts if alert.enabled)


def _only(value: str | None, info: ValidationInfo, kind: str) -> str | None:
    if value is not None and info.data.get("kind") != kind:
        raise ValueError(f'has no effect without kind = "{kind}"')
    return value


def _only_counted(data: Mapping[str, Any]) -> Literal["calls", "attempts"] | None:
    """Return the only thing a kind can count, None when it can be chosen."""
    if data.get("kind") in ("pdd", "consecutive"):
        return "attempts"
    counted = {rule.name: rule.counted for rule in ratio_rules()}.get(data.get("ratio") or "")
    return None if counted is None else ("attempts" if counted == "attempts" else "calls")


def _when(data: Mapping[str, Any]) -> Literal["above", "below"]:
    """Return which side is bad: a ratio is too low, but those of ineffective attempts and of rescued calls too high."""
    return "below" if data.get("kind") == "ratio" and data.get("ratio") not in ("isa", "rescue") else "above"


def _among(kind: str, counted: str) -> Filter:
    """Return among what is counted when the rule does not say: what the far side decided."""
    if kind == "consecutive":
        return {"not.e425": ("not_counted", "cancelled")}
    return {"not.e425": ("not_counted",)} if kind == "share" and counted == "attempts" else {}


def _check_field(field: str, kind: object) -> None:
    troubles = _TROUBLES.get(str(kind))
    if troubles is not None:
        if field not in troubles:
            raise ValueError(f"{field!r} is none of: {', '.join(troubles)}")
    elif not known(field):
        raise ValueError(f"{field!r} is no field of a record; see docs/alerts.md")


def _flat(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return tables in tables as paths: ``sip.code`` may be written with or without quotes."""
    return dict(_leaves(table, ""))


def _leaves(table: Mapping[str, Any], above: str) -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{above}{key}.")
            continue
        values = value if isinstance(value, list) else [value]
        if not values or not all(isinstance(each, str | int) for each in values):
            raise ValueError(f"{above}{key} must be a text, a whole number, true or false, or a list of these")
        yield f"{above}{key}", values


def _rule_filter(table: Mapping[str, list[Value]]) -> Filter:
    return {
        (_NOT if field.startswith(_NOT) else "") + canonical(field.removeprefix(_NOT)): tuple(values)
        for field, values in table.items()
    }
