"""The call scenarios of ``tests/cases``: what a real PBX said over AMI, and the records that must come of it.

``python -m tests.cases take NAME...`` copies recordings from ``.lab/captures`` (made by ``python -m tests.lab record``;
those of ``MORE`` by ``python -m tests.cases record``),
``python -m tests.cases update NAME...|all`` writes the expected records anew. Then read them: ``git diff tests/cases``.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asterisk_sip.calls.enrich import Surroundings, TrunkRule
from asterisk_sip.calls.model import to_json
from asterisk_sip.cli_journal import bare
from asterisk_sip.sources.recording import Replay
from tests.lab.asterisk import Asterisk
from tests.lab.lab import Lab
from tests.lab.record import options, record_one
from tests.lab.scenario import RELEASES
from tests.lab.scenarios import SCENARIOS, Scenario, Setup

CASES = Path(__file__).with_name("cases")
CAPTURES = Path(__file__).parent.parent / ".lab" / "captures"
TRUNKS = ("acme*", "globex", "initech", "silent", "refused", "lost", "empty")  # the other endpoints are phones
SETUPS = {"noline": "without the line in manager.conf", "chansip": "over chan_sip", "cel": "with CEL over AMI"}


async def _nobody_at_home(lab: Lab, _: Setup) -> object:
    return await lab.caller.call("ringgroup.2")


async def _gives_up_on_the_group(lab: Lab, _: Setup) -> object:
    return await lab.caller.call("ringgroup", cancel_on=180, cancel_after_s=0.5)


MORE = (
    Scenario(
        "local-ringgroup-no-answer",
        "three phones behind Local channels ring until the Dial timeout of 2 s",
        _nobody_at_home,
    ),
    Scenario(
        "local-ringgroup-cancel",
        "the caller gives up while three phones behind Local channels ring",
        _gives_up_on_the_group,
    ),
)


@dataclass(frozen=True, slots=True)
class Case:
    """One scenario as one release told it."""

    name: str
    release: str

    @property
    def folder(self) -> Path:
        """Where it lives."""
        return CASES / self.name

    @property
    def recording(self) -> Path:
        """Every byte that the PBX sent over AMI; or a journal, of a case that `asterisk-sip export-case` made."""
        journal = self.folder / f"{self.release}.journal.gz"
        return journal if journal.exists() else self.folder / f"{self.release}.ami.gz"

    @property
    def expected(self) -> Path:
        """The records that must come of it, one a line, without the catalogue's words."""
        return self.folder / f"expected-{self.release}.jsonl"

    def description(self) -> dict[str, Any]:
        """What ``case.toml`` says."""
        return tomllib.loads((self.folder / "case.toml").read_text())

    def records(self) -> list[Any]:
        """Replay the recording."""
        trunks = self.description().get("trunks", TRUNKS)
        reader = Replay(Surroundings("pbx1", trunks=tuple(TrunkRule(None, (pattern,)) for pattern in trunks)))
        records = [bare(to_json(record)) for record in reader.read([self.recording])]
        if reader.unfinished or reader.unreadable:
            raise AssertionError(
                f"{self}: {reader.unfinished} calls unfinished, {reader.unreadable} messages unreadable"
            )
        return records

    def __str__(self) -> str:
        return f"{self.name}-{self.release}"


def all_cases() -> list[Case]:
    """Every case there is."""
    recordings = [*CASES.glob("*/*.ami.gz"), *CASES.glob("*/*.journal.gz")]
    return sorted((Case(path.parent.name, path.name.partition(".")[0]) for path in recordings), key=str)


def take(name: str) -> Iterator[Case]:
    """Copy the recordings of a scenario from the captures."""
    for release in RELEASES:
        capture = CAPTURES / f"{name}-{release}.ami"
        if capture.exists():
            case = Case(name, release)
            case.folder.mkdir(parents=True, exist_ok=True)
            case.recording.write_bytes(gzip.compress(capture.read_bytes(), 9, mtime=0))
            yield case


def describe(name: str) -> None:
    """Write the case's description, unless it has one."""
    path = CASES / name / "case.toml"
    if path.exists():
        return
    base, _, setup = name.rpartition("-")
    scenario, told = (base, f", {SETUPS[setup]}") if setup in SETUPS else (name, "")
    found = next(each for each in (*SCENARIOS, *MORE) if each.name == scenario)
    lines = [f"sentence = {json.dumps(found.sentence[0].upper() + found.sentence[1:] + told + '.')}"]
    if found.releases != RELEASES:
        lines.append(f"releases = {json.dumps(found.releases)}")
    path.write_text("\n".join((*lines, "")))


def update(case: Case) -> None:
    """Write the expected records anew."""
    lines = (json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n" for record in case.records())
    case.expected.write_text("".join(lines))


async def record() -> None:
    """Record the scenarios of ``MORE`` on both releases into the captures."""
    for release in RELEASES:
        with Asterisk(options(release, "")) as pbx:
            async with Lab(pbx) as lab:
                for scenario in MORE:
                    await record_one(lab, scenario, "", CAPTURES / f"{scenario.name}-{release}.ami")


def main(arguments: list[str]) -> int:
    """Run ``take`` or ``update``."""
    verb, *names = arguments or ["help"]
    if verb == "record":
        asyncio.run(record())
        return 0
    if verb not in ("take", "update") or not names:
        sys.stderr.write(__doc__ or "")
        return 2
    for name in names:
        taken = list(take(name)) if verb == "take" else [case for case in all_cases() if name in (case.name, "all")]
        if not taken:
            sys.stderr.write(f"nothing called {name}\n")
            return 1
        if verb == "take":
            describe(name)
        for case in taken:
            update(case)
            sys.stdout.write(f"{case}: {case.recording.stat().st_size:,} bytes, {len(case.records())} records\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
