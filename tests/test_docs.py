"""What the pages say can be done: commands parse, examples load, links lead somewhere, keys exist."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from asterisk_sip.cli import VERBS, app
from asterisk_sip.config import Config, load

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")})
README = (ROOT / "README.md").read_text(encoding="utf-8")
PBX = '[[pbx]]\nname = "pbx1"\n'

_BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^)#\s]*)(?:#([\w-]+))?\)")
_COMMAND = re.compile(r"^\s*(?:\.venv/bin/)?asterisk-sip (?!journal \d)(.+)$", re.MULTILINE)
_TABLE = re.compile(r"\[{1,2}([a-z]+(?:\.[a-z]+)*)\]{1,2}(?: (\w+))?(?: = .*)?")


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(path: Path, *languages: str) -> Iterator[str]:
    for _, language, text in _BLOCK.findall(path.read_text(encoding="utf-8")):
        if language in languages:
            yield text


def spans(path: Path) -> list[str]:
    """The code within the running text of a page."""
    return _SPAN.findall(_BLOCK.sub("", path.read_text(encoding="utf-8")))


def commands() -> Iterator[tuple[str, str]]:
    """Each command line with something behind the verb, and the file that tells it."""
    for path in PAGES:
        text = path.read_text(encoding="utf-8").replace("\\\n", " ")
        running = (f"\n{span}" for span in spans(path))
        for command in _COMMAND.findall("".join([*(f"{line}\n" for line in code_lines(text)), *running])):
            yield named(path), command
    for path in (ROOT / "configs").rglob("*.*"):
        for command in re.findall(r"^[#;].*?\basterisk-sip ([a-z-]+ --.*)$", path.read_text(), re.MULTILINE):
            yield named(path), command
    for verb, options in re.findall(r"^\| `asterisk-sip (\S+)` \|.*?`(--\w[^`]* [^`]*)`", README, re.MULTILINE):
        yield "README.md", f"{verb} {options}"


def code_lines(text: str) -> Iterator[str]:
    """The lines of blocks of code, fenced or indented."""
    for _, _, block in _BLOCK.findall(text):
        yield from block.splitlines()
    yield from re.findall(r"^    (\S.*)$", _BLOCK.sub("", text), re.MULTILINE)


def examples() -> Iterator[tuple[str, str]]:
    """Each piece of a configuration, and the page that shows it."""
    for path in PAGES:
        for block in blocks(path, "toml"):
            if "[project]" not in block:
                yield named(path), block


@pytest.mark.parametrize(("page", "command"), sorted(set(commands())))
def test_a_command_line_can_be_parsed(page: str, command: str) -> None:
    words = shlex.split(command, comments=True)
    assert words[0] in {*VERBS, "--version"}, page
    if words[1:]:
        app.parse_args(words, print_error=False, exit_on_error=False)


@pytest.mark.parametrize(("page", "text"), list(examples()))
def test_an_example_loads_as_a_part_of_a_configuration(page: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / "asterisk-sip.toml"
    (tmp_path / "alerts").symlink_to(ROOT / "configs" / "alerts")
    alone = "[[pbx]]" in text or "[collector]" in text
    path.write_text(text if alone else PBX + text)
    assert load(path, {}, secrets=False), page


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_a_block_of_configuration_says_that_it_is_toml(path: Path) -> None:
    for block in blocks(path, ""):
        assert not re.search(r"^\[+\w[\w.]*\]+$", block, re.MULTILINE), block


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_a_link_leads_somewhere(path: Path) -> None:
    for target, anchor in _LINK.findall(_BLOCK.sub("", path.read_text(encoding="utf-8"))):
        if "://" in target:
            continue
        there = (path.parent / target).resolve() if target else path
        assert there.exists(), target
        if anchor:
            text = there.read_text(encoding="utf-8")
            headings = {
                re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-")
                for title in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
            }
            assert anchor in headings or f'id="{anchor}"' in text, f"{target}#{anchor}"


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_what_a_page_shows_as_html_is_there(path: Path) -> None:
    for target in re.findall(r'\b(?:src|srcset|href)="([^"]+)"', _BLOCK.sub("", path.read_text(encoding="utf-8"))):
        assert "://" in target or (path.parent / target).exists(), target


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_a_file_that_is_named_is_there(path: Path) -> None:
    for span in spans(path):
        if re.fullmatch(r"(configs|docs|scripts|tests)/[\w./-]+\w", span):
            assert (ROOT / span).exists(), span


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_a_key_that_is_named_exists(path: Path) -> None:
    keys = {key.replace("[]", "") for key in Config.example_keys()}
    tables = {".".join(key.split(".")[:depth]) for key in keys for depth in range(1, key.count(".") + 1)}
    for span in spans(path):
        found = _TABLE.fullmatch(span)
        if found is None or found[1] in OF_ASTERISK:
            continue
        assert found[1] in tables, span
        if found[2]:
            assert f"{found[1]}.{found[2]}" in keys, span


OF_ASTERISK = {"general", "globals", "manager"}
"""Sections of Asterisk's own files."""


def test_every_verb_is_in_the_table_of_the_readme_once() -> None:
    assert sorted(re.findall(r"^\| `asterisk-sip (\S+)` \|", README, re.MULTILINE)) == sorted(VERBS)


def test_every_snippet_for_asterisk_is_told_of() -> None:
    told = "".join(path.read_text(encoding="utf-8") for path in PAGES)
    for path in (ROOT / "configs" / "asterisk").iterdir():
        assert f"configs/asterisk/{path.name}" in told, path.name


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, new = set(), {ROOT / "README.md"}
    while new:
        page = new.pop()
        reached.add(page)
        for target, _ in _LINK.findall(page.read_text(encoding="utf-8")):
            there = (page.parent / target).resolve()
            if target.endswith(".md") and "://" not in target and there not in reached:
                new.add(there)
    assert {*(ROOT / "docs").glob("*.md")} <= reached


def test_the_line_is_the_same_wherever_it_is_shown() -> None:
    snippet = (ROOT / "configs" / "asterisk" / "manager.conf").read_text(encoding="utf-8")
    [line] = re.findall(r"^channelvars = .*$", snippet, re.MULTILINE)
    told = [path for path in (*PAGES, *(ROOT / "configs").rglob("*.conf")) if "channelvars = EVAL" in path.read_text()]
    assert ROOT / "README.md" in told
    for path in told:
        shown = re.findall(r"^ *(channelvars = EVAL.*)$", path.read_text(), re.MULTILINE)
        assert {*shown} == {line}, named(path)
