"""Random and mutated input through a reader, as much as you like: ``python -m tests.fuzz ari --frames 1000000``.

A reader must take anything: raise nothing, and hold no more memory after the last frame than after the first tenth.
Each door is a row of ``TARGETS``; a run with the same seed does the same.
"""

from __future__ import annotations

import argparse
import copy
import gzip
import itertools
import json
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from asterisk_sip.calls import enrich
from asterisk_sip.calls.bounded import Limits
from asterisk_sip.calls.model import to_json
from asterisk_sip.calls.state import Call
from asterisk_sip.calls.story import story
from asterisk_sip.calls.switchboard import Switchboard
from asterisk_sip.sources import ami_wire, ari_wire, hep_wire
from tests import hep_packets

TESTS = Path(__file__).parent
LEAK_BYTES = 16 << 20
"""How much memory may grow between a tenth of the frames and all of them: what the allocator keeps, and no more."""

SMALL = Limits(open_calls=500, attempts_per_call=50, legs_per_call=50, ended_legs=1_000, peers=500)
"""Bounds that a hostile stream reaches within the first tenth, so that what grows after it is a leak."""


@dataclass(frozen=True)
class Target:
    """A reader under test: good frames to begin from, and what takes a frame and must not raise.

    ``twist`` changes what a frame says but not its form, for readers that refuse a damaged form at once.
    """

    seeds: Sequence[bytes]
    feed: Callable[[bytes], object]
    twist: Callable[[bytes, random.Random], bytes] | None = None


def mutated(frame: bytes, seeds: Sequence[bytes], dice: random.Random) -> bytes:
    """Return a frame with some of its bytes changed, moved, doubled or cut, or something else altogether."""
    if dice.random() < 0.02:
        return dice.randbytes(dice.randrange(2_000))
    data = bytearray(frame)
    for _ in range(dice.choice((0, 1, 1, 2, 4, 16))):
        start = dice.randrange(len(data) + 1)
        end = min(len(data), start + dice.choice((0, 1, 2, 8, 64, 512)))
        kind = dice.randrange(6)
        if kind == 0:
            data[start:end] = dice.randbytes(end - start)
        elif kind == 1:
            del data[start:end]
        elif kind == 2:
            data[start:start] = data[start:end] * dice.choice((1, 2, 50))
        elif kind == 3:
            other = dice.choice(seeds)
            cut = dice.randrange(len(other) + 1)
            data[start:end] = other[cut : cut + end - start]
        elif kind == 4:
            data[start:end] = dice.choice(ODD)
        else:
            del data[start:]
    return bytes(data)


ODD = (
    *(b"", b"\0", b"\r\n", b"\n\n", b"\\", b'"', b"'", b"{", b"}", b"[", b"]", b":", b",", b"<", b">", b";", b"="),
    *(b"SIP 799 x", b"SIP 000 ", b"SIP 180", b"SIP 486 Busy Here", b"SIP 200 OK", b"2147483648", b"127", b"26"),
    *(b"null", b"true", b"-1", b"1e999", b"NaN", b"9" * 400, b"\xff\xfe", b"\xed\xa0\x80", b"\\ud800", b"\\u0000"),
    *(b"[" * 2_000, b'{"a":' * 2_000, "\u202e☎".encode(), b"%n%s", b"${SHELL(id)}"),
)
"""Pieces that parsers are known to stumble over."""


