"""Filters as predicates, and groups as keys. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from fnmatch import translate

from .model import Filter, Rule, Value
from .rules_fields import RESULTS, Getter, Json, canonical, getter

Predicate = Callable[[Json, Json | None], bool]
Key = tuple[str, ...]

NOT = "not."


def predicate(wanted: Filter) -> Predicate:
    """Return whether a call, or an attempt of it, fits a filter. Raises KeyError for a field that does not exist."""
    tests = [_test(field, values) for field, values in wanted.items()]
    if not tests:
        return lambda _call, _attempt: True
    if len(tests) == 1:
        return tests[0]
    return lambda call, attempt: all(test(call, attempt) for test in tests)


def _test(field: str, values: tuple[Value, ...]) -> Predicate:
    get = getter(field.removeprefix(NOT))
    texts = [value for value in values if isinstance(value, str)]
    exact = frozenset(value for value in values if not isinstance(value, str) or not _is_pattern(value))
    patterns = [translate(text) for text in texts if _is_pattern(text)]
    found: Callable[[Json, Json | None], bool]
    if patterns:
        either = re.compile("|".join(patterns)).match

        def found(call: Json, attempt: Json | None) -> bool:
            value = get(call, attempt)
            return value in exact or (isinstance(value, str) and either(value) is not None)

    else:

        def found(call: Json, attempt: Json | None) -> bool:
            return get(call, attempt) in exact

    if field.startswith(NOT):
        return lambda call, attempt: not found(call, attempt)
    return found


def _is_pattern(text: str) -> bool:
    return "*" in text or "?" in text


class Grouping:
    """Which group of a rule a call or attempt belongs to: ``route`` is known of answered ones too, ``result`` not."""

    def __init__(self, rule: Rule) -> None:
        names = [canonical(field) for field in rule.group_by]
        self.route_names = tuple(name for name in names if name not in RESULTS)
        self.result_names = tuple(name for name in names if name in RESULTS)
        self.route = _key(tuple(getter(name) for name in self.route_names))
        self.result = _key(tuple(getter(name) for name in self.result_names))

    def named(self, route: Key, result: Key) -> dict[str, str]:
        """Return a group as field and value."""
        return dict(zip((*self.route_names, *self.result_names), (*route, *result), strict=True))


def _key(getters: tuple[Getter, ...]) -> Callable[[Json, Json | None], Key | None]:
    """Return how a key is read; it is None when a field is absent: such a record is in no group."""
    if not getters:
        return lambda _call, _attempt: ()
    if len(getters) == 1:
        (get,) = getters

        def single(call: Json, attempt: Json | None) -> Key | None:
            value = get(call, attempt)
            return None if value is None or value == "" else (str(value),)

        return single

    def several(call: Json, attempt: Json | None) -> Key | None:
        values = [get(call, attempt) for get in getters]
        return None if None in values or "" in values else tuple(map(str, values))

    return several
