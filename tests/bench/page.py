"""The pages of docs/ with figures: each benchmark writes its own there, between its marks."""

from __future__ import annotations

from pathlib import Path

PAGES = Path(__file__).parents[2] / "docs"
END = "<!-- end of figures -->"


def put(name: str, figures: str) -> None:
    """Replace the figures of one benchmark on its page, and leave all else as it is. ValueError without the marks."""
    begin = f"<!-- figures of {name} -->"
    for page in sorted(PAGES.glob("*.md")):
        before, mark, rest = page.read_text().partition(begin)
        _, end, after = rest.partition(END)
        if mark and end:
            page.write_text(f"{before}{begin}\n{figures.strip()}\n{END}{after}")
            return
    raise ValueError(f"no page has a place for the figures of {name}")
