"""Answers kept for a moment."""

from __future__ import annotations

import asyncio

import pytest

from asterisk_sip.web.memo import Memo


class Asked:
    """Counts how often it was asked; answers with nothing, as answers may."""

    def __init__(self) -> None:
        self.times = 0
        self.fails = False

    async def __call__(self) -> None:
        self.times += 1
        await asyncio.sleep(0)
        if self.fails:
            raise RuntimeError("not now")


async def test_many_who_ask_at_once_are_one_question() -> None:
    memo, asked = Memo(), Asked()
    await asyncio.gather(*(memo.get("key", 60, asked) for _ in range(50)))
    assert asked.times == 1
    await memo.get("other", 60, asked)
    assert asked.times == 2


async def test_an_answer_too_old_is_asked_for_anew() -> None:
    memo, asked = Memo(), Asked()
    for _ in range(3):
        await memo.get("key", 0, asked)
    assert asked.times == 3


async def test_a_failure_is_told_and_not_kept() -> None:
    memo, asked = Memo(), Asked()
    asked.fails = True
    with pytest.raises(RuntimeError):
        await memo.get("key", 60, asked)
    asked.fails = False
    await memo.get("key", 60, asked)
    assert asked.times == 2
