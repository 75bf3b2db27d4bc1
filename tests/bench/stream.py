"""Long AMI streams made of recordings of a real Asterisk 22, and a server that pushes one."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path

from asterisk_sip import demo
from asterisk_sip.sources import ami_wire
from tests.bench.recording import FULL

LAST = b"Event: BenchmarkEnd\r\nPrivilege: call,all\r\n"
FIRST_ID = 1_700_000_000
ROUND_S = 100  # rounds begin so far apart: no two share ids

ANSWERS = {"Challenge": "Challenge: 1\r\n", "Login": "Message: Authentication accepted\r\n"}

RECORDINGS: dict[str, Path | None] = {"all": FULL, "call,system,agent": None}
"""By the event mask they were heard with; None is the demo's recording, of an office's calls."""


def write(mask: str, wanted_events: int, out: Path) -> int:
    """Write the events of a recording again and again, each round with new ids; return how many."""
    recording = RECORDINGS[mask]
    loaded = demo.load(None if recording is None else recording.read_bytes())
    count = 0
    with out.open("wb") as stream:
        for round_ in range(-(-wanted_events // len(loaded.messages))):
            began_at = FIRST_ID + round_ * ROUND_S
            for at_s, block in loaded.messages:
                stream.write(demo.shifted(block, began_at + at_s, began_at) + ami_wire.END)
                count += 1
    return count


async def serve(stream: bytes) -> None:
    """Listen on a free port, print it, and after each login push the stream, then ``LAST``."""
    data = stream + LAST + ami_wire.END

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"Asterisk Call Manager/11.0.0\r\n")
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                action = ami_wire.Headers(await reader.readuntil(ami_wire.END))
                extra = ANSWERS.get(action.get("Action"), "")
                writer.write(f"Response: Success\r\nActionID: {action.get('ActionID')}\r\n{extra}\r\n".encode())
                if action.get("Action") == "Login":
                    writer.write(data)
        writer.close()

    server = await asyncio.start_server(client, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]).read_bytes()))
