"""The images of docker-compose.yml, made by running the steps of their Dockerfiles in Debian roots, and started."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from asterisk_sip.config import load

from .lab import compose
from .lab.dockerfile import Image, make, steps
from .lab.errors import NotYetError
from .lab.fixtures import need_bare, need_roots
from .lab.pod import Container, Pod
from .lab.wait import until_blocking
from .nats_servers import PROGRAM as NATS

TOP = Path(__file__).parent.parent
DEMO_LAB = TOP / "configs" / "demo-lab"
DOCKERFILES = (TOP / "Dockerfile", DEMO_LAB / "Dockerfile")
STATE = "/var/lib/asterisk-sip"

PROFILES = {
    "demo": {
        *("keys", "asterisk", "acme", "globex", "office", "impatient"),
        *("asterisk-sip", "prometheus", "grafana"),
    },
    "companion-only": {"companion"},
    "fleet": {
        *("keys", "asterisk", "acme", "globex", "office", "impatient"),
        *("fleet-companion", "nats1", "nats2", "nats3", "postgres", "collector"),
    },
}


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


@pytest.mark.roots
@pytest.mark.parametrize("profile", PROFILES)
def test_docker_compose_takes_every_profile(profile: str) -> None:
    told = compose.config(profile)
    assert {*told["services"]} == PROFILES[profile]
    for name, service in told["services"].items():
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert not service.get("privileged"), name
        assert service.get("build") or re.search(r":v?\d", service["image"]), f"{name}: which version?"
        assert service.get("build") is None or service["read_only"], name
        assert {port["host_ip"] for port in service.get("ports", ())} <= {"127.0.0.1"}, name
        secret = re.compile("(?i)secret|password|token|key")
        given = {key for key in service.get("environment") or {} if secret.search(key)}
        assert all(key.endswith("_FILE") for key in given), f"{name} is given a secret: {given}"


@pytest.mark.roots
def test_the_companion_alone_needs_a_folder_of_yours_and_nothing_else() -> None:
    [service] = compose.config("companion-only", ASTERISK_SIP_FOLDER="/srv/mine")["services"].values()
    assert service["network_mode"] == "host"
    assert service["volumes"][0]["source"] == "/srv/mine"


@mounts
def test_the_demo_records_the_failing_calls_of_its_traffic_source(
    companion: Image, demo_lab: Image, tmp_path: Path
) -> None:
    """Every program of the profile demo that is ours, started as docker-compose.yml says, each on a read-only root."""
    services = compose.config("demo")["services"]
    images = {"asterisk-sip": companion, "asterisk-sip-demo-lab": demo_lab}
    keys = tmp_path / "volumes" / "keys"

    def of(name: str) -> Container:
        return compose.container(services[name], images[services[name]["image"]], tmp_path / "volumes")

    with Pod(tmp_path / "pod") as pod:
        made = pod.run(of("keys"))
        assert made.returncode == 0, made.stderr
        the_keys_are_sound(keys)
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
        token = (keys / "prometheus" / "asterisk-sip.token").read_text().strip()
        assert "asterisk_sip_" in pod.execute("asterisk-sip", "python", "-c", METRICS, token).stdout
        assert "401" in pod.execute("asterisk-sip", "python", "-c", METRICS, "wrong").stderr
        assert pod.run(of("keys")).returncode == 0
        assert (keys / "prometheus" / "asterisk-sip.token").read_text().strip() == token, "made anew"
        assert pod.stop("asterisk-sip") == 0


@mounts
def test_the_fleet_collects_what_its_companion_publishes(companion: Image, tmp_path: Path) -> None:
    """With the passwords and rights of the profile. A recording stands for the PBX, SQLite for PostgreSQL."""
    services = compose.config("fleet")["services"]
    keys = tmp_path / "volumes" / "keys"
    addresses = {f"nats{number}": f"127.0.0.1{number}" for number in (1, 2, 3)}

    def of(name: str, **environ: str) -> Container:
        return replace(compose.container(services[name], companion, tmp_path / "volumes"), environ=environ)

    with Pod(tmp_path / "pod") as pod, known(companion.root, addresses):
        assert pod.run(of("keys")).returncode == 0
        for name, address in addresses.items():
            pod.start(name, nats_of(companion, services[name]["command"], keys, address, tmp_path / name))
        secret = (keys / "fleet" / "ami.secret").read_text().strip()
        pod.start("recording", replace(of("fleet-companion"), command=("python", "-c", RECORDING, secret)))
        until_blocking(lambda: pod.said("recording"), "the recording is served")
        ami = {"ASTERISK_SIP__PBX__0__AMI__PORT": pod.said("recording"), "ASTERISK_SIP__PBX__0__AMI__USERNAME": "demo"}
        pod.start("fleet-companion", of("fleet-companion", **ami))
        config = keys / "collector" / "asterisk-sip.toml"
        config.write_text(re.sub(r"(?m)^(url|password_file = \"store).*\n", "", config.read_text()))
        # in containers it has a network of its own
        pod.start("collector", of("collector", ASTERISK_SIP__WEB__PORT="8601"))
        reading = ("asterisk-sip", "calls", "--format", "json", "--store", f"{STATE}/asterisk-sip.db")

        def collected() -> bool:
            said = pod.execute("collector", *reading).stdout
            return any(json.loads(line)["sip"]["code"] == 608 for line in said.splitlines())

        try:
            until_blocking(collected, "a refusal is collected", 90)
        except NotYetError as error:
            said = [pod.said(name) for name in (*addresses, "fleet-companion", "collector")]
            raise NotYetError("\n".join([str(error), *said])) from error
        assert pod.stop("collector") == 0
        assert pod.stop("fleet-companion") == 0


RECORDING = """
import asyncio, sys
from asterisk_sip import demo

