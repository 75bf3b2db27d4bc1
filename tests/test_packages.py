"""What is given away: the wheel, the source, and the Debian package, each put where a user puts it, and run there."""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from asterisk_sip.cli import VERBS

from .lab import pypi, roots
from .lab.dockerfile import Image, copy_of, run
from .lab.fixtures import need_bare, need_roots
from .lab.wait import until_blocking

TOP = Path(__file__).parent.parent
VERSION = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]["version"]
NOT_IN_THE_WHEEL = {"debian", "demo-lab"}
"""Folders of configs/ that only serve to make packages and images."""
SECRET = "/etc/asterisk-sip/secrets/ami.secret"
UNIT = TOP / "configs" / "systemd" / "asterisk-sip.service"
CONFIG = "/etc/asterisk-sip/asterisk-sip.toml"


def made_in_a_root(test: Callable[..., None]) -> Callable[..., None]:
    """Mark a test that takes minutes in a Debian root."""
    for mark in (pytest.mark.roots, pytest.mark.timeout(600)):
        test = mark(test)
    return test


# The Debian package


@pytest.fixture(scope="module")
def deb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The package, as `make deb` makes it on Debian 12."""
    need_bare()
    folder = tmp_path_factory.mktemp("deb")
    root = Image(copy_of("debian:bookworm-slim", folder / "root"))
    for name in ("asterisk_sip", "configs", "requirements", "scripts"):
        shutil.copytree(TOP / name, root.root / "src" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "Makefile", "README.md", "LICENSE"):
        shutil.copy(TOP / name, root.root / "src" / name)
    run(
        root,
        "apt-get update -q && apt-get install -q -y --no-install-recommends ca-certificates make python3 python3-venv",
    )
    run(root, "make -C /src deb")
    [made] = (root.root / "src/dist").glob("*.deb")
    yield made.rename(folder / made.name)
    shutil.rmtree(folder)


def test_the_package_orders_versions_as_python_does() -> None:
    deb_version = runpy.run_path(str(TOP / "scripts" / "make_deb.py"))["deb_version"]
    ordered = ["0.1.0.dev0", "0.1.0a1", "0.1.0b2", "0.1.0rc1", "0.1.0", "0.1.1.dev0", "0.1.1"]
    for earlier, later in pairwise(ordered):
        command = ["dpkg", "--compare-versions", deb_version(earlier), "lt", deb_version(later)]
        assert subprocess.run(command, check=False).returncode == 0, (earlier, later)


def test_the_man_page_tells_of_every_command() -> None:
    page = subprocess.run(
        [sys.executable, TOP / "scripts" / "make_man_page.py"], capture_output=True, text=True, check=True
    )
    told = re.findall(r"^\.SS (.*)$", page.stdout.replace("\\-", "-"), re.MULTILINE)
    assert [name for name in told if " " not in name] == list(VERBS)
    assert not re.search(r"^['.](?![A-Z]{1,2} |[A-Z]{2}$)", page.stdout, re.MULTILINE), (
        "text that roff takes for a request"
    )


@made_in_a_root
def test_the_debian_package_is_installed_started_upgraded_removed_and_purged(deb: Path, tmp_path: Path) -> None:
    image = Image(copy_of("debian:bookworm-slim", tmp_path / "root"))
    root = image.root
    shutil.copy(deb, root / "old.deb")
    run(image, "apt-get update -q && apt-get install -q -y --no-install-recommends /old.deb")
    assert "608" in inside(root, "asterisk-sip", "explain", "608").stdout
    assert (root / "usr/share/man/man1/asterisk-sip.1.gz").exists()
    assert (root / "etc/asterisk-sip/secrets").stat().st_mode & 0o7777 == 0o700
    refused = inside(root, "asterisk-sip", "check", "--config", CONFIG)
    assert (refused.returncode, "secrets/ami.secret: does not exist" in refused.stderr) == (2, True)

    (root / SECRET[1:]).write_text("for-this-test\n")
    (root / SECRET[1:]).chmod(0o600)
    it_starts_as_a_service(root)

    with (root / CONFIG[1:]).open("a") as config:
        config.write("# mine\n")
    newer = later_version(deb, tmp_path)
    shutil.copy(newer, root / "new.deb")
    run(image, "apt-get install -q -y --no-install-recommends -o Dpkg::Options::=--force-confdef /new.deb")
    assert (
        "ii  0.9.9\n" in inside(root, "dpkg-query", "-W", "-f=${db:Status-Abbrev} ${Version}\n", "asterisk-sip").stdout
    )
    assert (root / CONFIG[1:]).read_text().endswith("# mine\n")
    it_starts_as_a_service(root)

    run(image, "apt-get remove -q -y asterisk-sip")
    assert not (root / "usr/lib/asterisk-sip").exists()
    assert not (root / "usr/bin/asterisk-sip").exists()
    assert {(root / name[1:]).exists() for name in (CONFIG, SECRET, "/var/lib/asterisk-sip")} == {True}
    run(image, "apt-get purge -q -y asterisk-sip")
    assert not [
        path for path in root.rglob("*asterisk-sip*") if path.name not in (".", "..") and "proc" not in path.parts
    ]
    shutil.rmtree(root)


def inside(root: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a root, as root."""
    return subprocess.run(["chroot", root, *command], capture_output=True, text=True, timeout=60, check=False)


