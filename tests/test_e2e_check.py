"""`asterisk-sip check` against real PBXs: what it says about each thing that an operator forgets."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from asterisk_sip.check import THE_LINE as LINE_TO_ADD
from asterisk_sip.config_files import shipped
from tests.e2e import Companion, Said, command, configure
from tests.lab.asterisk import Asterisk
from tests.lab.fixtures import need_roots
from tests.lab.lab import Lab
from tests.lab.options import THE_LINE, PbxOptions, Release
from tests.lab.sip_script import Reply, Script
from tests.lab.wait import until

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module", params=["22", "16"])
def forgetful(request: pytest.FixtureRequest) -> Iterator[Asterisk]:
    """A PBX as it is before anybody read our README."""
    release: Release = request.param
    need_roots(release)
    with Asterisk(PbxOptions(release, channelvars=None, timestamps=False)) as pbx:
        yield pbx


async def checked(pbx: Asterisk, config: Path, *calls: str, options: tuple[str, ...] = ()) -> Said:
    """Run the check, with these calls passing by or in silence. Whatever it says, it never says a secret."""
    wait = ("--wait", "30" if calls else "0.5")
    running = asyncio.create_task(command("check", "--config", str(config), *wait, *options))
    if calls:
        async with Lab(pbx) as lab:
            lab.acme.scripts["busy"] = Script((Reply(180), Reply(486, after_s=0.2)))
            for exten in itertools.cycle(calls):
                if running.done():
                    break
                await lab.caller.call(exten)
            await lab.idle()
    said = await running
    for secret in (pbx.companion.secret, pbx.lab.secret):
        assert secret not in said.out + said.err
    return said


async def test_with_the_line_all_is_well(pbx: Asterisk, tmp_path: Path) -> None:
    said = await checked(pbx, configure(tmp_path, pbx), "trunk.acme.busy")
    assert said.code == 0, said.out
    assert "The line is active" in said.out
    assert "No problems." in said.out
    assert "22.10.1" in said.out or "16.28.0" in said.out
    assert LINE_TO_ADD not in said.out
    assert "timestampevents" not in said.out


async def test_without_the_line_it_says_the_line(forgetful: Asterisk, tmp_path: Path) -> None:
    said = await checked(forgetful, configure(tmp_path, forgetful), "trunk.acme.busy")
    assert said.code == 1
    assert "1 problem." in said.out
    lines = [line.strip() for line in said.out.splitlines()]
    assert f"channelvars = {THE_LINE}" in lines
    assert "timestampevents = yes" in lines


async def test_in_silence_it_says_what_it_cannot_know(pbx: Asterisk, tmp_path: Path) -> None:
    said = await checked(pbx, configure(tmp_path, pbx))
    assert said.code == 0
    assert "No call passed by" in said.out
    assert LINE_TO_ADD in said.out


async def test_whoever_may_ask_for_the_configuration_needs_no_call(forgetful: Asterisk, tmp_path: Path) -> None:
    config = configure(tmp_path, forgetful, user="lab", secret=forgetful.lab.secret)
    said = await checked(forgetful, config)
    assert said.code == 1
    assert LINE_TO_ADD in said.out
    assert "timestampevents = yes" in said.out


async def test_a_user_that_may_do_too_much_is_told(pbx: Asterisk, tmp_path: Path) -> None:
    said = await checked(pbx, configure(tmp_path, pbx, user="lab", secret=pbx.lab.secret))
    assert said.code == 0
    assert "more than it needs" in said.out
    assert "Originate" in said.out
    assert "The line is in manager.conf" in said.out


async def test_a_wrong_secret_is_told_and_not_shown(pbx: Asterisk, tmp_path: Path) -> None:
    said = await checked(pbx, configure(tmp_path, pbx, secret="not-the-secret"))
    assert said.code == 1
    assert "[companion]" in said.out
    assert "not-the-secret" not in said.out + said.err


async def test_a_line_that_can_freeze_asterisk_is_warned_of(tmp_path: Path) -> None:
    need_roots("22")
    with Asterisk(PbxOptions("22", channelvars=f"{THE_LINE},CHANNEL(pjsip,call-id)")) as pbx:
        config = configure(tmp_path, pbx, user="lab", secret=pbx.lab.secret)
        said = await checked(pbx, config)  # no call: the first one hangs
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


def doors_of(*tables: str) -> str:
    """More tables of the configuration, for doors beside AMI."""
    return "\n".join(f"[pbx.{table}" for table in tables)


def ari(pbx: Asterisk, password: str = "ami.secret") -> str:  # noqa: S107  the name of a file
    user = f'username = "{pbx.companion.name}"\npassword_file = "{password}"'
    return f'ari]\nhost = "{pbx.host}"\nport = {pbx.ports.http}\n{user}'


@pytest.fixture(scope="module", params=["22", "16"])
def telling(request: pytest.FixtureRequest) -> Iterator[tuple[Asterisk, str]]:
    """A PBX that sends HEP and reports by UserEvent and AGI, with the tables that fit it."""
    release: Release = request.param
    need_roots(release)
    options = PbxOptions(
        release,
        extra={
            "hep.conf": HEP,
            "asterisk-sip.conf": shipped("asterisk/extensions.conf").read_text(),
            "extensions.conf": DIALPLAN,
        },
        modules=("res_hep.so", "res_hep_pjsip.so"),
    )
    with Asterisk(options) as pbx:
        hep = f'hep]\nlisten_host = "{pbx.host}"\nlisten_port = {pbx.ports.refused}\ncapture_id = 7'
        agi = f'agi]\nlisten_host = "{pbx.host}"\nlisten_port = {pbx.ports.refused}'
        yield pbx, doors_of(hep, agi, ari(pbx))


HEP = """
[general]
enabled = yes
capture_address = @host@:@refused@
capture_id = 7
"""

DIALPLAN = """
#include asterisk-sip.conf

