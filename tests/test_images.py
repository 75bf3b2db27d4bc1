"""The images of docker-compose.yml, made by running the steps of their Dockerfiles in Debian roots, and started."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .lab import compose
from .lab.dockerfile import Image, make, steps
from .lab.fixtures import need_bare, need_roots
from .lab.pod import Container, Pod
from .lab.wait import until_blocking

TOP = Path(__file__).parent.parent
DEMO_LAB = TOP / "configs" / "demo-lab"
DOCKERFILES = (TOP / "Dockerfile", DEMO_LAB / "Dockerfile")
STATE = "/var/lib/asterisk-sip"


def mounts(test: Callable[..., None]) -> Callable[..., None]:
    """Mark a test that makes images and mounts them."""
    for mark in (pytest.mark.roots, pytest.mark.mounts, pytest.mark.xdist_group("images"), pytest.mark.timeout(600)):
        test = mark(test)
    return test


@pytest.fixture(scope="module")
def companion(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """The image of asterisk-sip."""
    need_bare()
    yield from made(TOP / "Dockerfile", tmp_path_factory.mktemp("companion"))


@pytest.fixture(scope="module")
def demo_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """The image of Asterisk with its carriers and callers."""
    need_roots("22")
    yield from made(DEMO_LAB / "Dockerfile", tmp_path_factory.mktemp("demo-lab"))


def made(dockerfile: Path, folder: Path) -> Iterator[Image]:
    yield make(dockerfile, TOP, folder)
    shutil.rmtree(folder)


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: str(path.relative_to(TOP)))
def test_an_image_has_a_user_without_rights_a_health_check_and_no_secret(path: Path) -> None:
    done = list(steps(path.read_text()))
    words = [word for word, _ in done]
    [user] = [text for word, text in done if word == "USER"]
    assert int(user.split(":")[0]) >= 10_000
    assert words[-1] == "CMD"
    assert "RUN" not in words[words.index("USER") :]
    assert {"HEALTHCHECK", "ENTRYPOINT", "LABEL"} <= set(words)
    assert not [
        text for word, text in done if word in ("ARG", "ADD") or re.search(r"(?i)(secret|password|token)=", text)
    ]


@mounts
def test_the_demo_records_the_failing_calls_of_its_traffic_source(
    companion: Image, demo_lab: Image, tmp_path: Path
) -> None:
    """Every program of the profile demo that is ours, started as docker-compose.yml says, each on a read-only root."""
    services = compose.config("demo")["services"]
    images = {"asterisk-sip": companion, "asterisk-sip-demo-lab": demo_lab}

    def of(name: str) -> Container:
        return compose.container(services[name], images[services[name]["image"]], tmp_path / "volumes")

    with Pod(tmp_path / "pod") as pod:
        made = pod.run(of("keys"))
        assert made.returncode == 0, made.stderr
        pod.start("asterisk", of("asterisk"))
        pod.until_healthy("asterisk")
        for name in ("acme", "globex", "asterisk-sip"):
            pod.start(name, of(name))
        pod.until_healthy("asterisk-sip")
        for name in ("office", "impatient"):
            pod.start(name, of(name))
        reading = ("asterisk-sip", "calls", "--format", "json", "--store", f"{STATE}/asterisk-sip.db")

        def records() -> dict[int, str]:
            told = pod.execute("asterisk-sip", *reading)
            assert told.returncode == 0, told.stderr
            calls = [json.loads(line) for line in told.stdout.splitlines()]
            return {call["sip"]["code"]: call["evidence"]["grade"] for call in calls if call["outcome"] == "failed"}

        until_blocking(lambda: len(records()) >= 2, f"two failed calls: {pod.said('asterisk-sip')}", 60)
        assert all(pod.alive(name) for name in ("acme", "globex", "office", "impatient"))
        assert records()[608] == "wire"
        assert pod.stop("asterisk-sip") == 0
