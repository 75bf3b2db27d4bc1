"""The house keeps its order: who may import whom, what stays free of I/O, how long a module may get."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "asterisk_sip"
MODULES = sorted(PACKAGE.rglob("*.py"))

Check = Callable[[Path], None]


def over(paths: list[Path]) -> Callable[[Check], Callable[[], None]]:
    """Make one test of a check: it holds for each module, or names all for which it does not."""

    def test_of(check: Check) -> Callable[[], None]:
        def test() -> None:
            faults = {}
            for path in paths:
                try:
                    check(path)
                except AssertionError as fault:
                    faults[str(path.relative_to(PACKAGE))] = str(fault).partition("\n")[0]
            assert faults == {}

        return test

    return test_of


EACH = over(MODULES)

LONGEST = 350
MAY_BE_LONGER: dict[str, str] = {}
"""Modules that may be longer, each with its reason."""

BELOW = {"errors", "retry", "health", "metrics", "nats", "calls", "catalog"}
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "retry": set(),
    "nats": {"errors"},
    "health": set(),
    "metrics": {"calls", "health"},
    "password": set(),
    "config": {"errors", "password", "calls", "catalog", "alerts"},
    "catalog": set(),
    "calls": {"catalog"},
    "alerts": BELOW | {"stores", "sinks"},
    "sources": BELOW,
    "stores": BELOW,
    "sinks": BELOW | {"stores"},
    "desk": BELOW | {"stores"},
    "pipeline": BELOW | {"desk", "stores", "sinks", "alerts"},
    "web": BELOW | {"render", "stores", "alerts", "password"},
    "privacy": BELOW | {"config"},
    "check": BELOW | {"sources", "config"},
    "demo": BELOW | {"sources", "config"},
    "render": BELOW | {"check", "stores", "alerts"},
    "support": BELOW | {"config", "sources", "stores"},
    "daemon": BELOW
    | {"config", "sources", "desk", "pipeline", "stores", "sinks", "alerts", "web", "privacy", "password"},
    "cli": BELOW
    | {
        "config",
        "password",
        "privacy",
        "sources",
        "pipeline",
        "stores",
        "sinks",
        "alerts",
        "check",
        "demo",
        "render",
        "support",
        "daemon",
    },
    "__main__": {"cli"},
}
"""Which rooms a room may import, beside itself. A room is a folder, or modules of one first name (``cli_read``)."""

IMPURE = {
    *("asyncio", "concurrent", "multiprocessing", "selectors", "signal", "socket", "ssl", "subprocess", "threading"),
    *("http", "logging", "os", "random", "secrets", "shutil", "tempfile", "time", "urllib", "uuid", "warnings"),
}
"""Parts of the standard library that do I/O, keep time, roll dice or log."""


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def room_of(module: str) -> str:
    """``asterisk_sip.cli_read`` -> ``cli``; ``asterisk_sip.sources.ami`` -> ``sources``; nothing for the package."""
    name = module.removeprefix("asterisk_sip").lstrip(".").partition(".")[0]
    return name if name.startswith("_") else name.partition("_")[0]


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path) -> Iterator[str]:
    """The full names of the modules and members that a module imports, wherever in it."""
    package = module_of(path).split(".")
    if path.name != "__init__.py":
        package.pop()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def is_ours(name: str) -> bool:
    return name.partition(".")[0] == "asterisk_sip"


def is_pure(path: Path) -> bool:
    """Whether a module is one of those that take what they need as arguments: no I/O, no clock, no log."""
    room = room_of(module_of(path))
    if room == "alerts":
        return path.stem.partition("_")[0] in ("model", "rules", "engine", "notice")
    return room in ("calls", "catalog") or path.stem.endswith("_wire")


PURE = over([path for path in MODULES if is_pure(path)])


def calls_in(path: Path) -> Iterator[ast.expr]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Call):
            yield node.func


@EACH
def test_imports_run_one_way(path: Path) -> None:
    room = room_of(module_of(path))
    wanted = {room_of(name) for name in imports_of(path) if is_ours(name)} - {room, "", "__version__"}
    assert wanted <= MAY_IMPORT.get(room, set()), f"{room} imports {', '.join(sorted(wanted))}"


def test_every_room_has_its_place() -> None:
    assert {room_of(module_of(path)) for path in MODULES} - {""} <= MAY_IMPORT.keys()


def test_no_room_imports_one_that_imports_it() -> None:
    def reached(room: str) -> set[str]:
        return MAY_IMPORT[room].union(*(reached(other) for other in MAY_IMPORT[room]))

    assert not [room for room in MAY_IMPORT if room in reached(room)]


@PURE
def test_the_core_and_the_wires_know_only_the_standard_library_and_each_other(path: Path) -> None:
    for name in imports_of(path):
        if is_ours(name):
            known = name.startswith(
                tuple(f"asterisk_sip.alerts.{part}" for part in ("model", "rules", "engine", "notice"))
            )
            assert known or room_of(name) in ("", "calls", "catalog") or "_wire" in name, name
        else:
            assert name.partition(".")[0] in sys.stdlib_module_names - IMPURE, name


@PURE
def test_the_core_and_the_wires_ask_no_clock_and_open_no_file(path: Path) -> None:
    for called in calls_in(path):
        if isinstance(called, ast.Name):
            assert called.id not in ("open", "input", "print")
        elif isinstance(called, ast.Attribute):
            assert called.attr not in ("now", "utcnow", "today"), f"line {called.lineno}"


@EACH
def test_only_the_command_line_prints(path: Path) -> None:
    if room_of(module_of(path)) != "cli":
        assert not [called.lineno for called in calls_in(path) if isinstance(called, ast.Name) and called.id == "print"]


@EACH
def test_no_module_is_too_long(path: Path) -> None:
    name = str(path.relative_to(PACKAGE))
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST or name in MAY_BE_LONGER


def test_no_module_is_excused_without_need() -> None:
    long = {
        str(path.relative_to(PACKAGE))
        for path in MODULES
        if len(path.read_text(encoding="utf-8").splitlines()) > LONGEST
    }
    assert MAY_BE_LONGER.keys() <= long


@EACH
def test_no_module_is_a_drawer(path: Path) -> None:
    assert path.stem not in ("utils", "util", "helpers", "helper", "common", "misc")
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ClassDef):
            assert not node.name.endswith(("Helper", "Service", "Impl")), node.name
