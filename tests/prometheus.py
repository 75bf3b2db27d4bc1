"""Debian's Prometheus and its tool, as they are."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest


def needed(name: str) -> str:
    """Return the path of a program of Debian's package ``prometheus``; without it, fail in CI and skip elsewhere."""
    found = shutil.which(name)
    if found is None:
        reason = f"{name} is not there: apt-get install prometheus"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def promtool(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run promtool to its end."""
    command = [needed("promtool"), *arguments]
    return subprocess.run(command, input=given, capture_output=True, text=True, check=False, timeout=60)
