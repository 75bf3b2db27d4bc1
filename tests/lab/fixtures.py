"""Pytest fixtures: the two PBXs (one each for a whole test process) and, for one test, everybody around them."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio

from tests.lab import roots
from tests.lab.asterisk import Asterisk
from tests.lab.errors import RootError
from tests.lab.lab import Lab
from tests.lab.options import PbxOptions, Release


def need_roots(*releases: Release) -> None:
    """Skip the test when the PBXs are not built here; fail it where they must be (CI)."""
    for release in releases:
        _need(partial(roots.existing, release))


def need_bare() -> Path:
    """Give the bare root; skip or fail the test likewise when it is not there."""
    return _need(roots.bare)


def _need(root: Callable[[], Path]) -> Path:
    try:
        return root()
    except RootError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def pbx22() -> Iterator[Asterisk]:
    """Asterisk 22 with the line of the product."""
    need_roots("22")
    with Asterisk(PbxOptions("22")) as pbx:
        yield pbx


@pytest.fixture(scope="session")
def pbx16() -> Iterator[Asterisk]:
    """Asterisk 16 with the line of the product, and chan_sip."""
    need_roots("16")
    with Asterisk(PbxOptions("16", chan_sip=True)) as pbx:
        yield pbx


@pytest.fixture(params=["22", "16"])
def pbx(request: pytest.FixtureRequest) -> Asterisk:
    """Give each of the two, one after the other."""
    found: Asterisk = request.getfixturevalue(f"pbx{request.param}")
    return found


@pytest_asyncio.fixture
async def lab(pbx: Asterisk) -> AsyncIterator[Lab]:
    """Each PBX with its trunks, phones and callers; no call is left when the test is over."""
    async with Lab(pbx) as around:
        yield around
        await around.idle()


@pytest_asyncio.fixture
async def lab22(pbx22: Asterisk) -> AsyncIterator[Lab]:
    """Asterisk 22 with its trunks, phones and callers."""
    async with Lab(pbx22) as around:
        yield around
        await around.idle()


@pytest_asyncio.fixture
async def lab16(pbx16: Asterisk) -> AsyncIterator[Lab]:
    """Asterisk 16 with its trunks, phones and callers."""
    async with Lab(pbx16) as around:
        yield around
        await around.idle()
