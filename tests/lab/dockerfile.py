"""Makes the image that a Dockerfile describes, without an engine: its steps run in a copy of one of the lab's roots."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.lab import apt, pypi, roots
from tests.lab.errors import RootError
from tests.lab.pypi import CERTIFICATES

BASES: dict[str, Callable[[], Path]] = {
    "debian:bookworm-slim": roots.bare,
    "debian:forky-slim": lambda: roots.existing("22"),
}
"""What stands for each base image. That of forky has Asterisk already: to install it there is quick."""

PEM = "etc/machine.pem"  # whom this machine trusts, there while a step runs
APT = "etc/apt/apt.conf.d/99machine"  # how its apt gets at archives, likewise
STEP_S = 300


@dataclass(frozen=True, slots=True)
class Image:
    """What came out: the files, and how a program in them is started."""

    root: Path
    environ: dict[str, str] = field(default_factory=dict)
    user: str = "0:0"
    folder: str = "/"
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    health: tuple[str, ...] = ()


def make(dockerfile: Path, context: Path, into: Path) -> Image:
    """Run every stage, each in a root of its own below ``into``; give the last one. A failed step raises RootError."""
    stages: dict[str, Image] = {}
    image = Image(into)
    for word, text in steps(dockerfile.read_text()):
        if word == "FROM":
            base, _, name = text.partition(" AS ")
            image = Image(copy_of(base, into / str(len(stages))))
            stages[name or str(len(stages))] = image
        else:
            image = _done(image, word, text, context, stages)
            stages[[*stages][-1]] = image
    return image


def steps(text: str) -> Iterator[tuple[str, str]]:
    """Give the instructions of a Dockerfile, each in one line."""
    text = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE)
    for line in text.replace("\\\n", "").splitlines():
        if line.strip():
            word, _, rest = line.strip().partition(" ")
            yield word, rest.strip()


def _done(image: Image, word: str, text: str, context: Path, stages: dict[str, Image]) -> Image:
    if word == "RUN":
        run(image, text)
    elif word == "COPY":
        _copy(image, shlex.split(text), context, stages)
    elif word == "WORKDIR":
        (image.root / text.lstrip("/")).mkdir(parents=True, exist_ok=True)
    return replace(image, **_said(image, word, text))


def _said(image: Image, word: str, text: str) -> dict[str, Any]:
    """What an instruction says of how the program is started."""
    said: dict[str, Callable[[], dict[str, Any]]] = {
        "ENV": lambda: {"environ": image.environ | _pairs(text)},
        "USER": lambda: {"user": text},
        "WORKDIR": lambda: {"folder": text},
        "ENTRYPOINT": lambda: {"entrypoint": tuple(json.loads(text))},
        "CMD": lambda: {"command": tuple(json.loads(text))},
        "HEALTHCHECK": lambda: {"health": tuple(json.loads(text[text.index("CMD ") + 4 :]))},
    }
    if word in said:
        return said[word]()
    if word not in ("RUN", "COPY", "LABEL", "VOLUME", "EXPOSE", "STOPSIGNAL"):
        raise RootError(f"nobody here knows how to do {word}")
    return {}


def copy_of(base: str, root: Path) -> Path:
    """Copy the root that stands for a base image."""
    root.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", "--reflink=auto", BASES[base](), root], check=True)
    return root


def run(image: Image, script: str) -> None:
    """Run a step as root, by the machine's own way to the network."""
    environ = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", **image.environ, **_machine()}
    with _network(image.root):
        words = [f"{name}={value}" for name, value in environ.items()]
        done = subprocess.run(
            ["chroot", image.root, "env", "-i", "-C", image.folder, *words, "/bin/sh", "-c", script],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=STEP_S,
            check=False,
        )  # fmt: skip
    if done.returncode:
        raise RootError(f"RUN {script}\nended with status {done.returncode}:\n{done.stdout[-4_000:]}")


@contextlib.contextmanager
def _network(root: Path) -> Iterator[None]:
    """Let names resolve inside as they do outside, and the same archives and certificates be trusted."""
    for name in ("resolv.conf", "hosts"):
        shutil.copy(f"/etc/{name}", root / "etc" / name)
    if CERTIFICATES.exists():
        shutil.copy(CERTIFICATES, root / PEM)
    (root / APT).write_text(apt.settings())
    try:
        yield
    finally:
        roots.give_names(root)
        for name in (PEM, APT):
            (root / name).unlink(missing_ok=True)


def _machine() -> dict[str, str]:
    """What apt and pip need to know about this machine."""
    told = {"DEBIAN_FRONTEND": "noninteractive", **apt.http_proxy(), **pypi.proxies()}
    told |= {f"PIP_{name.upper().replace('-', '_')}": value for name, value in pypi.settings().items()}
    return told | ({"PIP_CERT": f"/{PEM}"} if CERTIFICATES.exists() else {})


def _copy(image: Image, words: list[str], context: Path, stages: dict[str, Image]) -> None:
    options = dict(word[2:].split("=", 1) for word in words if word.startswith("--"))
    *sources, target = [word for word in words if not word.startswith("--")]
    into = image.root / os.path.join(image.folder, target).lstrip("/")  # noqa: PTH118  a path inside the image
    for source in sources:
        if "from" in options:
            what = stages[options["from"]].root / source.lstrip("/")
        else:
            what = context / source
            if not _is_sent(what.relative_to(context), context):
                raise RootError(f"COPY {source}: .dockerignore keeps it out")
        if what.is_dir():
            shutil.copytree(what, into, symlinks=True, dirs_exist_ok=True, ignore=_ignored(options))
        else:
            place = into / what.name if target.endswith("/") else into
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(what, place)
    if "chmod" in options:
        into.chmod(int(options["chmod"], 8))


def _is_sent(path: Path, context: Path) -> bool:
    """Whether .dockerignore, which names what is not ignored, lets the engine have a path."""
    lines = (context / ".dockerignore").read_text().splitlines()
    return any(path.is_relative_to(line[1:]) for line in lines if line.startswith("!"))


def _ignored(options: dict[str, str]) -> Callable[..., set[str]] | None:
    return None if "from" in options else shutil.ignore_patterns("__pycache__")


def _pairs(text: str) -> dict[str, str]:
    return dict(word.split("=", 1) for word in shlex.split(text))