async def serve():
    pbx = demo.DemoPbx(demo.load())
    pbx.secret = sys.argv[1]
    await pbx.start()
    print(pbx.port, end="", flush=True)
    await asyncio.Event().wait()

asyncio.run(serve())
"""


def nats_of(image: Image, command: list[str], keys: Path, address: str, folder: Path) -> Container:
    """One server of three, as docker-compose.yml starts it, on an address of its own instead of in a container."""
    for part in ("data", "keys/nats"):
        (folder / part).mkdir(parents=True)
    (image.root / "data").mkdir(exist_ok=True)
    shutil.copy(NATS, folder / "data" / "nats-server")
    conf = (keys / "nats" / "nats.conf").read_text()
    (folder / "keys/nats/nats.conf").write_text(re.sub(r'"(?:0\.0\.0\.0|127\.0\.0\.1):', f'"{address}:', conf))
    mounts = {"/keys": folder / "keys", "/data": folder / "data"}
    return Container(replace(image, folder="/"), ("/data/nats-server", *command), mounts, user="0:0")


@contextmanager
def known(root: Path, addresses: dict[str, str]) -> Iterator[None]:
    """Have names lead to addresses in a root."""
    hosts = root / "etc" / "hosts"
    before = hosts.read_text()
    hosts.write_text(before + "".join(f"{address} {name}\n" for name, address in addresses.items()))
    try:
        yield
    finally:
        hosts.write_text(before)


METRICS = """
import sys, urllib.request
asked = urllib.request.Request("http://127.0.0.1:8600/metrics", headers={"Authorization": f"Bearer {sys.argv[1]}"})
print(urllib.request.urlopen(asked).read().decode())
"""


def the_keys_are_sound(keys: Path) -> None:
    """Each folder belongs to one program, and what lies in it is what that program understands."""
    owners = {folder.name: folder.stat().st_uid for folder in keys.iterdir() if folder.is_dir()}
    assert len(owners) == 9
    assert {(folder.stat().st_mode & 0o777) for folder in keys.iterdir() if folder.is_dir()} == {0o700}
    for name in ("companion", "fleet", "collector"):
        warnings = load(keys / name / "asterisk-sip.toml", {}).warnings
        assert all("unencrypted" in warning for warning in warnings), warnings
    nats = subprocess.run(
        [str(NATS), "-t", "-c", str(keys / "nats" / "nats.conf")], capture_output=True, text=True, check=False
    )
    assert nats.returncode == 0, nats.stderr
    assert "@" not in re.sub(r"@nats\d:", "", (keys / "nats" / "nats.conf").read_text().split("listen", 1)[1])
    prometheus = (keys / "prometheus" / "prometheus.yml").read_text()
    assert "\n    authorization:\n      credentials_file: /keys/prometheus/asterisk-sip.token\n" in f"{prometheus}\n"
    if shutil.which("promtool"):
        command = ["promtool", "check", "config", "--syntax-only", str(keys / "prometheus" / "prometheus.yml")]
        assert subprocess.run(command, capture_output=True, check=False).returncode == 0
