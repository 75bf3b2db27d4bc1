"""Records what AMI and ARI say in every scenario: ``python -m tests.lab record NAME|all``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.lab.ami import Recorder
from tests.lab.ari import AriRecorder
from tests.lab.asterisk import Asterisk
from tests.lab.lab import Lab
from tests.lab.options import PbxOptions, Release
from tests.lab.scenario import RELEASES, Scenario, Setup
from tests.lab.scenarios import SCENARIOS
from tests.lab.wait import until


def options(release: Release, setup: Setup) -> PbxOptions:
    """Give how a PBX is set up for a recording."""
    if setup == "noline":
        return PbxOptions(release, channelvars=None)
    return PbxOptions(release, chan_sip=setup == "chansip", cel_events=setup == "cel")


def wanted(names: Sequence[str], setup: Setup) -> list[Scenario]:
    """Give the scenarios of a setup, all of them or those named."""
    fits = [each for each in SCENARIOS if (each.plain if not setup else setup in each.also)]
    return [each for each in fits if "all" in names or each.name in names]


async def record(names: Sequence[str], folder: Path, say: Callable[[str], None] = print) -> list[Path]:
    """Record scenarios by name (or ``all``) on both releases into ``folder``; give the files written."""
    jobs: list[tuple[Asterisk, Setup, list[Scenario]]] = []
    try:
        for setup in ("", "noline", "chansip", "cel"):
            scenarios = wanted(names, setup)
            for release in RELEASES if scenarios else ():
                if setup == "chansip" and release != "16":
                    continue
                for some in _apart([each for each in scenarios if release in each.releases]):
                    pbx = Asterisk(options(release, setup))
                    jobs.append((pbx, setup, some))
                    pbx.start()
        written = await asyncio.gather(*(_record_all(pbx, setup, each, folder, say) for pbx, setup, each in jobs))
    finally:
        for pbx, _, _ in jobs:
            pbx.stop()
    return sorted(path for paths in written for path in paths)


def _apart(scenarios: list[Scenario]) -> list[list[Scenario]]:
    """Give each scenario that ends its PBX a PBX of its own."""
    others = [each for each in scenarios if not each.ends_the_pbx]
    return [[each] for each in scenarios if each.ends_the_pbx] + ([others] if others else [])


async def _record_all(
    pbx: Asterisk, setup: Setup, scenarios: list[Scenario], folder: Path, say: Callable[[str], None]
) -> list[Path]:
    written: list[Path] = []
    async with Lab(pbx) as lab:
        for scenario in scenarios:
            suffix = f"-{setup}" if setup else ""
            path = folder / f"{scenario.name}{suffix}-{pbx.options.release}.ami"
            size = await record_one(lab, scenario, setup, path)
            written.append(path)
            say(f"{size:>9,} bytes  {path.name}")
    return written


async def record_one(lab: Lab, scenario: Scenario, setup: Setup, path: Path) -> int:
    """Play one scenario and write every byte that the user ``companion`` received meanwhile; give how many over AMI.

    What came over ARI goes into a file beside it, one frame a line.
    """
    lab.forget()
    async with (
        AriRecorder(lab.pbx, path.with_suffix(".ari")) as ari,
        Recorder(lab.pbx.host, lab.pbx.ports.ami, path) as recorder,
    ):
        await recorder.connect(lab.pbx.companion.name, lab.pbx.companion.secret, events=scenario.events)
        await recorder.action("CoreSettings")
        await recorder.action("Ping")
        await scenario.play(lab, setup)
        if scenario.ends_the_pbx:
            await until(lambda: recorder.closed, "the link is closed")
        else:
            await lab.idle()
            await until(lambda: recorder.quiet and ari.quiet, f"every channel of {scenario.name} gone")
    return recorder.size
