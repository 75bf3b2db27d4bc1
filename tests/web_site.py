"""What tests of the pages show: some calls of the last hour, one of them hostile wherever it can be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from asterisk_sip.calls.model import Caller, CallRecord, LadderLine, SipStatus
from asterisk_sip.catalog import Redress
from asterisk_sip.stores.base import Batch, Store

from .call_records import BEGAN, BUSY, abandoned, attempt, failed, rescued

HOSTILE = "<script>window.hacked=1</script><img src=x onerror=window.hacked=2>${7*7}{{7*7}}\"'>"


def lately(record: CallRecord, days_ago: int = 0) -> CallRecord:
    """Return a record as of some minutes ago, or of so many days before."""
    shift = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(days=days_ago, minutes=5) - BEGAN

    def moved(at: datetime | None) -> datetime | None:
        return at and at + shift

    tried = tuple(
        replace(each, began_at=moved(each.began_at), ended_at=moved(each.ended_at)) for each in record.attempts
    )
    times = {name: moved(getattr(record, name)) for name in ("started_at", "answered_at", "ended_at")}
    return replace(record, attempts=tried, **times)  # type: ignore[arg-type]  # each is a time


def hostile() -> CallRecord:
    """Return a call in which every text that comes from elsewhere is an attack."""
    sip = SipStatus(500, HOSTILE, 5, "Server Error", "it failed", HOSTILE, "RFC 3261")
    line = LadderLine(BEGAN, "received", HOSTILE, HOSTILE)
    tried = replace(
        attempt(1, HOSTILE, sip, "server_error", BEGAN),
        endpoint=HOSTILE,
        channel=HOSTILE,
        dialled=HOSTILE,
        sip_call_id=HOSTILE,
        forward=HOSTILE,
        dial_status=HOSTILE,
        remote_reason=(HOSTILE,),
        remote_warning=(HOSTILE,),
        rule=HOSTILE,
        redress=Redress(f"javascript:{HOSTILE}", HOSTILE, HOSTILE, HOSTILE),
        ladder=(line,),
    )
    return replace(
        failed(6, sip=sip),
        caller=Caller(HOSTILE, f"{HOSTILE}\u202e", HOSTILE),
        dialled=HOSTILE,
        context=HOSTILE,
        exten=HOSTILE,
        account=HOSTILE,
        hint=HOSTILE,
        attempts=(tried,),
        ladder=(line,),
    )


RECORDS = [
    failed(1),
    failed(2, sip=BUSY, trunk="carrier-b"),
    rescued(3),
    abandoned(4),
    hostile(),
    *(failed(number, sip=BUSY) for number in range(7, 12)),
]


async def fill(store: Store, records: Sequence[CallRecord] = RECORDS) -> None:
    """Write records as of some minutes ago, and that their PBX is heard."""
    await store.write(Batch([lately(record) for record in records], listened={"pbx": datetime.now(UTC)}))