def later_version(deb: Path, folder: Path) -> Path:
    """Give the same package, as if it were a later one."""
    whole, later = folder / "later", folder / "later.deb"
    subprocess.run(["dpkg-deb", "-R", deb, whole], check=True)
    control = whole / "DEBIAN" / "control"
    control.write_text(re.sub(r"(?m)^Version: .*", "Version: 0.9.9", control.read_text()))
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Znone", "-b", whole, later], check=True)
    shutil.rmtree(whole)
    return later


def it_starts_as_a_service(root: Path) -> None:
    """Start it as the unit does: a user that owns nothing but its state, told of systemd's socket and credentials."""
    nobody = 65_534
    state, laid = root / "var/lib/asterisk-sip", root / "run/credentials"
    for folder in (state, laid):
        folder.mkdir(exist_ok=True)
    shutil.copy(root / SECRET[1:], laid / "secrets_ami.secret")
    for path in (state, laid, *state.iterdir(), *laid.iterdir()):
        os.chown(path, nobody, nobody)
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as told:
        address = root / "run/notify"
        address.unlink(missing_ok=True)
        told.bind(str(address))
        address.chmod(0o666)
        told.settimeout(30)
        environ = {"NOTIFY_SOCKET": "/run/notify", "CREDENTIALS_DIRECTORY": "/run/credentials", "PATH": "/usr/bin"}
        environ["ASTERISK_SIP__WEB__PORT"] = str(free_port())
        words = [f"{name}={value}" for name, value in environ.items()]
        program = ("asterisk-sip", "run", "--config", CONFIG)
        user = ("setpriv", "--pdeathsig=KILL", f"--reuid={nobody}", f"--regid={nobody}", "--clear-groups")
        with subprocess.Popen(
            ["chroot", root, *user, "env", "-i", *words, *program], stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                assert b"READY=1" in told.recv(4096)
            finally:
                process.terminate()
                said = process.communicate(timeout=30)[1]
        assert process.returncode == 0, said
        assert "/var/lib/asterisk-sip/asterisk-sip.db" in said
    shutil.rmtree(laid)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


# The unit


def test_the_unit_holds_nothing_that_systemd_does_not_know(tmp_path: Path) -> None:
    program = tmp_path / "asterisk-sip"
    program.touch(0o755)
    unit = tmp_path / "asterisk-sip.service"
    unit.write_text(UNIT.read_text().replace("=/usr/bin/asterisk-sip", f"={program}"))
    verified = systemd_analyze("verify", "--man=false", str(unit))
    assert [line for line in verified.stderr.splitlines() if "asterisk-sip.service" in line] == []


def test_the_unit_allows_as_little_as_the_docs_say() -> None:
    told = (TOP / "docs" / "install.md").read_text(encoding="utf-8")
    [score] = re.findall(r"`systemd-analyze security` gives it ([\d.]+) of 10", told)
    scored = systemd_analyze("security", "--offline=true", f"--threshold={round(float(score) * 10)}", str(UNIT))
    assert scored.returncode == 0, scored.stdout


def systemd_analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it, where there is one; skip the test elsewhere, but never in CI."""
    if shutil.which("systemd-analyze") is None and not os.environ.get("CI"):
        pytest.skip("systemd-analyze is not here: apt-get install systemd")
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, check=False)


# Wheel and source


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with wheel and source, as `make dist` makes them."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    subprocess.run(command, cwd=TOP, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    """The wheel."""
    [found] = dist.glob("*.whl")
    return found


def pythons() -> dict[str, Path | None]:
    """The Pythons we say we run on, and where this machine has them."""
    found: dict[str, Path | None] = dict.fromkeys(("3.11", "3.12", "3.13", "3.14"))
    for version in found:
        there = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
        on_path = shutil.which(f"python{version}")
        if there:
            found[version] = there[-1]
        elif on_path and "shims" not in on_path:
            found[version] = Path(on_path)
    found[f"{sys.version_info[0]}.{sys.version_info[1]}"] = Path(sys.executable)
    return found


def test_nothing_that_the_program_reads_is_missing_in_the_wheel(wheel: Path) -> None:
    package = {path for path in (TOP / "asterisk_sip").rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    configs = {path for path in (TOP / "configs").rglob("*") if path.is_file()}
    configs = {path for path in configs if path.relative_to(TOP / "configs").parts[0] not in NOT_IN_THE_WHEEL}
    wanted = {str(path.relative_to(TOP)) for path in package}
    wanted |= {f"asterisk_sip/{path.relative_to(TOP)}" for path in configs}
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert held == wanted


def test_the_source_holds_what_the_packages_are_made_of(dist: Path) -> None:
    [source] = dist.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {
        "Makefile",
        "Dockerfile",
        ".dockerignore",
        "docker-compose.yml",
        "scripts/make_deb.py",
        "tests/test_packages.py",
    }
    assert wanted <= held
    assert {f"requirements/{name}.txt" for name in ("run", "image", "build", "dev")} <= held


@pytest.mark.roots
@pytest.mark.parametrize("version", pythons())
def test_the_wheel_works_in_a_clean_environment(version: str, wheel: Path, tmp_path: Path) -> None:
    python = pythons()[version]
    if python is None:
        pytest.skip(f"there is no Python {version} on this machine")
    uv("venv", "--python", str(python), str(tmp_path / "venv"))
    into = ("pip", "install", "--python", str(tmp_path / "venv"))
    uv(*into, "--require-hashes", "--requirements", str(TOP / "requirements/run.txt"))
    uv(*into, "--no-deps", str(wheel))
    it_works(tmp_path, tmp_path / "venv/bin/asterisk-sip")


@pytest.mark.lab
@pytest.mark.roots
def test_the_wheel_works_on_the_python_of_the_next_debian(wheel: Path, tmp_path: Path) -> None:
    """Python 3.14, in the root of the lab that has it."""
    need_roots("22")
    root = roots.existing("22")
    folder = Path(tempfile.mkdtemp(prefix="wheel-", dir=root / "var/tmp"))
    try:
        into = ("pip", "install", "--target", str(folder / "lib"), "--python-version", "3.14", "--only-binary", ":all:")
        uv(*into, "--require-hashes", "--requirements", str(TOP / "requirements/run.txt"))
        uv(*into, "--no-deps", str(wheel))
        here = f"/{folder.relative_to(root)}"
        where = ("env", "-C", here, f"PYTHONPATH={here}/lib", "PYTHONDONTWRITEBYTECODE=1")
        it_works(tmp_path, "chroot", str(root), *where, "python3", "-m", "asterisk_sip")
    finally:
        shutil.rmtree(folder)


def test_what_runs_is_locked_alike_everywhere() -> None:
    """`make lock` was run after the last change of what is needed."""
    run_, image, dev = ((TOP / "requirements" / f"{name}.txt").read_text() for name in ("run", "image", "dev"))
    pins = {line.split(" ")[0] for line in run_.splitlines() if "==" in line}
    for other in (image, dev):
        assert pins <= {line.split(" ")[0] for line in other.splitlines() if "==" in line}


@pytest.mark.roots
def test_pipx_and_uvx_take_the_wheel_as_the_docs_say(wheel: Path, tmp_path: Path) -> None:
    tool = ("tool", "run", "--python", sys.executable, "--from", str(wheel), "asterisk-sip")
    assert "608 Rejected" in uv(*tool, "explain", "608")
    folders = {"PIPX_HOME": str(tmp_path / "pipx"), "PIPX_BIN_DIR": str(tmp_path / "bin")}
    environ = os.environ | pypi.uv_environ() | folders  # pipx lets uv do its work
    command = [sys.executable, "-m", "pipx", "install", "--python", sys.executable, str(wheel)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    it_works(tmp_path, tmp_path / "bin/asterisk-sip")


def uv(*arguments: str) -> str:
    """Run uv and give what it prints."""
    environ = os.environ | pypi.uv_environ()
    command = [sys.executable, "-m", "uv", "--no-progress", *arguments]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def it_works(folder: Path, *program: str | Path) -> None:
    """It tells its version, explains, and its demonstration reaches a first record, on the terminal, page and API."""
    said = subprocess.run([*program, "--version"], capture_output=True, text=True, check=True, cwd=folder)
    assert said.stdout.strip() == VERSION
    explained = subprocess.run([*program, "explain", "608"], capture_output=True, text=True, check=True, cwd=folder)
    assert "608 Rejected" in explained.stdout
    with (folder / "said").open("wb") as said_to:
        process = subprocess.Popen([*program, "demo"], stdout=said_to, stderr=said_to, cwd=folder)
    try:
        until_blocking(lambda: "608 Rejected (wire)" in (folder / "said").read_text(), "a first record", 60)
        [url] = re.findall(r"The dashboard: +(\S+)", (folder / "said").read_text())
        assert json.loads(asked(f"{url}api/v1/calls"))["calls"]
        assert b"<html" in asked(url)
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0, (folder / "said").read_text()


def asked(url: str) -> bytes:
    """Give what a page or the API answers."""
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310  our own server
            content: bytes = answer.read()
            return content
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{url}: {error.read().decode()}") from error
