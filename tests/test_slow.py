"""`make check` leaves out what takes long, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

from tests import slow

ROOT = Path(__file__).parent.parent


def test_each_test_that_is_left_out_exists() -> None:
    for name in slow.listed():
        path, *_, function = name.split("::")
        assert re.search(rf"^ *(?:async )?def {function}\(", (ROOT / path).read_text(), re.MULTILINE), name


def test_make_check_runs_all_unit_tests_but_those() -> None:
    assert f'-m "not slow and {slow.UNIT}"' in (ROOT / "Makefile").read_text()


def test_make_test_runs_them_all() -> None:
    (told,) = re.findall(r"^test:.*?^$", (ROOT / "Makefile").read_text(), re.MULTILINE | re.DOTALL)
    assert "pytest" in told
    assert " -m " not in told.replace("python -m", "")


def test_a_test_is_named_without_its_case() -> None:
    assert slow.name_of("tests/test_x.py::Class::test_y[a[0]]") == "tests/test_x.py::Class::test_y"
