"""Where the files of ``configs/`` are: in the installed package, or in the checkout the program runs from."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path


def shipped(name: str) -> Path:
    """Return the path of a file of ``configs/``, such as ``asterisk/manager.conf``."""
    packaged = Path(str(files("asterisk_sip"))) / "configs" / name
    return packaged if packaged.exists() else Path(__file__).parent.parent / "configs" / name
