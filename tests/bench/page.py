"""docs/performance.md: each benchmark writes its own figures there, between its marks."""

from __future__ import annotations

from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "performance.md"
END = "<!-- end of figures -->"


def put(name: str, figures: str) -> None:
    """Replace the figures of one benchmark on the page, and leave all else as it is. ValueError without the marks."""
    begin = f"<!-- figures of {name} -->"
    before, mark, rest = PAGE.read_text().partition(begin)
    _, end, after = rest.partition(END)
    if not (mark and end):
        raise ValueError(f"{PAGE.name} has no place for the figures of {name}")
    PAGE.write_text(f"{before}{begin}\n{figures.strip()}\n{END}{after}")
