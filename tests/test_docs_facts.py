"""What the pages claim of records, grades, numbers and failures is what the program does."""

from __future__ import annotations

import ast
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from asterisk_sip.calls.model import Grade, Outcome
from asterisk_sip.catalog.dispositions import all_dispositions
from asterisk_sip.catalog.ratios import ratio_rules

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
SCHEMA = json.loads((DOCS / "schema" / "call-1.json").read_text(encoding="utf-8"))
PARTS = {
    "caller": "Caller",
    "sip": "SipStatus",
    "evidence": "Evidence",
    "q850": "Q850",
    "fault": "Fault",
    "redress": "Redress",
    "ladder": "LadderLine",
}
"""The parts of a record by the key that holds them."""


def text_of(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def rows(page: str, heading: str) -> list[list[str]]:
    """The cells of the tables below a heading, without their first lines."""
    _, found, below = text_of(page).partition(f"\n## {heading}\n")
    assert found, f"{page}: no {heading}"
    lines = re.split(r"^## ", below, flags=re.MULTILINE)[0].splitlines()
    tables = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    breaks = [number for number, cells in enumerate(tables) if set("".join(cells)) == {"-"}]
    return [cells for number, cells in enumerate(tables) if number not in breaks and number + 1 not in breaks]


def names(cell: str) -> list[str]:
    return re.findall(r"`([\w]+)`", cell)


# docs/record.md


def test_every_key_of_the_record_is_told_once_and_no_other() -> None:
    told = [name for cells in rows("record.md", "The call") for name in names(cells[0])]
    assert sorted(told) == sorted(SCHEMA["properties"])


def test_every_key_of_an_attempt_is_told_once_and_no_other() -> None:
    told = [name for cells in rows("record.md", "The attempt") for name in names(cells[0])]
    assert sorted(told) == sorted(SCHEMA["$defs"]["Attempt"]["properties"])


def test_every_key_of_every_part_is_told() -> None:
    told = {names(cells[0])[0]: names(cells[1]) for cells in rows("record.md", "Its parts")}
    assert told.keys() == PARTS.keys()
    assert {*PARTS.values(), "Attempt", "Finding"} == SCHEMA["$defs"].keys()
    for part, definition in PARTS.items():
        assert set(SCHEMA["$defs"][definition]["properties"]) <= {*told[part]}, part


def test_every_outcome_and_disposition_is_told_with_its_side() -> None:
    assert [names(cells[0])[0] for cells in rows("record.md", "Outcomes")] == [each.value for each in Outcome]
    told = [(names(cells[0])[0], *cells[2:]) for cells in rows("record.md", "Dispositions")]
    known = [(each.name, each.fault, "yes" if each.counts_as_seizure else "no") for each in all_dispositions()]
    assert told == known


def json_blocks() -> list[tuple[str, Any]]:
    pages = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
    return [
        (page.name, json.loads(block))
        for page in pages
        for block in re.findall(r"^```json\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    ]


def fits(value: Any, schema: dict[str, Any], where: str) -> None:
    """Hold a shortened record against the schema: what is there has a name and a kind that the schema knows."""
    if "$ref" in schema:
        schema = SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        if value is None:
            return None
        return fits(value, next(each for each in schema["anyOf"] if each.get("type") != "null"), where)
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "number": float}
    assert isinstance(value, kinds[schema["type"]]), where
    assert value in schema.get("enum", [value]), where
    if isinstance(value, dict):
        for key, inner in value.items():
            assert key in schema["properties"], f"{where}.{key}"
            fits(inner, schema["properties"][key], f"{where}.{key}")
    if isinstance(value, list):
        for item in value:
            fits(item, schema["items"], where)
    return None


@pytest.mark.parametrize(("page", "shown"), json_blocks())
def test_a_record_that_is_shown_fits_the_schema(page: str, shown: Any) -> None:
    record = shown.get("data", shown) if isinstance(shown, dict) else None
    if isinstance(record, dict) and "outcome" in record:
        fits(record, SCHEMA, page)


# docs/grades.md


def test_every_grade_is_told_in_its_order() -> None:
    told = re.findall(r"^\| `(\w+)` \|", text_of("grades.md").partition("## ")[0], re.MULTILINE)
    assert told == [grade.value for grade in Grade]


@pytest.mark.parametrize("cells", rows("grades.md", "One of each"), ids=lambda cells: f"{cells[0]}-{cells[2]}")
def test_an_example_of_a_grade_is_what_a_real_asterisk_told(cells: list[str]) -> None:
    case, _, release, status, grade, source = (cell.strip("`") for cell in cells)
    record = json.loads((ROOT / "tests" / "cases" / case / f"expected-{release}.jsonl").read_text().splitlines()[0])
    sip = record["sip"]
    candidates = f"one of {', '.join(map(str, sip['candidates']))}" if sip["candidates"] else ""
    assert status == (" ".join(filter(None, (str(sip["code"] or ""), sip["phrase"]))) or candidates)
    assert (grade, source) == (record["evidence"]["grade"], record["evidence"]["source"] or "")


def test_there_is_an_example_of_every_grade() -> None:
    assert {cells[4].strip("`") for cells in rows("grades.md", "One of each")} == {grade.value for grade in Grade}


# docs/numbers.md


def test_every_ratio_is_told_with_its_formula_and_its_source() -> None:
    shown = re.findall(r"^\| ([^|]+) \| ([^|]+) \| (\w+) \| ([^|]+) \|$", text_of("numbers.md"), re.MULTILINE)
    told = {name: rest for name, *rest in shown}
    for rule in ratio_rules():
        name = rule.title if rule.name == "rescue" else rule.name.upper()
        assert told[name] == [rule.formula, rule.counted, rule.reference]


def test_every_disposition_has_its_place_in_asr_and_ner() -> None:
    told = {
        name: cells[1].partition(":")[0].replace(" ", "_").removesuffix("_by_the_user")
        for cells in rows("numbers.md", "What is counted")
        for name in names(cells[0])
    }
    for each in all_dispositions():
        group = each.e425 if each.counts_as_seizure else "not_counted"
        assert told.get(each.name, "other") == group.removesuffix("_by_user"), each.name


# docs/failures.md and docs/security.md


def test_what_the_log_is_said_to_say_it_says() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "asterisk_sip").rglob("*.py"))
    cells = [cells[1] for cells in rows("failures.md", "What is seen, told and lost")]
    said = {words for cell in cells for words in re.findall(r"`([^`]+)`", cell) if " " in words}
    assert len(said) > 4
    assert [words for words in said if words not in code] == []


@cache
def defined_in(path: Path) -> set[str]:
    return {
        node.name
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


TOLD_TESTS = sorted(
    {
        (page.name, *found)
        for page in DOCS.glob("*.md")
        for found in re.findall(r"`(test_\w+)\.(test_\w+)`", page.read_text(encoding="utf-8"))
    }
)


@pytest.mark.parametrize(("page", "module", "name"), TOLD_TESTS)
def test_a_test_that_a_page_names_is_there(page: str, module: str, name: str) -> None:
    assert name in defined_in(ROOT / "tests" / f"{module}.py"), page


@pytest.mark.parametrize("cells", rows("failures.md", "What is seen, told and lost"), ids=lambda cells: cells[0])
def test_every_failure_names_a_test_that_shows_it(cells: list[str]) -> None:
    assert re.search(r"`test_\w+\.test_\w+`", cells[-1])
