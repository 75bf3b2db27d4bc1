"""The operator's own knowledge: rules that say what a status of one trunk really means. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from asterisk_sip.calls.model import Fault, SipStatus


@dataclass(frozen=True, slots=True)
class Case:
    """What a rule looks at: an attempt that failed, after how many ms, and whether it rang (any 18x) before."""

    trunk: str | None
    endpoint: str | None
    code: int | None
    phrase: str | None
    failed_after_ms: int | None
    rang: bool


@dataclass(frozen=True, slots=True)
class Told:
    """What a record says of an attempt beyond the bare facts. ``rule`` names the override that changed it."""

    disposition: str
    sip: SipStatus
    fault: Fault
    hint: str | None
    rule: str | None = None


@dataclass(frozen=True, slots=True)
class Override:
    """One rule. The first group says when it holds (None: whatever it is), the second what it changes (None: nothing).

    ``trunk`` and ``phrase`` are patterns (``*``, ``?``); trunk is compared with the trunk's and the endpoint's name,
    case matters; phrase without regard to case.
    """

    name: str
    trunk: str | None = None
    code: int | None = None
    phrase: str | None = None
    under_ms: int | None = None
    rang: bool | None = None

    meaning: str | None = None
    disposition: str | None = None
    fault: str | None = None
    reason: str | None = None
    hint: str | None = None

    def holds(self, case: Case) -> bool:
        """Return whether the rule is about this case."""
        return (
            (self.trunk is None or any(name and fnmatchcase(name, self.trunk) for name in (case.trunk, case.endpoint)))
            and (self.code is None or self.code == case.code)
            and (self.phrase is None or fnmatchcase((case.phrase or "").lower(), self.phrase.lower()))
            and (self.under_ms is None or (case.failed_after_ms is not None and case.failed_after_ms < self.under_ms))
            and (self.rang is None or self.rang == case.rang)
        )

    def apply(self, told: Told) -> Told:
        """Return what is told once this rule has changed it."""
        fault = told.fault
        if self.fault is not None or self.reason is not None:
            fault = Fault(self.fault or fault.side, self.reason or (fault.reason if self.fault is None else None))
        return Told(
            disposition=self.disposition or told.disposition,
            sip=told.sip if self.meaning is None else replace(told.sip, meaning=self.meaning),
            fault=fault,
            hint=self.hint or told.hint,
            rule=self.name,
        )


def overridden(told: Told, case: Case, overrides: Iterable[Override]) -> Told:
    """Return what is told after the first rule that holds, or as it was when none does."""
    rule = next((override for override in overrides if override.holds(case)), None)
    return told if rule is None else rule.apply(told)
