"""Tells people why their calls fail: a companion that runs beside Asterisk."""

from typing import Any


def __getattr__(name: str) -> Any:
    """Give ``__version__`` when asked: to look it up takes longer than most of what this program does."""
    if name == "__version__":
        from importlib.metadata import version

        return version("asterisk-sip")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
