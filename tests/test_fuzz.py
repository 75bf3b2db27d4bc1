"""Every reader takes random and mutated input. `python -m tests.fuzz NAME` does the same with a million frames."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz import LEAK_BYTES, TARGETS, Target, fuzz, mutated

FRAMES = 20_000
ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_a_reader_takes_anything_and_keeps_nothing_of_it(name: str) -> None:
    assert fuzz(TARGETS[name](), FRAMES, seed=1) < LEAK_BYTES


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_good_frames_do_reach_what_is_tested(name: str) -> None:
    seeds = TARGETS[name]().seeds
    dice = random.Random(1)
    same = sum(mutated(seed, seeds, dice) == seed for seed in (*seeds,) * 10)
    assert len(seeds) > 20
    assert 0.05 < same / (10 * len(seeds)) < 0.6


def test_what_raises_and_what_leaks_is_found() -> None:
    with pytest.raises(RuntimeError) as caught:
        fuzz(Target([b"seed"], _raise), 10, seed=1)
    assert "frame 0 of seed 1" in caught.value.__notes__[0]
    # in a process of its own: in this one, what leaks may hide in memory that earlier tests freed
    held = "from tests.fuzz import Target, fuzz; print(fuzz(Target([b'x' * 10_000], [].append), 15_000, seed=1))"
    said = subprocess.run([sys.executable, "-c", held], capture_output=True, text=True, check=True, cwd=ROOT)
    assert int(said.stdout) > LEAK_BYTES


def _raise(_: bytes) -> None:
    raise RuntimeError