def resident_bytes() -> int:
    """Return how much memory this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4_096


def fuzz(target: Target, frames: int, seed: int) -> int:
    """Feed so many frames; return by how many bytes memory grew after the first tenth of them.

    Whatever the reader raises comes out of here, with the frame as a note.
    """
    dice = random.Random(seed)
    settled = 0
    for number in range(frames):
        frame = dice.choice(target.seeds)
        if target.twist is not None and number % 2:
            frame = target.twist(frame, dice)
        else:
            frame = mutated(frame, target.seeds, dice)
        try:
            target.feed(frame)
        except Exception as error:
            error.add_note(f"frame {number} of seed {seed}: {frame!r}")
            raise
        if number == frames // 10:
            settled = resident_bytes()
    return resident_bytes() - settled


AROUND = enrich.Surroundings("pbx", trunks=(enrich.TrunkRule(None, ("a*",)),))


def judge(calls: list[Call]) -> None:
    """Write the records of calls, and tell them."""
    for call in calls:
        record = enrich.record(call, AROUND)
        json.dumps(to_json(record))
        story(record)


CASES = ("fork-answered", "local-answered", "queue-answered", "transfer-attended", "odd-phrases")


def ami() -> Target:
    """Take AMI messages all the way into the core."""
    reader, board = ami_wire.Reader(ami_wire.RecordedClock(), max_bytes=20_000), Switchboard(SMALL)
    streams = [
        (TESTS / "cases" / name / f"{release}.ami.gz").read_bytes() for name in CASES for release in ("16", "22")
    ]
    seeds = [block for stream in streams for block in ami_wire.Framer().feed(gzip.decompress(stream))]

    def feed(frame: bytes) -> None:
        for event in reader.feed(frame + ami_wire.END):
            judge(board.feed(event, event.at))
        reader.responses.clear()

    def twist(frame: bytes, dice: random.Random) -> bytes:
        """Change the values of some headers."""
        lines = frame.split(b"\r\n")
        for _ in range(dice.choice((0, 1, 1, 2, 4))):
            at = dice.randrange(len(lines))
            name, colon, value = lines[at].partition(b": ")
            other = dice.choice(dice.choice(seeds).split(b"\r\n")).partition(b": ")[2]
            lines[at] = name + colon + dice.choice((value * 2, other, b"", *ODD)).replace(b"\r\n", b"")
        return b"\r\n".join(lines)

    return Target(seeds, feed, twist)


AT = 1_795_521_045.0


def ari() -> Target:
    """Take ARI frames all the way into the core."""
    reader, board = ari_wire.Reader(max_bytes=20_000), Switchboard(SMALL)
    seeds = [
        line
        for name in CASES
        for release in ("16", "22")
        for line in gzip.decompress((TESTS / "ari" / f"{name}-{release}.ari.gz").read_bytes()).splitlines()
        if b"ChannelVarset" not in line
    ]
    shown = [json.loads(line)["channel"] for line in seeds if b'"ChannelCreated"' in line]
    bridges = [json.loads(line)["bridge"] for line in seeds if b'"ChannelEnteredBridge"' in line]
    seeds += ari_wire.list_lines(shown[:5], bridges[:5], AT, AT - 1)
    seeds.append(ari_wire.info_line({"system": {"version": "22.10.1"}}, AT))

    def feed(frame: bytes) -> None:
        for event in reader.feed(ari_wire.frame_line(frame)):
            judge(board.feed(event, event.at))

    return Target(seeds, feed, twisted_json)


def twisted_json(frame: bytes, dice: random.Random) -> bytes:
    """Return a JSON object with some of its values replaced, swapped or gone."""
    message = json.loads(frame)
    for _ in range(dice.choice((0, 1, 1, 2, 4))):
        inside = message
        while True:
            key = dice.choice([*inside])
            if isinstance(inside[key], dict) and inside[key] and dice.random() < 0.7:
                inside = inside[key]
                continue
            break
        kind = dice.randrange(4)
        if kind == 0:
            del inside[key]
        elif kind == 1:
            inside[key] = copy.deepcopy(dice.choice(ODD_VALUES))
        elif kind == 2:
            inside[key] = f"{inside[key]}{dice.randrange(50)}"
        else:
            inside[dice.choice([*message])] = copy.deepcopy(inside[key])
        if not message:
            break
    return json.dumps(message).encode()


ODD_VALUES: tuple[object, ...] = (
    *(
        None,
        True,
        0,
        -1,
        10**30,
        1.5,
        float("nan"),
        "",
        "\0",
        "\ud800",
        "x" * 5_000,
        [],
        {},
        [[]],
        {"": None},
        [1, "a"],
    ),
    *("1.1", "Local/x@y-1;1", "Local/x@y-1;2", "PJSIP/a-1", "BUSY", "Queue", "Up", "2026-11-24T11:50:45.110+0000"),
)


def hep() -> Target:
    """Take HEP datagrams all the way into the core, which hears nothing else."""
    reader, board = hep_wire.Reader(), Switchboard(SMALL, hep_alone=True)
    seeds = [data for release in ("16", "22") for data in hep_datagrams(TESTS / "hep" / f"calls-{release}.hep.gz")]
    clock = itertools.count()

    def feed(frame: bytes) -> None:
        now = next(clock) / 100
        judge(board.due(now))
        for event in reader.feed(frame, "127.0.0.1"):
            judge(board.feed(event, now))

    def twist(frame: bytes, dice: random.Random) -> bytes:
        """Change the SIP message, and frame it anew."""
        good = hep_wire.parse(frame)
        payload = mutated(good.payload, [hep_wire.parse(seed).payload for seed in dice.choices(seeds, k=3)], dice)
        return hep_packets.packet(payload[:60_000], good.src, good.dst, good.at, transport=good.transport)

    return Target(seeds, feed, twist)


def hep_datagrams(path: Path) -> list[bytes]:
    """Return the datagrams of a recording: HEP packets one after the other, each tells its length."""
    data, found = gzip.decompress(path.read_bytes()), []
    while data:
        length = int.from_bytes(data[4:6], "big")
        found.append(data[:length])
        data = data[length:]
    return found


TARGETS: dict[str, Callable[[], Target]] = {"ami": ami, "ari": ari, "hep": hep}


def main(arguments: Sequence[str]) -> int:
    """Run a target; say how it went."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", choices=[*sorted(TARGETS), "names"], help="a reader, or names to list them")
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args(arguments)
    if asked.target == "names":
        sys.stdout.write("".join(f"{name}\n" for name in sorted(TARGETS)))
        return 0
    began = time.monotonic()
    grown = fuzz(TARGETS[asked.target](), asked.frames, asked.seed)
    took = time.monotonic() - began
    sys.stdout.write(
        f"{asked.target}: {asked.frames:,} frames in {took:.0f} s, none raised; memory grew by {grown / 1e6:.1f} MB\n"
    )
    return 0 if grown < LEAK_BYTES else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
