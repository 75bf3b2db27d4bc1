"""The id of a call: the same whoever computes it, and in the order of time, so that stores write side by side."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asterisk_sip.calls.model import call_id

SECONDS = st.integers(10**8, 2**32 - 1)


@given(st.lists(SECONDS, unique=True), st.sampled_from(["", "pbx-7-", "berlin.2-"]))
def test_the_ids_of_calls_are_in_the_order_of_their_seconds(seconds: list[int], system_name: str) -> None:
    ids = {call_id("pbx", f"{system_name}{second}.{number}"): second for number, second in enumerate(seconds)}
    assert [ids[each] for each in sorted(ids)] == sorted(seconds)


def test_an_id_tells_its_second() -> None:
    assert int(call_id("pbx", "1700000000.12")[:8], 16) == 1_700_000_000


@pytest.mark.parametrize(
    "linkedid",
    [
        "sip:3c26700d@192.0.2.7",
        "order-4711",
        "12.5",
        "1700000000",
        "9999999999.1",
        "1700000000.12;2",
        "\u06f1" * 10 + ".1",
    ],
)
def test_a_linkedid_without_a_second_has_an_id_too(linkedid: str) -> None:
    ids = {call_id(pbx, linkedid, generation) for pbx in ("a", "b") for generation in (0, 1)}
    assert len(ids) == 4
    assert all(len(each) == 32 and int(each, 16) >= 0 for each in ids)
    assert call_id("a", linkedid) == call_id("a", linkedid)


def test_calls_of_one_second_differ_by_pbx_number_and_generation() -> None:
    ids = [
        call_id(pbx, f"1700000000.{number}", generation)
        for pbx in ("a", "b")
        for number in range(1_000)
        for generation in (0, 1)
    ]
    assert len(set(ids)) == len(ids)
