"""Containers without an engine: programs in the root of an image, read-only, with a network that only they share."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from tests.lab.dockerfile import Image
from tests.lab.errors import NotYetError, RootError
from tests.lab.wait import until_blocking

LOOPBACK_UP = """
import fcntl, signal, socket, struct
with socket.socket() as any_one:
    fcntl.ioctl(any_one, 0x8914, struct.pack("16sh", b"lo", 0x41))  # SIOCSIFFLAGS: up and running
print("up", flush=True)
signal.pause()
"""
# $1: the root; then pairs of what to mount where, a dash, and the command.
MOUNT = """
root=$1; shift
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount -t proc proc "$root/proc"
while [ "$1" != - ]; do
  case $1 in
    tmpfs) mount -t tmpfs -o mode=1777 tmpfs "$root$2" ;;
    ro:*) mount --bind "${1#ro:}" "$root$2"; mount -o remount,bind,ro "$root$2" ;;
    *) mount --bind "$1" "$root$2" ;;
  esac
  shift 2
done
shift
exec "$@"
"""


@dataclass(frozen=True, slots=True)
class Container:
    """How one program is started in an image. ``mounts``: folders of this machine, by where they are seen."""

    image: Image
    command: Sequence[str]
    mounts: Mapping[str, Path] = field(default_factory=dict)
    read_only: frozenset[str] = frozenset()
    memory: Sequence[str] = ()  # where a file system in memory is seen
    environ: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    capabilities: Sequence[str] = ()


class Pod:
    """A network of its own, and the programs in it. Leaving it ends them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._holder: subprocess.Popen[str] | None = None
        self._running: dict[str, tuple[Container, subprocess.Popen[bytes]]] = {}

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        command = ["unshare", "--net", "setpriv", "--pdeathsig", "KILL", sys.executable, "-c", LOOPBACK_UP]
        self._holder = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != "up\n":
            raise RootError("no network of its own can be had here")
        return self

    def __exit__(self, *_: object) -> None:
        for _container, process in reversed(list(self._running.values())):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if self._holder is not None:
            self._holder.kill()
            self._holder.communicate()

    def start(self, name: str, container: Container) -> None:
        """Start a program and let it run; what it prints is in `said`."""
        with (self._folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                self._begin(container), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self._running[name] = (container, process)

    def run(self, container: Container, within_s: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Run a program to its end."""
        return _finished(self._begin(container), within_s)

    def execute(self, name: str, *command: str, within_s: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Run another program where one of the pod runs, as ``docker exec`` does."""
        container, process = self._running[name]
        assert process.poll() is None, self.said(name)
        join = ["nsenter", f"--target={process.pid}", "--net", "--mount"]
        return _finished([*join, *_inside(container, command)], within_s)

    def stop(self, name: str, within_s: float = 15.0) -> int:
        """Ask a program to end as the engine does; give its exit code."""
        _, process = self._running.pop(name)
        process.terminate()
        return process.wait(within_s)

    def alive(self, name: str) -> bool:
        """Whether a program still runs."""
        return self._running[name][1].poll() is None

    def said(self, name: str) -> str:
        """What a program printed so far."""
        return (self._folder / f"{name}.log").read_text(errors="replace")

    def until_healthy(self, name: str, within_s: float = 60.0) -> None:
        """Wait until the health check of its image says that a program is well."""
        check = self._running[name][0].image.health
        try:
            until_blocking(lambda: self.execute(name, *check).returncode == 0, f"{name} is healthy", within_s)
        except NotYetError as error:
            raise NotYetError(f"{error}\n{self.execute(name, *check).stderr}\n{self.said(name)}") from error

    def _begin(self, container: Container) -> list[str]:
        assert self._holder is not None
        mounts: list[str] = [word for where in container.memory for word in ("tmpfs", where)]
        for where, what in container.mounts.items():
            mounts += [f"ro:{what}" if where in container.read_only else str(what), where]
        join = ["nsenter", f"--net=/proc/{self._holder.pid}/ns/net", "unshare", "--mount", "--propagation", "private"]
        return [
            *join,
            "sh",
            "-ec",
            MOUNT,
            "mount",
            str(container.image.root),
            *mounts,
            "-",
            *_inside(container, container.command),
        ]


def _inside(container: Container, command: Sequence[str]) -> list[str]:
    """Give how a command runs in the root of a container, as its user, with its rights and no others."""
    image = container.image
    user, group = (container.user or image.user).split(":")
    capabilities = ",".join(["-all", *(f"+{name.lower()}" for name in container.capabilities)])
    rights = ["--no-new-privs", "--inh-caps=-all", f"--bounding-set={capabilities}"]
    who = ["setpriv", "--pdeathsig=KILL", f"--reuid={user}", f"--regid={group}", "--clear-groups", *rights]
    environ = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **image.environ, **container.environ}
    words = [f"{name}={value}" for name, value in environ.items()]
    return ["chroot", str(image.root), *who, "env", "-i", "-C", image.folder, *words, *command]


def _finished(argv: Sequence[str], within_s: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=within_s, check=False)
