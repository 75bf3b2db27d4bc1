"""How this machine reaches an index of Python packages, read from pip's own configuration. No index is built in."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
"""Whom this machine trusts, on Debian."""


def settings() -> dict[str, str]:
    """Give pip's settings that matter wherever it runs, by name: index-url, trusted-host, proxy."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return dict(re.findall(r"^\S+\.(index-url|trusted-host|proxy)='(.*)'$", listed, re.MULTILINE))


def proxies() -> dict[str, str]:
    """Give the variables of the environment that lead through a proxy."""
    return {name: value for name, value in os.environ.items() if name.lower() in ("http_proxy", "https_proxy")}


def uv_environ() -> dict[str, str]:
    """Give what makes uv go the way pip goes; it does not read pip's configuration."""
    told = settings()
    environ = {"UV_DEFAULT_INDEX": told["index-url"]} if "index-url" in told else {}
    environ |= {"UV_INSECURE_HOST": told["trusted-host"]} if "trusted-host" in told else {}
    return environ | ({"SSL_CERT_FILE": str(CERTIFICATES)} if CERTIFICATES.exists() else {})
