"""What the pages show can be typed: shells, programs and Asterisk take it, and what needs no PBX is run."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

from asterisk_sip import cli
from asterisk_sip.config import Config
from tests.test_docs import PAGES, ROOT, blocks, commands, named

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
READS_A_STORE = {"calls", "tail", "gaps", "kpi", "export"}
LONG_WORDS = 9
"""Sentences of fewer words may be said twice."""


def of_kind(*languages: str) -> list[tuple[str, str]]:
    return [(named(path), block) for path in PAGES for block in blocks(path, *languages)]


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_a_block_is_of_a_kind_that_is_looked_at(path: Path) -> None:
    kinds = re.findall(r"^ *```(\w+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert {*kinds} <= {"sh", "toml", "json", "python", "ini", "text"}


@pytest.mark.parametrize(("page", "text"), of_kind("sh"))
def test_a_shell_can_read_it(page: str, text: str) -> None:
    done = subprocess.run(["bash", "-n"], input=text, text=True, capture_output=True, check=False)
    assert done.returncode == 0, (page, done.stderr)


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_a_target_of_make_that_is_named_is_there(path: Path) -> None:
    for target in re.findall(r"(?:^|`|\n)make ([a-z][a-z-]+)", path.read_text(encoding="utf-8")):
        assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE), target


@pytest.mark.parametrize(("page", "text"), of_kind("python"))
def test_a_program_can_be_compiled(page: str, text: str) -> None:
    compile(text, page, "exec", flags=ast.PyCF_ONLY_AST)


def settings_of_asterisk() -> set[str]:
    """Every line of the files in configs/asterisk, comments switched on, without what is said behind it."""
    found = set()
    for path in (ROOT / "configs" / "asterisk").glob("*.conf"):
        for line in path.read_text(encoding="utf-8").splitlines():
            found |= {re.split(r"\s+;", text)[0].strip() for text in (line, line.lstrip("; "))}
    return found


TRIED_BY_ITSELF = {"docs/freepbx.md", "docs/wazo.md"}
"""Pages whose settings are merged otherwise, and tried on a real Asterisk by tests of their own."""


@pytest.mark.parametrize(("page", "text"), [each for each in of_kind("ini") if each[0] not in TRIED_BY_ITSELF])
def test_a_setting_of_asterisk_is_that_of_the_files_that_were_tried(page: str, text: str) -> None:
    known = settings_of_asterisk()
    for line in filter(None, (re.split(r"\s+;", line)[0].strip() for line in text.splitlines())):
        assert line.startswith(";") or line in known, f"{page}: {line}"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store that `make run` fills."""
    path = tmp_path_factory.mktemp("demo") / "demo.db"
    recording, config = ROOT / "asterisk_sip" / "data" / "demo.ami.gz", ROOT / "configs" / "demo.toml"
    assert cli.main(["replay", str(recording), "--config", str(config), "--store", str(path)]) == 0
    return path


def runnable() -> list[str]:
    """The commands that need no PBX and no configuration but a store."""
    verbs = READS_A_STORE | {"explain"}
    return sorted({line for _, line in commands() if line.split()[0] in verbs and line.split()[1:]})


@pytest.mark.parametrize("line", runnable())
def test_a_command_that_needs_no_pbx_runs(
    line: str, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = shlex.split(line, comments=True)
    for option in ("--store", "--config"):
        while option in words:
            del words[words.index(option) : words.index(option) + 2]
    if words[0] in READS_A_STORE:
        words += ["--store", str(store)]
    if words[0] == "tail":
        words.append("--no-follow")
    if words[0] == "export" and "--out" not in words:
        words += ["--out", "calls.csv"]
    if "parquet" in words:
        pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
    monkeypatch.chdir(tmp_path)
    assert cli.main(words) == 0, capsys.readouterr().err


def sentences(path: Path) -> set[str]:
    """The long sentences of the running text of a page: no code, no tables, links by their words."""
    text = re.sub(r"^( *)```.*?^\1```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"\]\([^)]*\)|[\[*>]", "", text)
    found = set()
    for paragraph in re.split(r"\n\s*\n|\n(?=[-#|\d])", text):
        if not paragraph.lstrip().startswith(("|", "#")):
            found |= {" ".join(each.split()).lstrip("- ") for each in re.split(r"(?<=[.:;])\s", paragraph)}
    return {each for each in found if len(each.split()) >= LONG_WORDS}


def test_no_sentence_is_written_twice() -> None:
    where = defaultdict(list)
    for path in PAGES:
        if path.name != "sip-codes.md":
            for sentence in sentences(path):
                where[sentence].append(named(path))
    assert {sentence: pages for sentence, pages in where.items() if len(pages) > 1} == {}


def test_every_table_of_the_configuration_is_told_of_on_a_page() -> None:
    told = "".join(path.read_text(encoding="utf-8") for path in PAGES)
    tables = {".".join(key.replace("[]", "").split(".")[:-1]) for key in Config.example_keys()} - {""}
    assert [table for table in sorted(tables) if f"[{table}" not in told] == []
