"""What a scenario is, and the simplest way to play one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

from tests.lab.lab import Lab
from tests.lab.options import Release

# How the PBX is set up: with the line of the product, without it, with the line and over chan_sip (release 16), or with
# the line and CEL over AMI.
Setup = Literal["", "noline", "chansip", "cel"]
RELEASES: tuple[Release, ...] = ("22", "16")
Play = Callable[[Lab, Setup], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One situation. ``also``: the other setups in which it is worth a recording."""

    name: str
    sentence: str
    play: Play
    also: tuple[Setup, ...] = field(default=())
    plain: bool = True  # worth a recording with the line, over PJSIP
    events: str = "call,system"  # the classes that are recorded
    ends_the_pbx: bool = False
    releases: tuple[Release, ...] = RELEASES  # those that have what it takes


def dials(exten: str, bye_after_s: float | None = 0.3) -> Play:
    """Play one call of the caller to an extension."""

    async def play(lab: Lab, _: Setup) -> object:
        return await lab.caller.call(exten, bye_after_s=bye_after_s)

    return play
