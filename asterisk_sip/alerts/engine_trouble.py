"""Rules over gaps and sinks: what lasts too long. Pure."""

from __future__ import annotations

import json
import math
from dataclasses import astuple
from typing import Any

from . import engine_told
from .engine_group import Firing
from .engine_heard import Trouble
from .engine_mute import Silences
from .engine_value import Judged
from .engine_work import Wake
from .model import Change, Rule, State, alert_id
from .rules_fields import Json
from .rules_match import Key


class Troubled:
    """A rule over gaps or sinks: fires when one lasts too long, clears when it is over."""

    def __init__(self, rule: Rule, silences: Silences, wake: Wake) -> None:
        self.rule = rule
        self._silences = silences
        self._wake = wake
        self._lasting: dict[Key, dict[str, Trouble]] = {}
        self._firing: dict[Key, Firing] = {}

    def take(self, at: float, call: Json, attempt: Json | None) -> None:
        """Take no record: it is about something else."""

    def hear(self, trouble: Trouble) -> None:
        """Hear of a trouble, or that it is over."""
        if not trouble.fits(self.rule.filter):
            return
        lasting = self._lasting.setdefault(trouble.key(self.rule.group_by), {})
        if lasting.get(trouble.id) == trouble:
            return
        lasting[trouble.id] = trouble
        self._wake(math.ceil(trouble.began + self.rule.for_s))
        if trouble.ended is not None:
            self._wake(math.ceil(trouble.ended))

    def work(self, end: int) -> list[Change]:
        """Judge all groups: there are few."""
        changes = []
        for key in sorted({*self._lasting, *self._firing}):
            changes += self._look(key, end)
        return changes

    def _look(self, key: Key, end: int) -> list[Change]:
        troubles = self._lasting.get(key, {})
        over = [each for each in troubles.values() if each.ended is not None and each.ended <= end]
        for each in over:
            del troubles[each.id]
        if not troubles:
            self._lasting.pop(key, None)
        lasting = [each for each in troubles.values() if each.began <= end]
        firing = self._firing.get(key)
        if firing is not None and end < firing.known_at:
            return []
        if firing is None:
            long = [each for each in lasting if end - each.began >= self.rule.for_s]
            return [self._fired(key, min(long, key=lambda each: each.began), end)] if long else []
        if not lasting:
            del self._firing[key]
            untold = None if firing.told else "its firing was not told"
            return [self._change(State.CLEARED, self._seen(key, firing, over[0] if over else None, end), untold)]
        if not firing.told and self._silences.muted(self.rule, end) is None:
            firing.told = True
            return [self._change(State.FIRED, self._seen(key, firing, lasting[0], end))]
        return []

    def _fired(self, key: Key, trouble: Trouble, end: int) -> Change:
        muted = self._silences.muted(self.rule, end)
        if muted is not None:
            self._wake(max(end + 1, muted.until))
        began = int(trouble.began)
        firing = Firing(alert_id(self.rule.name, self._named(key), began), began, told=muted is None)
        self._firing[key] = firing
        return self._change(State.FIRED, self._seen(key, firing, trouble, end), muted.why if muted else None)

    def _named(self, key: Key) -> dict[str, str]:
        return dict(zip(self.rule.group_by, key, strict=True))

    def _seen(self, key: Key, firing: Firing, trouble: Trouble | None, end: int) -> engine_told.Seen:
        lasted = Judged(float(end - firing.since))
        detail = None if trouble is None else str(trouble.fields.get("reason", ""))
        return engine_told.Seen(firing.alert_id, self._named(key), firing.since, end, lasted, detail=detail)

    def _change(self, state: State, seen: engine_told.Seen, muted: str | None = None) -> Change:
        return engine_told.change(self.rule, state, seen, muted)

    def dump(self) -> str:
        """Return what lasts and what fires, as JSON."""
        known = {
            "lasting": [[each.id, each.began, each.ended, each.fields] for each in self.lasting()],
            "firing": [[key, *astuple(each)] for key, each in self._firing.items()],
        }
        return json.dumps(known)

    def load(self, data: dict[str, Any]) -> None:
        """Take what ``dump`` gave."""
        self._firing = {tuple(key): Firing(*firing) for key, *firing in data["firing"]}
        for each in data["lasting"]:
            self.hear(Trouble(*each))

    def adopt(self, change: Change) -> None:
        """Take up an alert, unless it is known."""
        if set(change.group) == set(self.rule.group_by):
            key = tuple(change.group[name] for name in self.rule.group_by)
            known_at, told = int(change.at.timestamp()), change.muted is None
            self._firing.setdefault(key, Firing(change.alert_id, int(change.since.timestamp()), told, known_at))
            self._wake(known_at + 1)

    def stir(self) -> None:
        """Look again at all: there are few."""
        self._wake(0)

    def lasting(self) -> list[Trouble]:
        """Return what is known to last."""
        return [each for troubles in self._lasting.values() for each in troubles.values()]
