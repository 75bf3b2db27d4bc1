"""`asterisk-sip check` against real PBXs: what it says about each thing that an operator forgets."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from asterisk_sip.check import THE_LINE as LINE_TO_ADD
from tests.e2e import Said, command, configure
from tests.lab.asterisk import Asterisk
from tests.lab.fixtures import need_roots
from tests.lab.lab import Lab
from tests.lab.options import THE_LINE, PbxOptions, Release
from tests.lab.sip_script import Reply, Script

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module", params=["22", "16"])
def forgetful(request: pytest.FixtureRequest) -> Iterator[Asterisk]:
    """A PBX as it is before anybody read our README."""
    release: Release = request.param
    need_roots(release)
    with Asterisk(PbxOptions(release, channelvars=None, timestamps=False)) as pbx:
        yield pbx


async def checked(pbx: Asterisk, config: Path, *, calls: bool) -> Said:
    """Run the check, with calls passing by or in silence. Whatever it says, it never says a secret."""
    running = asyncio.create_task(command("check", "--config", str(config), "--wait", "30" if calls else "0.5"))
    if calls:
        async with Lab(pbx) as lab:
            lab.acme.scripts["busy"] = Script((Reply(180), Reply(486, after_s=0.2)))
            while not running.done():
                await lab.caller.call("trunk.acme.busy")
            await lab.idle()
    said = await running
    for secret in (pbx.companion.secret, pbx.lab.secret):
        assert secret not in said.out + said.err
    return said


async def test_with_the_line_all_is_well(pbx: Asterisk, tmp_path: Path) -> None:
    said = await checked(pbx, configure(tmp_path, pbx), calls=True)
    assert said.code == 0, said.out
    assert "The line is active" in said.out
    assert "No problems." in said.out
    assert "22.10.1" in said.out or "16.28.0" in said.out
    assert LINE_TO_ADD not in said.out
    assert "timestampevents" not in said.out


async def test_without_the_line_it_says_the_line(forgetful: Asterisk, tmp_path: Path) -> None:
    said = await checked(forgetful, configure(tmp_path, forgetful), calls=True)
    assert said.code == 1
    assert "1 problem." in said.out
    lines = [line.strip() for line in said.out.splitlines()]
    assert f"channelvars = {THE_LINE}" in lines
    assert "timestampevents = yes" in lines


async def test_in_silence_it_says_what_it_cannot_know(pbx: Asterisk, tmp_path: Path) -> None:
    said = await checked(pbx, configure(tmp_path, pbx), calls=False)
    assert said.code == 0
    assert "No call passed by" in said.out
    assert LINE_TO_ADD in said.out


async def test_whoever_may_ask_for_the_configuration_needs_no_call(forgetful: Asterisk, tmp_path: Path) -> None:
    config = configure(tmp_path, forgetful, user="lab", secret=forgetful.lab.secret)
    said = await checked(forgetful, config, calls=False)
    assert said.code == 1
    assert LINE_TO_ADD in said.out
    assert "timestampevents = yes" in said.out


async def test_a_user_that_may_do_too_much_is_told(pbx: Asterisk, tmp_path: Path) -> None:
    said = await checked(pbx, configure(tmp_path, pbx, user="lab", secret=pbx.lab.secret), calls=False)
    assert said.code == 0
    assert "more than it needs" in said.out
    assert "Originate" in said.out
    assert "The line is in manager.conf" in said.out


async def test_a_wrong_secret_is_told_and_not_shown(pbx: Asterisk, tmp_path: Path) -> None:
    said = await checked(pbx, configure(tmp_path, pbx, secret="not-the-secret"), calls=False)
    assert said.code == 1
    assert "[companion]" in said.out
    assert "not-the-secret" not in said.out + said.err


async def test_a_line_that_can_freeze_asterisk_is_warned_of(tmp_path: Path) -> None:
    need_roots("22")
    with Asterisk(PbxOptions("22", channelvars=f"{THE_LINE},CHANNEL(pjsip,call-id)")) as pbx:
        config = configure(tmp_path, pbx, user="lab", secret=pbx.lab.secret)
        said = await checked(pbx, config, calls=False)  # no call: the first one hangs
    assert said.code == 1
    assert "CHANNEL(pjsip,...)" in said.out
    assert "Take it out" in " ".join(said.out.split())
    assert LINE_TO_ADD not in said.out


async def test_where_nobody_listens_it_says_so(pbx: Asterisk, tmp_path: Path) -> None:
    config = configure(tmp_path, pbx)
    config.write_text(config.read_text().replace(f"port = {pbx.ports.ami}", f"port = {pbx.ports.refused}"))
    said = await command("check", "--config", str(config))
    assert said.code == 1
    assert f"No AMI at {pbx.host}:{pbx.ports.refused}" in said.out
