"""What happens in production: a name that resolves late, a clock that jumps, a disk that takes no more.

Each is seen, told and survived by the real program.
"""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .ami_server import ScriptedAmi
from .lab.wait import until
from .played import Site, hearing, played

NSS_WRAPPER = "libnss_wrapper.so"
FAKETIME = f"/usr/lib/{os.uname().machine}-linux-gnu/faketime/libfaketime.so.1"
HOUR_S = 3_600


def needed(path: str, package: str) -> None:
    """Fail in CI, skip elsewhere, when a library of Debian is not there."""
    if Path(path).exists() or Path(f"/usr/lib/{os.uname().machine}-linux-gnu/{path}").exists():
        return
    reason = f"{path} is not there: apt-get install {package}"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


async def comes(site: Site, condition: Callable[[Any], bool], what: str, within_s: float = 60.0) -> Any:
    """Wait until /readyz tells something; give all it tells."""
    told: Any = None
    try:
        async with asyncio.timeout(within_s):
            while True:
                told = await site.ready()
                if condition(told):
                    return told
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"{what} is not told: {told}") from None


async def test_a_name_that_resolves_late_is_told_once_and_heard_as_soon_as_it_does(tmp_path: Path) -> None:
    needed(NSS_WRAPPER, "libnss-wrapper")
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost\n")
    environ = {
        "LD_PRELOAD": NSS_WRAPPER,
        "NSS_WRAPPER_HOSTS": str(hosts),
        "ASTERISK_SIP__PBX__0__AMI__HOST": "late.pbx.invalid",
    }
    async with ScriptedAmi() as pbx, hearing(pbx, tmp_path, **environ) as site:
        told = await comes(site, lambda told: "ami: no connection" in str(told["reasons"]), "the outage")
        assert told["status"] == "not ready"
        assert (await site.get("/healthz"))[0] == 200
        hosts.write_text("127.0.0.1 localhost late.pbx.invalid\n")
        await site.program.says("listening")
        await comes(site, lambda told: told["status"] == "ready", "that it is ready")
        assert await site.program.stop() == 0
    assert len(site.program.logged("not listening")) == 1


async def test_a_clock_that_jumps_by_an_hour_is_told_and_every_call_is_recorded(tmp_path: Path) -> None:
    needed(FAKETIME, "faketime")
    offset = tmp_path / "offset"
    offset.write_text("+0\n")
    environ = {
        "LD_PRELOAD": FAKETIME,
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    async with played(tmp_path, **environ) as site:
        told = await comes(site, lambda told: told["work"]["records"] >= 20, "some records")
        for jump_s in (HOUR_S, -HOUR_S):
            before = told["work"]["records"]
            (tmp_path / "then").write_text(f"{jump_s:+d}\n")
            (tmp_path / "then").replace(offset)  # at once: it is read whenever the program asks for the time
            told = await comes(site, lambda told: told["work"]["records"] >= before + 25, "more records")  # noqa: B023  awaited at once
            assert told["status"] == "ready"
            assert told["work"]["lost_records"] == 0
        _, _, metrics = await site.get("/metrics")
        assert await site.program.stop() == 0
    by_s = [round(line["by_s"], -2) for line in site.program.logged(SET)]
    assert by_s == [HOUR_S, -2 * HOUR_S]
    ahead_s = [
        round(line["ahead_s"], -2)
        for line in site.program.logged("the clock of the PBX is not ours; records have its times")
    ]
    assert ahead_s[0] == -HOUR_S
    assert 'asterisk_sip_clock_ahead_seconds{pbx="pbx1"} 3' in metrics
    assert not site.program.logged("not listening")


SET = "the clock of this machine was set; times before and after do not fit together"


async def test_a_disk_that_takes_no_more_makes_it_not_ready_until_it_does_again(tmp_path: Path) -> None:
    async with played(tmp_path) as site:
        await comes(site, lambda told: told["work"]["records"] >= 20, "some records")
        resource.prlimit(site.program.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))  # nor the log
        told = await comes(site, lambda told: told["reasons"] != [], "that the store takes nothing")
        assert told["reasons"][0]["part"] == "store"
        assert "calls.db" in told["reasons"][0]["text"]
        told = await comes(site, lambda told: told["work"]["waiting_records"] > 20, "that records wait")
        _, _, metrics = await site.get("/metrics")
        assert "asterisk_sip_store_up 0.0" in metrics
        resource.prlimit(site.program.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        told = await comes(site, lambda told: told["status"] == "ready", "that the store takes records again", 60)
        assert told["work"]["lost_records"] == 0
        await until(lambda: bool(site.program.logged("the store takes records again")), "it is logged")
        assert await site.program.stop() == 0
