"""Which Debian mirror this machine uses, read from its own apt configuration. No mirror is built in."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.lab.errors import RootError

ETC = Path("/etc/apt")
OS_RELEASE = Path("/etc/os-release")
ALIASES = ("stable", "oldstable", "testing", "unstable", "sid")


@dataclass(frozen=True, slots=True)
class Entry:
    """One place that apt takes packages from."""

    uri: str
    suite: str
    components: tuple[str, ...]
    signed_by: str = ""


def mirror(etc: Path = ETC, os_release: Path = OS_RELEASE) -> str:
    """Give the URI of the Debian archive; raise RootError when apt knows none.

    The archive is what serves the machine's own suite with the component main under a path that ends in ``debian``;
    one signed with Debian's own keyring comes first. Security and third-party entries do not count.
    """
    codename = re.search(r"(?m)^VERSION_CODENAME=\"?(\w+)", os_release.read_text() if os_release.exists() else "")
    suites = {*ALIASES, *([codename[1]] if codename else [])}
    fits = [
        entry
        for entry in entries(etc)
        if entry.suite in suites
        and "main" in entry.components
        and urlsplit(entry.uri).scheme in ("http", "https", "file")
        and urlsplit(entry.uri).path.rstrip("/").endswith("/debian")
    ]
    fits.sort(key=lambda entry: "debian-archive-keyring" not in entry.signed_by)
    if not fits:
        raise RootError(f"no Debian archive among the apt sources in {etc}: add one, with the component main")
    return fits[0].uri


def entries(etc: Path = ETC) -> Iterator[Entry]:
    """Give every binary package source, from one-line and deb822 files, in apt's order."""
    parts = etc / "sources.list.d"
    for path in (etc / "sources.list", *sorted(parts.glob("*.list")), *sorted(parts.glob("*.sources"))):
        if path.is_file():
            text = path.read_text(errors="replace")
            yield from _deb822(text) if path.suffix == ".sources" else _one_line(text)


def http_proxy() -> dict[str, str]:
    """Give the environment that makes a download go the way apt goes."""
    if "http_proxy" in os.environ:
        return {}
    proxy = re.search(r'(?m)^Acquire::http::Proxy "([^"]+)"', _dump())
    return {"http_proxy": proxy[1]} if proxy and proxy[1] != "DIRECT" else {}


def settings() -> str:
    """Give what this machine's apt is told of archives: the way to them, and whether they may be old."""
    told = r"(?mi)^Acquire::(?:Check-Valid-Until|Check-Date|https?::Proxy) \".+\";$"
    return "".join(f"{line}\n" for line in re.findall(told, _dump()))


def _dump() -> str:
    if shutil.which("apt-config") is None:
        return ""
    return subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=False).stdout


def _one_line(text: str) -> Iterator[Entry]:
    for line in text.splitlines():
        found = re.match(r"\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+([^#]*)", line)
        if found:
            options, uri, suite, components = found.groups()
            signed_by = re.search(r"signed-by=(\S+)", options or "")
            yield Entry(uri, suite, tuple(components.split()), signed_by[1] if signed_by else "")


def _deb822(text: str) -> Iterator[Entry]:
    for stanza in re.split(r"\n\s*\n", text):
        fields: dict[str, str] = {}
        key = ""
        for line in stanza.splitlines():
            if line.startswith("#"):
                continue
            if line[:1].isspace():
                fields[key] = f"{fields.get(key, '')} {line.strip()}"
            else:
                key, _, value = line.partition(":")
                key = key.strip().lower()
                fields[key] = value.strip()
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() in ("no", "false"):
            continue
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                components = tuple(fields.get("components", "").split())
                yield Entry(uri, suite, components, fields.get("signed-by", ""))
