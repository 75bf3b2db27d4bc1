"""Reads docker-compose.yml as Docker does: with this machine's ``docker compose`` or Debian's, which need no engine."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.lab import roots
from tests.lab.apt import http_proxy, mirror
from tests.lab.dockerfile import Image
from tests.lab.errors import LabError
from tests.lab.pod import Container

TOP = Path(__file__).parents[2]
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
SUITE = "forky"  # Debian 12 has the first docker-compose only, which knows another language


def config(*profiles: str, **environ: str) -> dict[str, Any]:
    """Give what the services of these profiles come to. Raise LabError for what Docker would refuse."""
    chosen = [word for profile in profiles for word in ("--profile", profile)]
    command = [*program(), "--file", "docker-compose.yml", *chosen, "config", "--format", "json"]
    clean = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **environ}
    done = subprocess.run(command, capture_output=True, text=True, cwd=TOP, env=clean, check=False)
    if done.returncode:
        raise LabError(f"{' '.join(command)}: {done.stderr}")
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def container(service: Mapping[str, Any], image: Image, volumes: Path) -> Container:
    """Give how a service starts in its image; what it keeps lies below ``volumes``, as the engine would begin it."""
    mounts: dict[str, Path] = {}
    for each in service.get("volumes", ()):
        where = each["target"]
        mounts[where] = (
            Path(each["source"]) if each["type"] == "bind" else _volume(volumes / each["source"], image, where)
        )
        if not (image.root / where[1:]).exists():
            (image.root / where[1:]).mkdir(parents=True)  # as the engine does
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    return Container(
        image,
        (
            *(service["entrypoint"] or image.entrypoint),
            *(image.command if service["command"] is None else service["command"]),
        ),
        mounts,
        frozenset(each["target"] for each in service.get("volumes", ()) if each.get("read_only")),
        service.get("tmpfs", ()),
        service.get("environment", {}),
        service.get("user", ""),
        service.get("cap_add", ()),
    )


def _volume(folder: Path, image: Image, where: str) -> Path:
    if not folder.exists():
        folder.mkdir(parents=True)
        like = image.root / where[1:]
        if like.exists():
            os.chown(folder, like.stat().st_uid, like.stat().st_gid)
            folder.chmod(like.stat().st_mode)
    return folder


@functools.cache
def program() -> tuple[str, ...]:
    """Give how compose is called; fetch it from Debian where this machine has none, once."""
    if (
        shutil.which("docker")
        and not subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode
    ):
        return ("docker", "compose")
    folder = roots.folder() / "docker-compose"
    found = folder / "usr/libexec/docker/cli-plugins/docker-compose"
    with roots.lock(folder.with_suffix(".lock")):
        if not found.exists():
            _fetch("docker-compose", folder)
    return (str(found),)


def _fetch(package: str, into: Path) -> None:
    """Unpack a package of Debian into a folder, without installing it."""
    into.mkdir(parents=True, exist_ok=True)
    (into / "lists" / "partial").mkdir(parents=True, exist_ok=True)
    (into / "sources.list").write_text(f"deb [signed-by={KEYRING}] {mirror()} {SUITE} main\n")
    places = {
        "Dir::Etc::SourceList": into / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State::Lists": into / "lists",
        "Dir::Cache": into,
        "APT::Sandbox::User": "root",
    }
    options = [word for key, value in places.items() for word in ("-o", f"{key}={value}")]
    for words in (["update"], ["download", package]):
        command = ["apt-get", "-q", *options, *words]
        environ = os.environ | http_proxy()
        done = subprocess.run(command, cwd=into, env=environ, capture_output=True, text=True, check=False)
        if done.returncode:
            raise LabError(f"apt-get {' '.join(words)}: {done.stderr}")
    [deb] = into.glob(f"{package}_*.deb")
    subprocess.run(["dpkg-deb", "-x", deb, into], check=True)
    deb.unlink()
    shutil.rmtree(into / "lists")
