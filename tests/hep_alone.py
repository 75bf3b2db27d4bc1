"""The same calls as AMI tells them and as HEP alone does: recorded together, read apart."""

from __future__ import annotations

import asyncio
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from asterisk_sip.calls import enrich
from asterisk_sip.calls.enrich import Surroundings
from asterisk_sip.calls.model import CallRecord
from asterisk_sip.calls.switchboard import Switchboard
from asterisk_sip.sources.hep_wire import Reader
from asterisk_sip.sources.recording import Replay
from tests.hep_lab import HepPbx
from tests.lab.ami import Recorder
from tests.lab.lab import Lab
from tests.lab.scenario import Scenario
from tests.lab.wait import until

Told = list[tuple[Any, ...]]


@dataclass
class HepTape:
    """Every datagram that comes, with when it came."""

    port: int
    datagrams: list[tuple[float, bytes]] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._socket.setblocking(False)
        self._socket.bind(("127.0.0.1", self.port))
        asyncio.get_running_loop().add_reader(self._socket, self._readable)
        return self

    async def __aexit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _readable(self) -> None:
        self.datagrams.append((time.time(), self._socket.recv(65_535)))

    def records(self, board: Switchboard, pbx: str = "pbx1") -> list[CallRecord]:
        """What a companion would record that hears nothing else."""
        reader, calls = Reader(), []
        for now, data in self.datagrams:
            calls += board.due(now)
            for seen in reader.feed(data, "127.0.0.1"):
                calls += board.feed(seen, now)
        for later_s in (1, 10, 40):
            calls += board.due(self.datagrams[-1][0] + later_s)
        assert reader.unreadable == 0
        return [enrich.record(call, Surroundings(pbx)) for call in calls]


async def both(
    lab: Lab, hep: HepPbx, scenario: Scenario, folder: Path, board: Switchboard
) -> tuple[list[CallRecord], list[CallRecord]]:
    """Play a scenario; give its records as AMI tells it, and as HEP alone does."""
    lab.forget()
    path = folder / f"{scenario.name}.ami"
    async with HepTape(hep.port) as tape, Recorder(lab.pbx.host, lab.pbx.ports.ami, path) as recorder:
        await recorder.connect(lab.pbx.companion.name, lab.pbx.companion.secret, events=scenario.events)
        await recorder.action("CoreSettings")
        await scenario.play(lab, "")
        await lab.idle()
        await until(lambda: recorder.quiet, f"every channel of {scenario.name} gone")
        await asyncio.sleep(0.3)  # the last acknowledgements
    return list(Replay(Surroundings("pbx1")).read([path])), tape.records(board)


def told(records: list[CallRecord]) -> Told:
    """What must be the same whichever door told of a call."""
    return sorted(
        (
            record.dialled or "",
            str(record.outcome),
            record.disposition,
            record.sip.code or 0,
            record.released_by,
            sorted(
                (each.stage, each.disposition, each.sip.code or 0, each.sip.phrase or "") for each in record.attempts
            ),
        )
        for record in records
    )
