"""Recordings as a door: journals, raw AMI, JSON, from files to the calls that ended in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from asterisk_sip.calls import enrich, state
from asterisk_sip.calls import events as ev
from asterisk_sip.calls.bounded import Limits
from asterisk_sip.calls.model import CallRecord, gap_id
from asterisk_sip.calls.own_address import Addresses
from asterisk_sip.calls.switchboard import Switchboard
from asterisk_sip.sources.ami_frame_wire import BANNER
from asterisk_sip.sources.decoders import DECODERS, AmiDecoder, Decoder
from asterisk_sip.sources.forms import Recording, files
from asterisk_sip.sources.journal_wire import Frame

SETTLE_S = 0.25
EXPIRE_EVERY_S = 10.0
TELLING = frozenset({"ami", "ari"})
"""The doors that tell of every channel: without any, nobody hears what becomes of a call."""


class Ended(NamedTuple):
    """A call that ended, and its record."""

    call: state.Call
    record: CallRecord


class Replay:
    """Reads recordings and yields a record for every call that ended, in the order in which they were complete.

    The same files give the same records, whenever they are read. A recording of AMI that begins with its banner is one
    of its own; one that does not goes on where the last stopped (a recording cut into pieces). Journals tell themselves
    where they begin, and of which PBX each frame is; with ``only``, all others are passed over. ``unfinished`` counts
    the calls still open at the end of their recording, ``unreadable`` the messages that could not be read, ``torn`` the
    places where a journal is damaged, ``unknown`` the frames of doors that nothing here can read. ``recognised`` tells
    whether anything read was a recording at all.
    """

    def __init__(
        self,
        around: enrich.Surroundings,
        limits: Limits | None = None,
        *,
        only: str | None = None,
        settle_s: float = SETTLE_S,
        addresses: Mapping[str, Addresses] | None = None,
    ) -> None:
        """``addresses``: what the configuration tells of the SIP addresses of each PBX, by its name."""
        self._addresses = addresses or {}
        self._around = around
        self._limits = limits or Limits()
        self._only = only
        self._settle_s = settle_s
        self._heard: dict[str, Heard] = {}
        self.unfinished = 0
        self.unreadable = 0
        self.torn = 0
        self.unknown = 0
        self.events = 0
        self.recognised = False

    def read(self, paths: Iterable[Path], progress: Callable[[int], None] | None = None) -> Iterator[CallRecord]:
        """Yield the records of some files. ``progress`` hears how many bytes were read. Raises SourceError."""
        return (ended.record for ended in self.calls(paths, progress))

    def calls(self, paths: Iterable[Path], progress: Callable[[int], None] | None = None) -> Iterator[Ended]:
        """Yield the calls of some files, each with its record. Raises SourceError."""
        for path in files(paths):
            recording = Recording(path)
            begins = True
            for frame in recording.frames(progress):
                if begins and recording.form == "ami" and frame.data.startswith(BANNER):
                    yield from self._finish("")
                begins = False
                yield from self._feed(frame)
            self.torn += recording.torn
            self.unreadable += recording.unreadable
            self.recognised |= recording.form == "journal"
        for pbx in list(self._heard):
            yield from self._finish(pbx)

    def _feed(self, frame: Frame) -> Iterator[Ended]:
        if self._only is not None and frame.pbx not in ("", self._only):
            return
        heard = self._heard.get(frame.pbx)
        if heard is None:
            around = self._around if not frame.pbx else replace(self._around, pbx=frame.pbx)
            heard = self._heard[frame.pbx] = Heard(
                around, self._limits, self._settle_s, self._addresses.get(around.pbx)
            )
        yield from heard.feed(frame)

    def _finish(self, pbx: str) -> Iterator[Ended]:
        heard = self._heard.pop(pbx, None)
        if heard is None:
            return
        yield from heard.finish()
        self.unfinished += len(heard.board.correlator)
        self.unreadable += heard.unreadable
        self.unknown += heard.unknown
        self.events += heard.events
        self.recognised |= heard.recognised


class Heard:
    """One PBX as some recordings tell of it: all its doors lead to one core."""

    def __init__(
        self, around: enrich.Surroundings, limits: Limits, settle_s: float, addresses: Addresses | None
    ) -> None:
        self._around = around
        self._addresses = addresses
        self._fixed_version = around.version
        self._limits = limits
        self._settle_s = settle_s
        self._board: Switchboard | None = None
        self._doors: set[str] = set()
        self._up: set[str] = set()
        self._decoders: dict[str, Decoder] = {}
        self._file: dict[str, int] = {}
        self._expire_at = 0.0
        self.events = 0
        self.unknown = 0
        self.unreadable = 0
        self.recognised = False

    @property
    def board(self) -> Switchboard:
        """The core. With several doors, an ended call waits for what another still tells, as in the daemon."""
        if self._board is None:
            settle_s = self._settle_s if len(self._doors) > 1 else 0.0
            alone = self._doors == {"hep"}
            self._board = Switchboard(self._limits, settle_s=settle_s, addresses=self._addresses, hep_alone=alone)
        return self._board

    @property
    def _blind(self) -> bool:
        """Whether no door is up that tells of every channel; of a PBX that has none of those, no door at all."""
        return not self._up & (self._doors & TELLING or self._doors)

    def feed(self, frame: Frame) -> Iterator[Ended]:
        """Take a frame; yield the calls that are complete with it."""
        self._doors.add(frame.source)
        if frame.kind != "data":
            self._news(frame)
        elif frame.source not in DECODERS:
            self.unknown += 1
        else:
            yield from self._data(frame)

    def finish(self) -> Iterator[Ended]:
        """Yield the calls that end with what is left, and those that ended and still waited."""
        for decoder in self._decoders.values():
            yield from self._heard(decoder, decoder.finish(), 0.0)
        yield from map(self._ended, self.board.finish())
        for source in list(self._decoders):
            self._let_go(source)

    def _data(self, frame: Frame) -> Iterator[Ended]:
        if frame.source == "ami" and frame.data.startswith(BANNER):
            if "ami" in self._decoders:  # a new connection, and nothing told that the last one was over
                self._hole(f"connection {self.events}", frame)
            self._let_go("ami")
        decoder = self._decoders.get(frame.source)
        if decoder is None:
            decoder = self._decoders[frame.source] = DECODERS[frame.source]()
        yield from self._heard(decoder, decoder.feed(frame.data, frame.at), frame.at)
        board = self.board
        if frame.at:
            yield from map(self._ended, board.due(frame.at))
            if frame.at >= self._expire_at:
                self._expire_at = frame.at + EXPIRE_EVERY_S
                yield from map(self._ended, board.ended(board.correlator.expire(frame.at), frame.at))

    def _heard(self, decoder: Decoder, events: list[ev.Event], at: float) -> Iterator[Ended]:
        for event in events:
            self.events += 1
            ended = self.board.feed(event, at or event.at)
            if ended:
                self._learn_version(decoder.version)
                yield from map(self._ended, ended)
        self._learn_version(decoder.version)

    def _news(self, frame: Frame) -> None:
        text = frame.data.decode("utf-8", "replace").strip()
        was_blind = self._blind
        if frame.kind == "up":
            self._up.add(frame.source)
            self._learn_version(text)
        elif frame.kind == "file":
            self._next_file(frame, text)
        else:
            self._let_go(frame.source)
        if frame.kind == "run":
            self._up.clear()
            self._file[frame.source] = 1
        elif frame.kind == "down":
            self._up.discard(frame.source)
        if frame.kind in ("lost", "run"):
            self._hole(f"journal {frame.kind} {frame.source}", frame)
        elif frame.kind == "down" and not was_blind and self._blind:
            self._hole(frame.source, frame)

    def _next_file(self, frame: Frame, text: str) -> None:
        """A journal goes on in this file; when it is not the one behind the last, there is a hole."""
        number, _, version = text.partition(" ")
        self._learn_version(version)
        last, self._file[frame.source] = self._file.get(frame.source), int(number) if number.isdigit() else 0
        if last is not None and self._file[frame.source] != last + 1:
            self._let_go(frame.source)
            self._hole(f"journal file {frame.source}", frame)

    def _hole(self, key: str, frame: Frame) -> None:
        if self._board is not None:
            self._board.correlator.mark_gap(gap_id(frame.pbx, key, frame.at))

    def _let_go(self, source: str) -> None:
        """Forget a connection: what it had begun to say is never ended."""
        decoder = self._decoders.pop(source, None)
        if decoder is not None:
            self.unreadable += decoder.unreadable
            self.recognised |= not isinstance(decoder, AmiDecoder) or bool(decoder.banner)

    def _learn_version(self, version: str | None) -> None:
        if version and self._fixed_version is None and version != self._around.version:
            self._around = replace(self._around, version=version)

    def _ended(self, call: state.Call) -> Ended:
        return Ended(call, enrich.record(call, self._around))
