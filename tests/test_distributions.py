"""FreePBX and Wazo lay out Asterisk's files in ways of their own: what the docs say to add does its work there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from .e2e import Companion, command, configure
from .lab.asterisk import Asterisk
from .lab.fixtures import need_roots
from .lab.lab import Lab
from .lab.options import THE_LINE, PbxOptions, Release

pytestmark = pytest.mark.lab

DOCS = Path(__file__).parent.parent / "docs"
WAZO = "WAZO_ENTRY_EXTEN,WAZO_TENANT_UUID,XIVO_USERUUID"
SECRET = "for-this-test"


@pytest.fixture(params=["22", "16"])
def bare_pbx(request: pytest.FixtureRequest) -> Iterator[Asterisk]:
    """An Asterisk that nobody has told of us."""
    release: Release = request.param
    need_roots(release)
    with Asterisk(PbxOptions(release, channelvars=None, timestamps=False)) as pbx:
        yield pbx


def told(page: str) -> str:
    """The file that a page shows."""
    block: str
    [block] = re.findall(r"```ini\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)
    assert THE_LINE in block
    return block.replace("@secret@", SECRET).replace("@wazo@", WAZO)


def settings(pbx: Asterisk) -> dict[str, str]:
    """What Asterisk says of its AMI, after a reload."""
    pbx.cli("manager reload")
    lines = (line.partition(":") for line in pbx.cli("manager show settings").splitlines())
    return {name.strip(): value.strip() for name, _, value in lines}


async def it_does_its_work(pbx: Asterisk, folder: Path) -> None:
    """The user of the page is let in, and a refusal is known as it was received."""
    config = configure(folder / "check", pbx, user="asterisk-sip", secret=SECRET)
    said = await command("check", "--config", str(config), "--wait", "0.1")
    assert "as asterisk-sip" in said.out, said.out
    assert said.code == 0, said.out
    async with Lab(pbx) as lab, Companion(folder, pbx) as companion:
        await lab.caller.call("608")
        [record] = await companion.recorded(1)
    assert (record["sip"]["code"], record["evidence"]["grade"]) == (608, "wire")


async def test_freepbx_includes_a_file_of_its_owner_as_the_last(bare_pbx: Asterisk, tmp_path: Path) -> None:
    ours = (bare_pbx.etc / "manager.conf").read_text()
    (bare_pbx.etc / "manager.conf").write_text(
        f"{ours}\n#include manager_additional.conf\n#include manager_custom.conf\n"
    )
    (bare_pbx.etc / "manager_additional.conf").touch()
    (bare_pbx.etc / "manager_custom.conf").write_text(told("freepbx.md"))
    assert settings(bare_pbx)["Channel vars"] == THE_LINE
    assert settings(bare_pbx)["Timestamp events"] == "Yes"
    await it_does_its_work(bare_pbx, tmp_path)


async def test_wazo_reads_a_folder_and_keeps_its_own_variables(bare_pbx: Asterisk, tmp_path: Path) -> None:
    ours = (bare_pbx.etc / "manager.conf").read_text()
    (bare_pbx.etc / "manager.d").mkdir()
    (bare_pbx.etc / "manager.d/99-general.conf").write_text(
        ours.replace("[general]", f"[general]\nchannelvars = {WAZO}", 1)
    )
    (bare_pbx.etc / "manager.d/asterisk-sip.conf").write_text(told("wazo.md"))
    (bare_pbx.etc / "manager.conf").write_text("#include manager.d/*.conf\n")
    assert settings(bare_pbx)["Channel vars"].split(",", 3) == [*WAZO.split(","), THE_LINE]
    await it_does_its_work(bare_pbx, tmp_path)
