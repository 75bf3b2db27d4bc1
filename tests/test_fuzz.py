"""Every reader takes random and mutated input. `python -m tests.fuzz NAME` does the same with a million frames."""

from __future__ import annotations

import random

import pytest

from tests.fuzz import LEAK_BYTES, TARGETS, Target, fuzz, mutated

FRAMES = 20_000


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
    held: list[bytes] = []
    with pytest.raises(RuntimeError) as caught:
        fuzz(Target([b"seed"], _raise), 10, seed=1)
    assert "frame 0 of seed 1" in caught.value.__notes__[0]
    assert fuzz(Target([b"x" * 10_000], lambda frame: held.append(frame)), 15_000, seed=1) > LEAK_BYTES  # noqa: PLW0108


def _raise(_: bytes) -> None:
    raise RuntimeError
