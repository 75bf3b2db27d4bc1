"""The style sheet: what is written can be read, in light and dark (WCAG 2.2, success criteria 1.4.3 and 1.4.11)."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import pytest

from asterisk_sip import web

FOLDER = Path(web.__file__).parent
CSS = (FOLDER / "static" / "app.css").read_text(encoding="utf-8")
COLOURS = dict(re.findall(r"--([\w-]+): light-dark\((#\w+, #\w+)\);", CSS))
TEXT, GRAPHIC = 4.5, 3.0
CLASSES = [f"c{digit}" for digit in range(7)]
THEMES = pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])

Colour = tuple[float, float, float]


def colour(name: str, theme: int) -> Colour:
    digits = COLOURS[name].split(", ")[theme].lstrip("#")
    red, green, blue = (int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4))
    return red, green, blue


def mixed(over: Colour, share: float, under: Colour) -> Colour:
    red, green, blue = (share * top + (1 - share) * below for top, below in zip(over, under, strict=True))
    return red, green, blue


def luminance(shown: Colour) -> float:
    parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in shown]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), parts, strict=True))


def contrast(one: Colour, other: Colour) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast((0, 0, 0), (1, 1, 1)) == pytest.approx(21)
    assert contrast((0x77 / 255,) * 3, (1, 1, 1)) == pytest.approx(4.48, abs=0.01)


@THEMES
@pytest.mark.parametrize("ground", ["page", "panel", "raised"])
@pytest.mark.parametrize("name", ["ink", "soft", "accent", "good", "bad", "warn", *CLASSES])
def test_text_stands_out_from_what_it_is_written_on(name: str, ground: str, theme: int) -> None:
    assert contrast(colour(name, theme), colour(ground, theme)) >= TEXT


@THEMES
@pytest.mark.parametrize(
    ("name", "ground"),
    [
        ("warn", "warn-wash"),
        ("bad", "bad-wash"),
        ("accent", "accent-wash"),
        ("ink", "accent-wash"),
        ("soft", "accent-wash"),
        ("panel", "accent"),
    ],
)
def test_text_on_a_tint_stands_out_too(name: str, ground: str, theme: int) -> None:
    assert contrast(colour(name, theme), colour(ground, theme)) >= TEXT


@THEMES
def test_a_number_in_the_heat_map_can_be_read_however_hot_it_is(theme: int) -> None:
    shares = [int(share) / 100 for share in re.findall(r"\.heat \.h\d .*?var\(--k\) (\d+)%", CSS)]
    assert len(shares) == 5
    for share, name in product(shares, CLASSES):
        ground = mixed(colour(name, theme), share, colour("panel", theme))
        assert contrast(colour("ink", theme), ground) >= TEXT, (share, name)


@THEMES
@pytest.mark.parametrize("name", [*CLASSES, "accent"])
def test_bars_and_lines_stand_out_from_their_panel(name: str, theme: int) -> None:
    assert contrast(colour(name, theme), colour("panel", theme)) >= GRAPHIC


def test_every_colour_is_one_of_the_variables() -> None:
    rules = CSS.partition("}")[2]
    assert not re.findall(r"#[0-9a-f]{3,8}\b|rgba?\(", rules)


def test_every_variable_that_is_used_is_there() -> None:
    assert set(re.findall(r"var\(--([\w-]+)\)", CSS)) <= COLOURS.keys() | {"k"}


@pytest.mark.parametrize("path", sorted((FOLDER / "templates").iterdir()), ids=lambda path: path.name)
def test_no_template_has_style_or_script_within(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"\sstyle=|\son\w+=|<style|<script(?! src=)|\|\s*safe\b|autoescape", text)
