"""One rule at work: which records it counts, and when it has to look at a group again. Pure."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

from asterisk_sip.calls.delays import bucket_of
from asterisk_sip.catalog.ratios import RatioRule, ratio_rules

from .engine_group import Group, Part, dump, load, new_group
from .engine_value import VALUES, Judged
from .engine_window import HOUR_S, Window
from .model import Kind, Rule
from .rules_fields import Json, getter
from .rules_match import Grouping, Key, predicate

MAX_PARTS = 200
"""So many codes, say, are told apart in one group at most: what remote parties say cannot make it grow further."""

_KEY_LENGTH = 255
_encode = json.JSONEncoder(check_circular=False, separators=(",", ":")).encode


class Watch:
    """The groups of one rule, the least recently active ones forgotten when there are too many.

    ``evicted`` counts those. ``due`` holds the groups to look at next, ``calendar`` those to look at later, by second.
    """

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.grouping = Grouping(rule)
        self.value = VALUES[rule.kind]
        self.known_from: float | None = None
        self.evicted = 0
        self.due: dict[Key, None] = {}
        self.calendar: dict[int, dict[Key, None]] = {}
        self.groups: OrderedDict[Key, Group] = OrderedDict()
        self._fits = predicate(rule.filter)
        self._among = predicate(rule.of)
        self._ratio = next((each for each in ratio_rules() if each.name == rule.ratio), None)
        self._add = self._adder()

    def take(self, at: float, call: Json, attempt: Json | None) -> None:
        """Count a call, or an attempt of it, if the rule is about such."""
        if self.known_from is None:
            self.known_from = at
        self._add(at, call, attempt)

    def _adder(self) -> Callable[[float, Json, Json | None], None]:
        kind = self.rule.kind
        if kind is Kind.SHARE:
            return self._add_share
        if kind is Kind.RATIO and self._ratio is not None:
            return self._ratio_adder(self._ratio)
        if kind is Kind.PDD:
            return self._add_delay
        if kind is Kind.CONSECUTIVE:
            return self._add_to_row
        return self._add_new_code if kind is Kind.NEW_CODE else self._add_matching

    def _add_matching(self, at: float, call: Json, attempt: Json | None) -> None:
        if self._fits(call, attempt) and (group := self._group(call, attempt)) is not None:
            part = self._part(group, self.grouping.result(call, attempt))
            if part is not None:
                self._match(part, at, call)
                if group.seasons is not None:
                    group.seasons.add(at, call.get("count", 1))

    def _add_share(self, at: float, call: Json, attempt: Json | None) -> None:
        if not self._among(call, attempt) or (group := self._group(call, attempt)) is None or group.among is None:
            return
        group.among.add(at, call.get("count", 1))
        if self._fits(call, attempt):
            part = self._part(group, self.grouping.result(call, attempt))
            if part is not None:
                self._match(part, at, call)

    def _ratio_adder(self, ratio: RatioRule) -> Callable[[float, Json, Json | None], None]:
        bad_is_in = self.rule.when == "above"  # samples are of what makes the ratio bad
        group_of = getter(ratio.grouping)

        def add(at: float, call: Json, attempt: Json | None) -> None:
            name = group_of(call, attempt)
            if name not in ratio.denominator or not self._fits(call, attempt):
                return
            if not (call if attempt is None else attempt).get("trunk", True):
                return  # a telephone of ours, see calls.kpi
            group = self._group(call, attempt)
            if group is None or group.among is None or (part := self._part(group, ())) is None:
                return
            group.among.add(at)
            counted = name in ratio.numerator
            if counted:
                part.matching.add(at)
            if counted == bad_is_in:
                part.samples.append((at, call["id"]))

        return add

    def _add_delay(self, at: float, call: Json, attempt: Json | None) -> None:
        if attempt is None or attempt["pdd_ms"] is None or not attempt["trunk"] or not self._fits(call, attempt):
            return
        group = self._group(call, attempt)
        if group is not None and group.delays is not None and (part := self._part(group, ())) is not None:
            group.delays.add(at, bucket_of(attempt["pdd_ms"]))
            if attempt["pdd_ms"] >= self.rule.threshold:
                part.samples.append((at, call["id"]))

    def _add_to_row(self, at: float, call: Json, attempt: Json | None) -> None:
        if not self._among(call, attempt) or (group := self._group(call, attempt)) is None:
            return
        part = self._part(group, ())
        if part is not None:
            if self._fits(call, attempt):
                if not part.run and not part.fires_at(at):
                    part.samples.clear()  # those are of another row
                part.run += 1
                part.samples.append((at, call["id"]))
            else:
                part.run = 0

    def _add_new_code(self, at: float, call: Json, attempt: Json | None) -> None:
        if not self._fits(call, attempt) or (group := self._group(call, attempt)) is None:
            return
        result = self.grouping.result(call, attempt)
        if result is None:
            return
        seen = "/".join(result)
        if seen not in group.seen:
            if len(group.seen) < MAX_PARTS:
                group.seen.add(seen)
            if at < (self.known_from or at) + self.rule.learn_s:
                return
        elif result not in group.parts:
            return
        part = self._part(group, result)
        if part is not None:
            self._match(part, at, call)

    def _match(self, part: Part, at: float, call: Json) -> None:
        part.matching.add(at, call.get("count", 1))
        part.samples.append((at, call["id"]))

    def _group(self, call: Json, attempt: Json | None) -> Group | None:
        """Return the group of a record, now the most recently active one, to be looked at next."""
        route = self.grouping.route(call, attempt)
        if route is None:
            return None
        group = self.groups.get(route)
        if group is None:
            route = tuple(text[:_KEY_LENGTH] for text in route)
            group = self.groups.get(route) or self._new(route)
            if group is None:
                return None
        self.groups.move_to_end(group.route)
        self.due[group.route] = None
        return group

    def _new(self, route: Key) -> Group | None:
        if len(self.groups) >= self.rule.max_groups and not self._evict():
            return None
        group = self.groups[route] = new_group(self.rule, route)
        return group

    def _evict(self) -> bool:
        """Forget the least recently active group of which no alert fires; return whether there was one."""
        self.evicted += 1
        for _ in range(len(self.groups)):
            route, group = next(iter(self.groups.items()))
            if not group.firing():
                del self.groups[route]
                self.due.pop(route, None)
                return True
            self.groups.move_to_end(route)
        return False

    def _part(self, group: Group, result: Key | None) -> Part | None:
        if result is None:
            return None
        part = group.parts.get(result)
        if part is None:
            if len(group.parts) >= MAX_PARTS:
                self.evicted += 1
                return None
            result = tuple(text[:_KEY_LENGTH] for text in result)
            part = group.parts.setdefault(result, Part(result, Window(self.rule.window_s)))
        return part

    def adopt(self, route: Key, result: Key) -> Part | None:
        """Return a group that was told of before, whatever is known of it now."""
        group = self.groups.get(route) or self._new(route)
        return None if group is None else self._part(group, result)

    def at_work(self, end: int) -> Iterator[Group]:
        """Give the groups to look at in a second, what is too old forgotten."""
        routes, self.due = self.due, {}
        for at in [at for at in self.calendar if at <= end]:
            routes.update(self.calendar.pop(at))
        for route in sorted(routes) if len(routes) > 1 else routes:
            group = self.groups.get(route)
            if group is not None:
                for counts in (group.among, group.delays):
                    if counts is not None:
                        counts.forget(end)
                for part in group.parts.values():
                    part.matching.forget(end)
                yield group

    def judge(self, group: Group, part: Part, end: int) -> Judged:
        """Return the number to compare."""
        return self.value(self.rule, group, part, end, self.known_from or 0.0)

    def again_at(self, group: Group, part: Part, end: int) -> int | None:
        """Return when the number of a group changes by itself, None when it does not or need not be looked at."""
        if self.rule.kind is Kind.SILENCE:
            next_hour = (end // HOUR_S + 1) * HOUR_S + 1
            return min(part.matching.changes_at() or next_hour, next_hour)
        if part.firing is not None or part.over_since is not None:
            times = [each.changes_at() for each in (part.matching, group.among, group.delays) if each is not None]
            return min((each for each in times if each is not None), default=None)
        if group.among is not None and self._may_pass(group.among.total, part.matching.total):
            return group.among.changes_at()
        if group.delays is not None and group.delays.total > self.rule.min_samples:
            return group.delays.changes_at()
        return None

    def _may_pass(self, among: int, matching: int) -> bool:
        """Return whether a share may pass the threshold by what is forgotten alone: enough of the bad must be there."""
        rule = self.rule
        if rule.when == "below":
            return among - matching > (1 - rule.threshold) * rule.min_samples
        return matching >= rule.threshold * rule.min_samples

    def tidy(self, group: Group, end: int) -> None:
        """Forget what is idle."""
        parts = group.parts
        if len(parts) > 1:
            rested = end - self.rule.cooldown_s
            for result, part in list(parts.items()):
                if part.idle() and (part.cleared_at is None or part.cleared_at <= rested):
                    del parts[result]
        elif not ((group.among and group.among.total) or (group.delays and group.delays.total) or group.seasons):
            self._forget_idle(group, end)

    def _forget_idle(self, group: Group, end: int) -> None:
        rested = end - self.rule.cooldown_s
        parts = group.parts.values()
        if all(part.idle() and (part.cleared_at is None or part.cleared_at <= rested) for part in parts):
            if group.seen:
                group.parts.clear()
            else:
                self.groups.pop(group.route, None)

    def settle(self) -> None:
        """Keep what was learned of the past, and forget what is in the windows."""
        for group in self.groups.values():
            group.parts = {}
            if group.seasons is not None and not self.grouping.result_names:
                self._part(group, ())
        self.due = dict.fromkeys(self.groups)

    def dump(self) -> str:
        """Return what it knows as JSON; group by group, so that a thread that does it leaves others their turn."""
        own = {
            "known_from": self.known_from,
            "calendar": [[at, list(routes)] for at, routes in self.calendar.items()],
            "due": list(self.due),
        }
        groups = ",".join([_encode(dump(group)) for group in self.groups.values()])
        return f'{_encode(own)[:-1]},"groups":[{groups}]}}'

    def load(self, data: dict[str, Any]) -> None:
        """Take what ``dump`` gave. Raises KeyError, TypeError or ValueError when it is none."""
        groups = [load(self.rule, each) for each in data["groups"]]
        self.calendar = {int(at): {tuple(route): None for route in routes} for at, routes in data["calendar"]}
        self.due = {tuple(route): None for route in data["due"]}
        self.known_from = data["known_from"]
        self.groups = OrderedDict((group.route, group) for group in groups)
