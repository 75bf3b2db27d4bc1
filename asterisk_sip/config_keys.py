"""Which keys the types of the configuration have: what may be set, where, and of which type it is."""

from __future__ import annotations

import types
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from asterisk_sip.config_types import Derived

Steps = tuple[str, ...]


def key_paths(model: type[BaseModel]) -> tuple[Steps, ...]:
    """The path to every settable value below ``model``; ``[]`` stands for the entries of a list of tables."""
    found: list[Steps] = []
    for name in keys_of(model):
        below, is_list = table_of(model, name)
        if below is None:
            found.append((name,))
        else:
            step = (name, "[]") if is_list else (name,)
            found.extend(step + rest for rest in key_paths(below))
    return tuple(found)


def shown(path: Steps) -> str:
    """``("pbx", "[]", "ami", "port")`` as ``pbx[].ami.port``."""
    return ".".join(path).replace(".[]", "[]")


def value_type(model: type[BaseModel], path: Steps) -> Any:
    """The type of the value at a path that `key_paths` gave; ``int`` for ``int | None``."""
    for key in path[:-1]:
        model = (table_of(model, key)[0] or model) if key != "[]" else model
    return _bare(model.model_fields[path[-1]].annotation)


def keys_of(model: type[BaseModel]) -> tuple[str, ...]:
    """The keys a table of this kind may hold."""
    fields = model.model_fields.items()
    return tuple(name for name, field in fields if not any(isinstance(mark, Derived) for mark in field.metadata))


def table_of(model: type[BaseModel], key: str) -> tuple[type[BaseModel] | None, bool]:
    """The table behind a key and whether it is a list of them; (None, False) for a plain value or an unknown key."""
    field = model.model_fields.get(key)
    kind = _bare(field.annotation) if field else None
    is_list = get_origin(kind) is tuple
    entry = _bare(get_args(kind)[0]) if is_list else kind
    if isinstance(entry, type) and issubclass(entry, BaseModel):
        return entry, is_list
    return None, False


def _bare(annotation: Any) -> Any:
    """The type without what pydantic checks and without ``| None``."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif get_origin(annotation) in (Union, types.UnionType):
            annotation = next(kind for kind in get_args(annotation) if kind is not type(None))
        else:
            return annotation
