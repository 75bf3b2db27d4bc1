"""When each PBX was not heard: what was not seen is no proof that it did not happen. Pure. Seconds since 1970."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .model import Filter
from .rules_match import Key


@dataclass(frozen=True, slots=True)
class Trouble:
    """A gap, or a sink that takes nothing: from ``began`` to ``ended``, None while it lasts.

    ``fields`` are what rules filter and group by: pbx, source, blind, reason of a gap; sink, reason of a sink.
    """

    id: str
    began: float
    ended: float | None
    fields: dict[str, str | bool]

    def fits(self, wanted: Filter) -> bool:
        """Return whether it is one that a rule asks for."""
        return all(
            (self.fields.get(name.removeprefix("not.")) in values) != name.startswith("not.")
            for name, values in wanted.items()
        )

    def key(self, group_by: tuple[str, ...]) -> Key:
        """Return the group it belongs to."""
        return tuple(str(self.fields.get(name, "")) for name in group_by)


class Heard:
    """The blind gaps of the last hours. ``pbxs`` are all there are: a group of none is as complete as their mean."""

    def __init__(self, pbxs: Iterable[str]) -> None:
        self._pbxs = frozenset(pbxs)
        self._gaps: dict[str, Trouble] = {}

    def take(self, gap: Trouble) -> None:
        """Hear of a gap, or that it is over."""
        if gap.fields.get("blind"):
            self._gaps[gap.id] = gap

    def forget(self, before: float) -> None:
        """Forget the gaps that were over before a time."""
        over = [each.id for each in self._gaps.values() if each.ended is not None and each.ended < before]
        for gap_id in over:
            del self._gaps[gap_id]

    def completeness(self, since: float, until: float, pbx: str | None) -> float:
        """Return which share of a time was listened to, 0 to 1."""
        if not self._gaps or until <= since:
            return 1.0
        pbxs = {pbx} if pbx is not None else self._pbxs | {str(gap.fields["pbx"]) for gap in self._gaps.values()}
        missed = sum(self._missed(since, until, each) for each in pbxs)
        return max(0.0, 1.0 - missed / ((until - since) * len(pbxs)))

    def _missed(self, since: float, until: float, pbx: str) -> float:
        missed, reached = 0.0, since
        for gap in sorted(self._gaps.values(), key=lambda gap: gap.began):
            if gap.fields["pbx"] != pbx:
                continue
            began, ended = max(gap.began, reached), min(until if gap.ended is None else gap.ended, until)
            if ended > began:
                missed += ended - began
                reached = ended
        return missed
