"""Call records for tests: plausible, each different, all from small integers."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from asterisk_sip.calls.model import (
    Q850,
    Attempt,
    Caller,
    CallRecord,
    Evidence,
    Fault,
    Finding,
    Grade,
    Outcome,
    SipStatus,
    call_id,
)
from asterisk_sip.stores.base import Batch, Gap, OpenCall, Store
from asterisk_sip.stores.sqlite import SqliteStore

BEGAN = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)

UNAVAILABLE = SipStatus(503, "Service Unavailable", 5, "Server Error", "it failed", "No free channel.", "RFC 3261")
BUSY = SipStatus(486, "Busy Here", 4, "Client Error", "it cannot", "The called party is busy.", "RFC 3261")
OK = SipStatus(200, "OK", 2, "Success", "it worked", "The call was answered.", "RFC 3261")


def attempt(seq: int, trunk: str | None, sip: SipStatus, disposition: str, at: datetime) -> Attempt:
    """Return an attempt that took a second; the endpoint is named after the trunk."""
    return Attempt(
        seq=seq,
        stage=seq,
        channel=f"PJSIP/{trunk}-0000{seq:04x}",
        uniqueid=f"1700000000.{seq}",
        endpoint=f"{trunk}-out" if trunk else "phone",
        trunk=trunk,
        dialled="+4930123456",
        sip_call_id="abc@192.0.2.1",
        began_at=at,
        ended_at=at + timedelta(seconds=1),
        pdd_ms=120,
        ring_ms=None,
        dial_status="CONGESTION",
        forward=None,
        disposition=disposition,
        sip=sip,
        evidence=Evidence(Grade.WIRE, "hangupcause", (Finding(Grade.REPORTED, "techcause", sip.code),)),
        q850=Q850(34, "Circuit/channel congestion"),
        fault=Fault("carrier", "The carrier says so itself."),
    )


def failed(number: int = 0, *, trunk: str = "carrier-a", sip: SipStatus = UNAVAILABLE, pbx: str = "pbx") -> CallRecord:
    """Return call ``number``, which began that many seconds after BEGAN and failed on one trunk two seconds later."""
    began_at = BEGAN + timedelta(seconds=number)
    disposition = "busy" if sip is BUSY else "congestion"
    return CallRecord(
        id=call_id(pbx, f"1700000000.{number}"),
        pbx=pbx,
        asterisk_version="22.5.0",
        linkedid=f"1700000000.{number}",
        started_at=began_at,
        ended_at=began_at + timedelta(seconds=2),
        answered_at=None,
        duration_ms=2_000,
        direction="outbound",
        caller=Caller("101", "Alice", "alice"),
        dialled="+4930123456",
        context="internal",
        exten="0030123456",
        account=None,
        outcome=Outcome.FAILED,
        disposition=disposition,
        sip=sip,
        evidence=Evidence(Grade.WIRE, "hangupcause"),
        q850=Q850(34, "Circuit/channel congestion"),
        released_by="network",
        fault=Fault("carrier", "The carrier says so itself."),
        hint="Send the call through another trunk.",
        attempts=(attempt(1, trunk, sip, disposition, began_at),),
        partial=False,
    )


def answered(number: int = 0, trunk: str = "carrier-a") -> CallRecord:
    """Return call ``number``, answered after one second and ended after another."""
    record = failed(number, trunk=trunk, sip=OK)
    began_at = BEGAN + timedelta(seconds=number)
    return replace(
        record,
        outcome=Outcome.ANSWERED,
        disposition="answered",
        answered_at=began_at + timedelta(seconds=1),
        attempts=(attempt(1, trunk, OK, "answered", began_at),),
        hint=None,
    )


def rescued(number: int = 0) -> CallRecord:
    """Return call ``number``: refused by carrier-a, answered through carrier-b."""
    record, at = answered(number, "carrier-b"), BEGAN + timedelta(seconds=number)
    tried = (attempt(1, "carrier-a", UNAVAILABLE, "congestion", at), attempt(2, "carrier-b", OK, "answered", at))
    return replace(record, outcome=Outcome.RESCUED, attempts=tried)


def abandoned(number: int = 0) -> CallRecord:
    """Return call ``number``: the caller gave up, and only a set of codes is known."""
    unknown = SipStatus(candidates=(487, 600))
    tried = attempt(1, "carrier-a", unknown, "cancelled", BEGAN + timedelta(seconds=number))
    return replace(
        failed(number, sip=unknown),
        attempts=(tried,),
        outcome=Outcome.ABANDONED,
        disposition="cancelled",
        evidence=Evidence(Grade.CANDIDATES, "q850"),
    )


def batches(count: int, size: int) -> Iterable[Batch]:
    """Return batches of failed calls; the linkedid of each call in flight is that of a record in the same batch."""
    for number in range(count):
        records = [failed(number * size + index) for index in range(size)]
        yield Batch(records, open_calls=[OpenCall("pbx", record.linkedid, BEGAN, "{}") for record in records])


async def write(path: Path, *records: CallRecord) -> None:
    """Write records into a store of their own."""
    store = SqliteStore(path)
    await store.open()
    try:
        await store.write(Batch(list(records)))
    finally:
        await store.close()


async def fill(store: Store) -> None:
    """Write what tests/databases holds: one call of each kind, one in flight, one gap."""
    await store.open()
    records = [failed(1), failed(2, sip=BUSY, trunk="carrier-b"), rescued(3), abandoned(4), answered(5)]
    gap = Gap("gap-1", "pbx", "ami", BEGAN, BEGAN + timedelta(seconds=3), "Asterisk restarted")
    await store.write(Batch(records, [OpenCall("pbx", "1700000000.9", BEGAN, '{"legs": []}')], gaps=[gap]))
    await store.close()


if __name__ == "__main__":
    asyncio.run(fill(SqliteStore(Path(sys.argv[1]))))
