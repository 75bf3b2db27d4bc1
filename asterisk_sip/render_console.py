"""Where a person reads: the terminal as wide as it is, or a pipe wide enough that no name in a table is cut off."""

from __future__ import annotations

from rich.console import Console

PIPE_WIDTH = 140


def console(pipe_width: int = PIPE_WIDTH) -> Console:
    """Return the console to print to."""
    there = Console(highlight=False)
    return there if there.is_terminal else Console(highlight=False, width=pipe_width)
