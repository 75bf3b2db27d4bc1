"""Cuts one call out of recordings: all that was said of it, and nothing of the others."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from asterisk_sip.calls import enrich
from asterisk_sip.calls.model import CallRecord
from asterisk_sip.calls.state import Call, peer_of
from asterisk_sip.errors import SourceError
from asterisk_sip.sources.ami_frame_wire import BANNER, END, Framer
from asterisk_sip.sources.forms import Recording, files
from asterisk_sip.sources.journal_wire import Frame, encode, first_line
from asterisk_sip.sources.recording import Ended, Replay
from asterisk_sip.sources.veil_wire import Veil, veil

REMEMBERED, NEIGHBOURS = 1_000, 20
"""Among how many calls that ended before neighbours are looked for (those of the same endpoints), and how many."""

PBX = "pbx1"
"""What the PBX of an excerpt is called."""

_OF_ALL = (b"Event: CoreShowChannelsComplete", b"Event: Shutdown", b"Event: FullyBooted")


class Piece(NamedTuple):
    """One message of a door. ``own``: it is about the call; else it is about the PBX."""

    frame: Frame
    own: bool


class Found(NamedTuple):
    """A call that was looked for, and calls of the same endpoints that ended before it."""

    ended: Ended
    neighbours: tuple[Call, ...]


def find(paths: list[Path], linkedid: str, around: enrich.Surroundings, only: str | None = None) -> Found:
    """Return the call with a linkedid, or with a leg of that uniqueid. Raises SourceError when there is none."""
    recent: deque[Call] = deque(maxlen=REMEMBERED)
    for ended in Replay(around, only=only).calls(paths):
        if linkedid in _ids(ended.call) or linkedid == ended.record.id:
            peers = _peers(ended.call)
            return Found(ended, tuple(call for call in recent if _peers(call) & peers)[-NEIGHBOURS:])
        recent.append(ended.call)
    raise SourceError(f"no call {linkedid} ended in the recording")


def cut(paths: list[Path], calls: Iterable[Call], record: CallRecord, *, with_lists: bool) -> list[Frame]:
    """Return the frames that tell of some calls of one PBX, as `PBX`.

    ``with_lists``: also what Asterisk said of all its channels at once. Raises SourceError.
    """
    ids = frozenset(uniqueid for call in calls for uniqueid in _ids(call))
    call_ids = {leg.call_id for call in calls for leg in call.legs.values()} | {record.sip_call_id}
    call_ids |= {attempt.sip_call_id for attempt in record.attempts}
    scissors = Scissors(ids, frozenset(filter(None, call_ids)))
    pieces = [
        piece
        for path in files(paths)
        for frame in Recording(path).frames()
        if frame.pbx in ("", record.pbx)
        for piece in scissors.cut(frame)
    ] + list(scissors.finish())
    own = [number for number, piece in enumerate(pieces) if piece.own]
    if not own:
        raise SourceError(f"nothing in the recording names the channels of {record.linkedid}")
    frames = [
        piece.frame._replace(pbx=PBX)
        for number, piece in enumerate(pieces)
        if piece.own or (with_lists and own[0] < number)
    ]
    at, version = frames[0].at, (record.asterisk_version or "").encode()
    doors = dict.fromkeys(frame.source for frame in frames)
    heads = [Frame(at, PBX, door, "run") for door in doors]
    return [*heads, *(Frame(at, PBX, door, "up", version) for door in doors), *frames]


class Scissors:
    """Cuts frames into messages and keeps those about some channels (by uniqueid or linkedid) or SIP Call-IDs."""

    def __init__(self, ids: frozenset[str], call_ids: frozenset[str]) -> None:
        some = "|".join(map(re.escape, sorted(ids | call_ids))).encode() or b"$^"
        uniqueids = "|".join(map(re.escape, sorted(ids))).encode() or b"$^"
        self._in_ami = re.compile(rb"(?i)(?:uniqueid|linkedid): (?:%s)(?=\r\n|$)" % uniqueids)
        self._anywhere = re.compile(rb"(?<![\w.@-])(?:%s)(?![\w.@-])" % some)
        self._framers: dict[str, Framer] = {}
        self._rest: dict[str, bytes] = {}

    def cut(self, frame: Frame) -> Iterator[Piece]:
        """Yield what is worth keeping of one frame; a message that goes on in the next comes with that."""
        if frame.kind != "data":
            self._framers.pop(frame.pbx + frame.source, None)
            yield Piece(frame, own=False)
        elif frame.source == "ami":
            yield from self._ami(frame)
        elif frame.source == "hep":
            if self._anywhere.search(frame.data) is not None:
                yield Piece(frame, own=True)
        else:
            yield from self._lines(frame)

    def _ami(self, frame: Frame) -> Iterator[Piece]:
        key = frame.pbx + frame.source
        if frame.data.startswith(BANNER):
            self._framers.pop(key, None)
        framer = self._framers.setdefault(key, Framer())
        yield from self._blocks(framer.feed(frame.data), frame)

    def finish(self) -> Iterator[Piece]:
        """Yield what is left, once no more frames come."""
        for key, framer in self._framers.items():
            yield from self._blocks(framer.finish(), Frame(0.0, key.removesuffix("ami"), "ami", "data"))

    def _blocks(self, blocks: list[bytes], frame: Frame) -> Iterator[Piece]:
        for block in blocks:
            own = self._in_ami.search(block) is not None
            if own or block.startswith(_OF_ALL) or b"Channels will follow" in block:
                yield Piece(frame._replace(data=block + END), own)

    def _lines(self, frame: Frame) -> Iterator[Piece]:
        key = frame.pbx + frame.source
        *lines, self._rest[key] = (self._rest.get(key, b"") + frame.data).split(b"\n")
        for line in lines:
            own = self._anywhere.search(line) is not None
            if own or b'"asterisk-sip/' in line:
                yield Piece(frame._replace(data=line + b"\n"), own)


def masked(frames: Iterable[Frame], key: bytes) -> list[Frame]:
    """Return frames with tokens of a key for all numbers and names."""
    veils: dict[str, Veil] = {}
    shown = []
    for frame in frames:
        data = frame.data
        if frame.kind == "data":
            data = veils.setdefault(frame.source, veil(frame.source, key)).feed(data)
        if data or frame.kind != "data":
            shown.append(frame._replace(data=data))
    return shown


def written(frames: list[Frame]) -> tuple[str, bytes]:
    """Return how the file of an excerpt ends, and its content: raw AMI if that tells it all, else a journal."""
    heads = [frame for frame in frames if frame.kind in ("run", "up")]
    others = [frame for frame in frames if frame.kind not in ("run", "up")]
    if all(frame.source == "ami" and frame.kind == "data" and _tells_its_time(frame) for frame in others):
        version = next((frame.data for frame in heads if frame.kind == "up"), b"")
        head = b"Response: Success\r\nAsteriskVersion: " + version + END if version else b""
        return ".ami", head + b"".join(frame.data for frame in others)
    return ".journal", first_line(frames[0].at) + b"".join(map(encode, frames))


def _tells_its_time(frame: Frame) -> bool:
    return not frame.at or b"\r\nTimestamp: " in frame.data or not frame.data.startswith(b"Event: ")


def _ids(call: Call) -> set[str]:
    return {call.linkedid, *call.joined, *call.legs} - {""}


def _peers(call: Call) -> set[str]:
    return {peer_of(leg.name) for leg in call.legs.values()}


Judge = Callable[[bytes, str], list[CallRecord]]


class Excerpt(NamedTuple):
    """What was cut out: how its file ends, the content, and the records it gives, that of the call the last."""

    suffix: str
    content: bytes
    records: list[CallRecord]


def excerpt(paths: list[Path], found: Found, key: bytes, judge: Judge) -> Excerpt:
    """Cut a call out, masked, with as little around it as gives the verdict that the whole recording gave.

    ``judge`` replays a content. Raises SourceError when no excerpt gives the same verdict.
    """
    call, record = found.ended
    wanted = verdict_of(record)
    for calls, with_lists in (([call], False), ([call], True), ([*found.neighbours, call], True)):
        suffix, content = written(masked(cut(paths, calls, record, with_lists=with_lists), key))
        records = judge(content, suffix)
        same = [one for one in records if one.linkedid == record.linkedid and verdict_of(one) == wanted]
        if same:
            return Excerpt(suffix, content, records)
    raise SourceError(
        f"{record.linkedid}: cut out alone the call is judged otherwise; send the whole recording instead"
    )


def verdict_of(record: CallRecord) -> tuple[object, ...]:
    """Return what is said of a call and its attempts, without the numbers and names in it."""
    return (
        *(record.outcome, record.released_by, record.partial, record.direction, record.fault.side),
        *(record.disposition, record.sip, record.evidence, record.q850),
        *(
            (one.stage, one.endpoint, one.dial_status, one.pdd_ms, one.disposition, one.sip, one.evidence, one.q850)
            for one in record.attempts
        ),
    )
