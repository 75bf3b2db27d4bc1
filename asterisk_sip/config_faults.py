"""What is wrong with a configuration, in the words of someone who edits a TOML file. Never shows a value."""

from __future__ import annotations

import difflib
import json
import re
from dataclasses import dataclass, field

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from asterisk_sip.config_keys import key_paths, keys_of, shown, table_of
from asterisk_sip.config_model import Config

Loc = tuple[str | int, ...]
Fault = tuple[str, str]


@dataclass
class Findings:
    """What was found in a configuration so far.

    ``origins``: values that are not in the file, by their true name. ``included``: entries of lists that stand in
    another file, as its name and their number there.
    """

    faults: list[Fault] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    origins: dict[Loc, str] = field(default_factory=dict)
    included: dict[Loc, tuple[str, int]] = field(default_factory=dict)

    def name(self, loc: Loc) -> str:
        """Return what an operator calls the value: its variable or file, else its key path."""
        if loc[:2] in self.included and loc not in self.origins:
            file, number = self.included[loc[:2]]
            return f"{file}: {key_path((loc[0], number, *loc[2:]))}"
        return self.origins.get(loc) or key_path(loc)

    def fault(self, loc: Loc, reason: str) -> None:
        """Note that a value is wrong."""
        self.faults.append((self.name(loc), reason))

    def warn(self, loc: Loc, reason: str) -> None:
        """Note that a value works, and what an operator should hear about it."""
        self.warnings.append(f"{self.name(loc)}: {reason}")


REASONS = {
    "bool_type": "must be true or false",
    "finite_number": "must be a finite number",
    "dict_type": "must be a table",
    "float_type": "must be a number",
    "greater_than": "must be more than {gt:.12g}",
    "greater_than_equal": "must be at least {ge:.12g}",
    "int_from_float": "must be a whole number",
    "int_type": "must be a whole number",
    "less_than": "must be less than {lt:.12g}",
    "less_than_equal": "must be at most {le:.12g}",
    "literal_error": "must be {expected}",
    "missing": "is required",
    "model_type": "must be a table",
    "path_type": "must be a path in quotes",
    "string_pattern_mismatch": "must fit {pattern}",
    "string_too_long": "must be at most {max_length} characters long",
    "string_too_short": "must not be empty",
    "string_type": "must be text in quotes",
    "string_unicode": "must be UTF-8 text",
    "tuple_type": "must be a list",
    "value_error": "{error}",
}


def reason_of(detail: ErrorDetails) -> str:
    """What pydantic found, in plain words."""
    loc, kind = detail["loc"], detail["type"]
    if kind == "extra_forbidden":
        return "unknown key" + _suggestion(loc)
    if kind == "tuple_type" and table_of(_table_at(loc[:-1]), str(loc[-1]))[1]:
        return f"is written as a list of tables: [[{key_path(tuple(step for step in loc if isinstance(step, str)))}]]"
    reason = REASONS.get(kind)
    return reason.format(**detail.get("ctx", {})) if reason else detail["msg"]


def key_path(loc: Loc) -> str:
    """``("pbx", 0, "ami")`` as ``pbx[0].ami``; keys that TOML must quote are quoted."""
    path = ""
    for step in loc:
        if isinstance(step, int):
            path += f"[{step}]"
        else:
            bare = re.fullmatch(r"[A-Za-z0-9_-]+", step)
            path += ("." if path else "") + (step if bare else json.dumps(step))
    return path


def _suggestion(loc: Loc) -> str:
    """The key that was probably meant: a like one in the same table, or the same one in another."""
    key = str(loc[-1])
    near = difflib.get_close_matches(key, keys_of(_table_at(loc[:-1])), n=1)
    if near:
        return f"; did you mean {near[0]}?"
    places = [path[: path.index(key) + 1] for path in key_paths(Config) if key in path]
    return f"; did you mean {shown(places[0])}?" if places else ""


def _table_at(loc: Loc) -> type[BaseModel]:
    """The type of the table at a place of the file."""
    model: type[BaseModel] = Config
    for step in loc:
        model = (None if isinstance(step, int) else table_of(model, step)[0]) or model
    return model


def os_reason(error: OSError) -> str:
    """Why a file cannot be read."""
    if isinstance(error, FileNotFoundError):
        return "does not exist"
    if isinstance(error, PermissionError):
        return "may not be read by this user"
    if isinstance(error, IsADirectoryError):
        return "is a folder, not a file"
    return (error.strerror or type(error).__name__).lower()
