"""The fast way to JSON says the same as the plain one, letter for letter."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from asterisk_sip.calls.model import CallRecord, to_json
from asterisk_sip.calls.record_text import record_text

st.register_type_strategy(
    datetime, st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-5, minutes=-30))]))
)


def plain(record: CallRecord) -> str:
    return json.dumps(to_json(record), ensure_ascii=False, separators=(",", ":"))


@given(st.lists(st.from_type(CallRecord), min_size=1, max_size=4))
def test_any_record_is_written_as_json_dumps_writes_it(records: list[CallRecord]) -> None:
    assert [record_text(record) for record in records] == [plain(record) for record in records]
