"""The Debian roots of the lab, built once by debootstrap into ``.lab/`` and reused ever after.

Two hold a real Asterisk; a bare one is what packages and images are tried in.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.lab.apt import http_proxy, mirror
from tests.lab.errors import RootError
from tests.lab.options import Release

SCRIPTS = Path("/usr/share/debootstrap/scripts")
MARKER = ".built"  # written last, holds the recipe: a root without it, or with another recipe, is built anew
SAY_EVERY_S = 5.0


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a root is made of."""

    suite: str
    packages: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.suite}: {' '.join(self.packages)}\n"


RECIPES: dict[Release, Recipe] = {
    "22": Recipe("forky", ("asterisk", "sip-tester", "ca-certificates")),
    "16": Recipe("bullseye", ("asterisk", "ca-certificates")),
}
BARE = Recipe("bookworm", ())
"""Debian 12 as it comes."""


def folder() -> Path:
    """Give where the roots live: ASTERISK_SIP_LAB, or ``.lab`` of the project."""
    return Path(os.environ.get("ASTERISK_SIP_LAB") or Path(__file__).parents[2] / ".lab").absolute()


def existing(release: Release) -> Path:
    """Give the root of a release; raise RootError when it is not there, not whole, or we may not enter it."""
    return _existing(RECIPES[release], f"Asterisk {release}")


def bare() -> Path:
    """Give the root without anything; raise RootError as `existing` does."""
    return _existing(BARE, f"bare {BARE.suite}")


def build_all(say: Callable[[str], None] = print) -> None:
    """Build the roots side by side, those that are not there yet."""
    with ThreadPoolExecutor(len(RECIPES) + 1) as pool:
        bare_one = pool.submit(_build, BARE, f"bare {BARE.suite}", say)
        list(pool.map(lambda release: build(release, say), RECIPES))
        bare_one.result()


def build(release: Release, say: Callable[[str], None] = print) -> Path:
    """Build the root of a release unless it is there; other processes that want it wait. Raise RootError."""
    return _build(RECIPES[release], f"Asterisk {release}", say)


def _existing(recipe: Recipe, what: str) -> Path:
    root = folder() / recipe.suite
    if not _whole(root, recipe):
        raise RootError(f"no {what} in {root}: run `make lab-build`")
    if os.geteuid() != 0:
        raise RootError("the lab enters its roots with chroot: only root may do that")
    return root


def _build(recipe: Recipe, what: str, say: Callable[[str], None]) -> Path:
    root = folder() / recipe.suite
    root.parent.mkdir(parents=True, exist_ok=True)
    with lock(root.with_suffix(".lock"), lambda: say(f"{recipe.suite}: waiting for another process to build it")):
        if _whole(root, recipe):
            say(f"{recipe.suite}: {what} is there")
            return root
        _check_tools()
        began = time.monotonic()
        _remove(root)
        _debootstrap(recipe, root, say)
        give_names(root)
        (root / MARKER).write_text(str(recipe))
        say(f"{recipe.suite}: {what} is ready after {time.monotonic() - began:.0f} s")
    return root


def give_names(root: Path) -> None:
    """Let names inside the root fail or resolve at once: every answered call would wait seconds for DNS otherwise."""
    _replace(root / "etc/hosts", f"127.0.0.1 localhost {socket.gethostname()} A.ROOT-SERVERS.NET\n")
    _replace(root / "etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")


def _whole(root: Path, recipe: Recipe) -> bool:
    try:
        return (root / MARKER).read_text() == str(recipe)
    except OSError:
        return False


def _check_tools() -> None:
    if os.geteuid() != 0:
        raise RootError("building the lab needs root: debootstrap and chroot do")
    for tool in ("debootstrap", "chroot", "setpriv"):
        if shutil.which(tool) is None:
            raise RootError(f"{tool} is missing: apt-get install debootstrap ca-certificates util-linux")


def _debootstrap(recipe: Recipe, root: Path, say: Callable[[str], None]) -> None:
    include = [f"--include={','.join(recipe.packages)}"] if recipe.packages else []
    command = ["debootstrap", "--variant=minbase", *include, recipe.suite, str(root), mirror()]
    if not (SCRIPTS / recipe.suite).exists():
        command.append(str(SCRIPTS / "sid"))  # an older debootstrap does not know the suite's name yet
    log = root.with_suffix(".log")
    said = 0.0
    with log.open("w") as kept, subprocess.Popen(
        command, env=os.environ | http_proxy(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, errors="replace",
    ) as process:  # fmt: skip
        assert process.stdout is not None
        try:
            for line in process.stdout:
                kept.write(line)
                kept.flush()
                if time.monotonic() - said > SAY_EVERY_S:
                    said = time.monotonic()
                    say(f"{recipe.suite}: {line.strip().removeprefix('I: ')}")
        except BaseException:
            process.terminate()
            raise
    if process.returncode:
        tail = "\n".join(log.read_text().splitlines()[-5:])
        raise RootError(f"debootstrap {recipe.suite} failed with status {process.returncode}, see {log}:\n{tail}")


def _remove(root: Path) -> None:
    """Remove a half-built root, after what debootstrap mounted inside."""
    if not root.exists():
        return
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in sorted((each for each in mounts if Path(each).is_relative_to(root)), reverse=True):
        subprocess.run(["umount", mount], check=True)
    shutil.rmtree(root)


def _replace(path: Path, content: str) -> None:
    """Write a file that other processes may be reading; leave it alone when it is right."""
    if path.is_file() and not path.is_symlink() and path.read_text() == content:
        return
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_text(content)
    fresh.replace(path)


@contextlib.contextmanager
def lock(path: Path, waiting: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Hold a lock that other processes of this machine wait for; ``waiting`` is called when it is not free."""
    with path.open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(held, fcntl.LOCK_EX)
        yield