[lab]
exten => _byeve[n]t.,1,Gosub(asterisk-sip,call,1)
 same => n,Dial(PJSIP/${CUT(EXTEN,.,2)}@acme,60,b(asterisk-sip^leg^1))
 same => n,Hangup()
exten => _byagi.,1,Set(ASTERISK_SIP_AGI=agi://@host@:@refused@/pbx1)
 same => n,Gosub(asterisk-sip,call,1)
 same => n,Dial(PJSIP/${CUT(EXTEN,.,2)}@acme,60)
 same => n,Hangup()
"""


async def test_every_door_says_what_it_tells_on_this_pbx(telling: tuple[Asterisk, str], tmp_path: Path) -> None:
    pbx, tables = telling
    pbx.rewrite("manager.conf", "read = call,system,agent\n", "read = call,system,agent,user\n")
    pbx.cli("manager reload")
    try:
        config = configure(tmp_path, pbx, ami=f'event_mask = "call,system,agent,user"\n{tables}')
        said = await checked(pbx, config, "byevent.486", "byagi.486", options=("--json",))
    finally:
        pbx.rewrite("manager.conf", "read = call,system,agent,user\n", "read = call,system,agent\n")
        pbx.cli("manager reload")
    assert said.code == 0, said.out
    [told] = json.loads(said.out)["pbx"]
    grades = {each["door"]: each["grade"] for each in told["evidence"]}
    assert grades == {"AMI": "wire", "UserEvent": "wire", "ARI": "wire", "AGI": "wire", "HEP": "wire", "CEL": None}
    [ari_tells] = [each["tells"] for each in told["evidence"] if each["door"] == "ARI"]
    assert "SIP Call-ID" in ari_tells


async def test_a_silent_door_says_what_to_write(telling: tuple[Asterisk, str], tmp_path: Path) -> None:
    pbx, tables = telling
    said = await checked(pbx, configure(tmp_path, pbx, ami=tables))
    assert said.code == 0, said.out
    words = " ".join(said.out.split())
    assert "HEP: nothing came" in words
    assert f"capture_address = {pbx.host}:{pbx.ports.refused}" in words
    assert "AGI: no hangup handler reported" in words
    assert f"ASTERISK_SIP_AGI = agi://{pbx.host}:{pbx.ports.refused}/pbx1" in words


async def test_a_daemon_that_runs_is_not_disturbed(telling: tuple[Asterisk, str], tmp_path: Path) -> None:
    pbx, tables = telling
    async with Companion(tmp_path, pbx, tables) as companion:
        await until(lambda: companion.listened_until() is not None, "a sign of life in the store")
        said = await checked(pbx, companion.config)
        assert said.code == 0, said.out
        assert said.out.count("is taken by the running") == 2
        async with Lab(pbx) as lab:
            await lab.caller.call("byevent.486")
            await lab.idle()
        [record] = await companion.recorded(1)
        assert await companion.stop() == 0
    assert (record["sip"]["code"], record["partial"]) == (486, False)
    assert not companion.logged("not listening")


async def test_a_wrong_ari_password_is_told_and_not_shown(pbx: Asterisk, tmp_path: Path) -> None:
    config = configure(tmp_path, pbx, ami=doors_of(ari(pbx, "ari.password")))
    (tmp_path / "ari.password").write_text("not-the-secret")
    (tmp_path / "ari.password").chmod(0o600)
    said = await checked(pbx, config)
    assert said.code == 1
    assert "read_only = yes" in said.out
    assert "not-the-secret" not in said.out + said.err
