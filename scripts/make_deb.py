#!/usr/bin/python3
"""Make the Debian package: `make_deb.py` writes dist/asterisk-sip_VERSION_ARCHITECTURE.deb, for this Debian's Python.

It holds the program and all that it needs from PyPI, in the versions of requirements/image.txt, below
/usr/lib/asterisk-sip; nothing is fetched when it is installed. Needs python3-venv and dpkg-dev, not root.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from email.utils import formatdate
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
BUILD = TOP / "build" / "deb"
ROOT = BUILD / "root"
LIBRARY = ROOT / "usr/lib/asterisk-sip"
DOC = ROOT / "usr/share/doc/asterisk-sip"
DEBIAN = TOP / "configs" / "debian"
MAINTAINER = "The asterisk-sip maintainers <maintainers@asterisk-sip.invalid>"

CONTROL = """\
Package: asterisk-sip
Version: {version}
Architecture: {architecture}
Maintainer: {maintainer}
Installed-Size: {size_kb}
Depends: python3 (>= {python}), python3 (<< {next_python}), libc6, ca-certificates
Suggests: asterisk, postgresql
Section: net
Priority: optional
Description: tells why calls fail
 It runs beside Asterisk, listens for hangups, and writes one record for every
 call that failed: the SIP status exactly as the carrier sent it, its class and
 meaning, whose side it was on, and what to do next.
"""


def main() -> None:
    """Make it, and say where it is."""
    shutil.rmtree(BUILD, ignore_errors=True)
    ROOT.mkdir(parents=True)
    install_library()
    install_files()
    version = deb_version(tomllib.loads((TOP / "pyproject.toml").read_text())["project"]["version"])
    write_documents(version)
    place(DEBIAN / "lintian-overrides", "usr/share/lintian/overrides/asterisk-sip")
    architecture = output("dpkg", "--print-architecture")
    write_control(version, architecture)
    made = TOP / "dist" / f"asterisk-sip_{version}_{architecture}.deb"
    made.parent.mkdir(exist_ok=True)
    run("dpkg-deb", "--root-owner-group", "-Zxz", "-z4", "--build", ROOT, made)
    sys.stdout.write(f"{made.relative_to(TOP)}\n")


def install_library() -> None:
    """Install the program and its libraries, as the locks have them."""
    tools = BUILD / "tools"
    run(sys.executable, "-m", "venv", tools)
    pip = (tools / "bin/pip", "--quiet", "--disable-pip-version-check")
    into = ("install", "--no-compile", "--target", LIBRARY)
    run(*pip, "install", "--require-hashes", "-r", TOP / "requirements/build.txt")
    run(*pip, *into, "--require-hashes", "-r", TOP / "requirements/image.txt")
    shutil.rmtree(LIBRARY / "bin")
    run(*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", BUILD, TOP)
    run(*pip, *into, "--no-deps", "--no-index", *BUILD.glob("*.whl"))
    shutil.rmtree(LIBRARY / "bin")
    for name in ("direct_url.json", "RECORD"):  # they name this machine's folders, and files that are not there
        for path in LIBRARY.glob(f"*.dist-info/{name}"):
            path.unlink()


def install_files() -> None:
    """Lay the launcher, the configuration, the unit and the examples where Debian has them."""
    place(DEBIAN / "asterisk-sip", "usr/bin/asterisk-sip", 0o755)
    place(TOP / "configs/systemd/asterisk-sip.toml", "etc/asterisk-sip/asterisk-sip.toml")
    (ROOT / "etc/asterisk-sip/secrets").mkdir(mode=0o700)
    place(TOP / "configs/systemd/asterisk-sip.service", "usr/lib/systemd/system/asterisk-sip.service")
    place(TOP / "configs/asterisk-sip.toml", "usr/share/doc/asterisk-sip/examples/asterisk-sip.toml")
    for path in (TOP / "configs/asterisk").iterdir():
        place(path, f"usr/share/doc/asterisk-sip/examples/asterisk/{path.name}")


def write_documents(version: str) -> None:
    """Write what Debian wants to read: copyright, changelog, man page."""
    licence = (TOP / "LICENSE").read_text()
    text = "\n".join(f" {line}" if line else " ." for line in licence.strip().splitlines())
    (DOC / "copyright").write_text((DEBIAN / "copyright").read_text() + f"{text}\n")
    when = formatdate(int(os.environ.get("SOURCE_DATE_EPOCH", time.time())))
    changes = "  * The changes are told in the file CHANGELOG.md of the source."
    changelog = f"asterisk-sip ({version}) stable; urgency=medium\n\n{changes}\n\n -- {MAINTAINER}  {when}\n"
    packed(changelog, DOC / "changelog.gz")
    environ = os.environ | {"PYTHONPATH": str(LIBRARY), "PYTHONDONTWRITEBYTECODE": "1"}
    page = subprocess.run(
        [sys.executable, TOP / "scripts/make_man_page.py"], env=environ, check=True, capture_output=True
    )
    packed(page.stdout.decode(), ROOT / "usr/share/man/man1/asterisk-sip.1.gz")


def write_control(version: str, architecture: str) -> None:
    """Write what dpkg wants to know."""
    control = ROOT / "DEBIAN"
    files = [path for path in sorted(ROOT.rglob("*")) if path.is_file()]
    control.mkdir()
    major, minor = sys.version_info[:2]
    told = CONTROL.format(
        version=version,
        architecture=architecture,
        maintainer=MAINTAINER,
        size_kb=sum(-(-path.stat().st_size // 1024) for path in files),
        python=f"{major}.{minor}",
        next_python=f"{major}.{minor + 1}",
    )
    (control / "control").write_text(told)
    (control / "conffiles").write_text("/etc/asterisk-sip/asterisk-sip.toml\n")
    sums = (f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(ROOT)}\n" for path in files)  # noqa: S324  what dpkg asks for
    (control / "md5sums").write_text("".join(line for line in sums if "  etc/" not in line))
    for name in ("postinst", "prerm", "postrm"):
        shutil.copy(DEBIAN / name, control / name)
        (control / name).chmod(0o755)


def deb_version(version: str) -> str:
    """Give a version as dpkg orders it: 0.1.0.dev0 and 0.1.0rc1 come before 0.1.0."""
    return re.sub(r"(rc|a|b)(?=\d)", r"~\1", version).replace(".dev", "~~dev")


def place(source: Path, target: str, mode: int = 0o644) -> None:
    """Copy a file into the root."""
    path = ROOT / target
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, path)
    path.chmod(mode)


def packed(text: str, path: Path) -> None:
    """Write a text, packed as Debian has it: without a time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode(), mtime=0))


def run(*command: str | Path) -> None:
    """Run a command; one that fails ends everything."""
    subprocess.run(command, check=True)


def output(*command: str) -> str:
    """Run a command and give what it prints."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    main()
