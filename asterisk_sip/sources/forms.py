"""The forms in which what Asterisk said is kept: journals, raw AMI, JSON. Known by content; all read as frames."""

from __future__ import annotations

import codecs
import contextlib
import gzip
import io
import re
import sys
import tomllib
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Literal, cast

from asterisk_sip.errors import SourceError
from asterisk_sip.sources import journal_wire, json_event_wire, json_wire
from asterisk_sip.sources.ami_frame_wire import BANNER, DEFAULT_MAX_MESSAGE_BYTES, EOL
from asterisk_sip.sources.journal_files import SUFFIX, files_of
from asterisk_sip.sources.journal_wire import Frame

CHUNK_BYTES = 1 << 16
GZIP_MAGIC = b"\x1f\x8b"
STDIN = Path("-")
CASE = "case.toml"
CASE_RECORDINGS = (".ami.gz", ".journal.gz")

Form = Literal["journal", "json", "ami"]
Progress = Callable[[int], None]

_BARE_END = re.compile(rb"(?<!\r)\n")
_CONNECTION = re.compile(rb"(?=" + BANNER + rb"[0-9.]+\r\n(?:Response|Event): )")
_JSON = re.compile(rb"(?:\xef\xbb\xbf)?[\s\x1e]*[\[{]")


def files(paths: Iterable[Path]) -> Iterator[Path]:
    """Give some files in order; of a folder, the files of the journal, or of the case, in it. Raises SourceError."""
    for path in paths:
        try:
            inside = files_of(path) or _files_of_case(path) if path.is_dir() else [path]
        except OSError as error:
            raise SourceError(f"{path}: {error.strerror or error}") from error
        if not inside:
            raise SourceError(f"{path}: no journal is in this folder, and no case")
        yield from inside


def case_trunks(paths: Iterable[Path]) -> list[str]:
    """Return the endpoints that are trunks in the cases among some paths, as the cases tell it. Raises SourceError."""
    trunks: dict[str, None] = {}
    for path in paths:
        try:
            told = tomllib.loads((path / CASE).read_text("utf-8")).get("trunks")
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise SourceError(f"{path / CASE}: {error.strerror or error}") from error
        except ValueError as error:
            raise SourceError(f"{path / CASE}: {error}") from error
        trunks.update(dict.fromkeys(map(str, told if isinstance(told, list) else ())))
    return list(trunks)


def _files_of_case(folder: Path) -> list[Path]:
    """Return the recordings of a case as `export-case` makes it, one for each release. Raises OSError."""
    if not (folder / CASE).is_file():
        return []
    return sorted(path for path in folder.iterdir() if path.name.endswith(CASE_RECORDINGS))


class Recording:
    """One file. Its ``form`` is known once its first frame came, None when it is empty.

    A frame of a recording that does not tell its PBX has ``pbx`` empty, and ``at`` 0. ``torn`` counts the places where
    a journal is no journal, ``unreadable`` what is no event in JSON.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._parser = journal_wire.Parser()
        self._objects = json_wire.Objects()
        self._no_event = 0
        self.form: Form | None = None

    @property
    def torn(self) -> int:
        """How many places of a journal are torn."""
        return self._parser.torn

    @property
    def unreadable(self) -> int:
        """How many pieces of JSON are no event."""
        return self._no_event + self._objects.unreadable

    def frames(self, progress: Progress | None = None) -> Iterator[Frame]:
        """Give the frames. ``progress`` hears how many bytes were read. Raises SourceError."""
        chunks = self._chunks(progress)
        first = next(chunks, b"")
        if not first:
            return
        self.form = form_of(first)
        readers = {"journal": self._of_journal, "json": self._of_json, "ami": _of_ami}
        yield from readers[self.form](_behind(first, chunks))

    def _chunks(self, progress: Progress | None) -> Iterator[bytes]:
        try:
            with _opened(_as_it_is_now(self._path)) as stream:
                while chunk := stream.read(CHUNK_BYTES):
                    if progress is not None:
                        progress(len(chunk))
                    yield chunk
        except (OSError, EOFError, zlib.error) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise SourceError(f"{self._path}: {reason}") from error

    def _of_journal(self, chunks: Iterator[bytes]) -> Iterator[Frame]:
        for chunk in chunks:
            yield from self._parser.feed(chunk)
        yield from self._parser.finish()

    def _of_json(self, chunks: Iterator[bytes]) -> Iterator[Frame]:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        for chunk in chunks:
            yield from self._events(self._objects.feed(decoder.decode(chunk)))
        yield from self._events(self._objects.feed(decoder.decode(b"", final=True)))
        yield from self._events(self._objects.finish())

    def _events(self, objects: list[tuple[dict[str, object], str]]) -> Iterator[Frame]:
        for data, text in objects:
            found = json_event_wire.messages(data, text)
            self._no_event += not found
            yield from (Frame(0.0, "", door, "data", message) for door, message in found)


def form_of(head: bytes) -> Form:
    """Return which form a file has that begins so."""
    if journal_wire.is_journal(head):
        return "journal"
    return "json" if not head.startswith(BANNER) and _JSON.match(head) is not None else "ami"


def _of_ami(chunks: Iterator[bytes]) -> Iterator[Frame]:
    """Give whole lines, ended as AMI ends them: an editor or a terminal may have taken the CR. A banner, which a
    recorder that connected again leaves in the middle, begins a frame of its own."""
    rest = b""
    for chunk in chunks:
        head, end, rest = (rest + chunk).rpartition(b"\n")
        if len(rest) > DEFAULT_MAX_MESSAGE_BYTES:  # no line of Asterisk
            head, end, rest = head + end, rest, b""
        lines = head + end
        if lines.count(b"\n") != lines.count(EOL):
            lines = _BARE_END.sub(EOL, lines)
        pieces = _CONNECTION.split(lines) if lines.find(BANNER, 1) > 0 else [lines]
        yield from (Frame(0.0, "", "ami", "data", piece) for piece in pieces)
    yield Frame(0.0, "", "ami", "data", rest)


def _behind(first: bytes, others: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from others


def _as_it_is_now(path: Path) -> Path:
    """Return where a file of a journal is: a daemon may have packed it since the folder was listed."""
    packed = path.with_name(path.name + ".gz")
    return packed if path.name.endswith(SUFFIX) and packed.exists() and not path.exists() else path


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    stdin = cast("io.BufferedReader", sys.stdin.buffer)
    with contextlib.nullcontext(stdin) if path == STDIN else path.open("rb") as file:
        if file.peek(len(GZIP_MAGIC)).startswith(GZIP_MAGIC):
            with gzip.open(file) as stream:
                yield cast("IO[bytes]", stream)
        else:
            yield file
