"""What holds for the recordings of every shape of call: nothing is kept of a call that is over."""

from __future__ import annotations

import gzip

import pytest

from tests.call_listener import Listener
from tests.cases import Case, all_cases


@pytest.mark.parametrize("case", all_cases(), ids=str)
def test_nothing_is_kept_of_calls_that_are_over(case: Case) -> None:
    listener = Listener()
    stream = gzip.decompress(case.recording.read_bytes())
    for start in range(0, len(stream), 4096):
        listener.hear(stream[start : start + 4096])
    assert listener.correlator.held == 0
    assert listener.records
