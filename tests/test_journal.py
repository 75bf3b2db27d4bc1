"""The journal as the daemon keeps it: bounded, packed, never in the way, and without secrets."""

from __future__ import annotations

import gzip
import threading
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from asterisk_sip.sources import journal as journal_module
from asterisk_sip.sources.journal import Journal, JournalSettings, Tape
from asterisk_sip.sources.journal_files import Folder, files_of
from asterisk_sip.sources.journal_wire import Frame, Parser

from .lab.wait import until_blocking

LINE = b"Event: Newstate\r\n"


def frames_in(folder: Path) -> list[Frame]:
    """Every frame of a journal, in order; there must be nothing else in it."""
    frames = []
    for path in files_of(folder):
        data = path.read_bytes()
        parser = Parser()
        frames += parser.feed(gzip.decompress(data) if path.suffix == ".gz" else data)
        frames += parser.finish()
        assert parser.torn == 0, path
    return frames


def heard(frames: list[Frame], source: str = "ami") -> bytes:
    return b"".join(frame.data for frame in frames if frame.kind == "data" and frame.source == source)


def kept(settings: JournalSettings, *sources: str) -> tuple[Journal, list[Tape]]:
    journal = Journal(settings)
    tapes = [journal.tape("pbx1", source) for source in sources or ("ami",)]
    journal.start()
    return journal, tapes


def test_what_the_doors_receive_is_in_the_folder_in_order(tmp_path: Path) -> None:
    journal, (ami, ari) = kept(JournalSettings(tmp_path / "new" / "folder"), "ami", "ari")
    ami.data(b"Event: A\r\n")
    ami.up(5.0, "22.10.1")
    ari.data(b'{"type":"ChannelCreated"}\n')
    ami.data(b"Event: B\r\n")
    ami.down(6.0, "Asterisk closed the connection")
    journal.stop()
    frames = frames_in(tmp_path / "new" / "folder")
    assert [(frame.source, frame.kind, frame.data) for frame in frames] == [
        ("ami", "run", b""),
        ("ari", "run", b""),
        ("ami", "data", b"Event: A\r\n"),
        ("ami", "up", b"22.10.1"),
        ("ari", "data", b'{"type":"ChannelCreated"}\n'),
        ("ami", "data", b"Event: B\r\n"),
        ("ami", "down", b"Asterisk closed the connection"),
    ]
    assert {frame.pbx for frame in frames} == {"pbx1"}
    assert [frame.at for frame in frames if frame.kind in ("up", "down")] == [5.0, 6.0]
    [path] = files_of(tmp_path / "new" / "folder")
    assert path.stat().st_mode & 0o077 == 0  # numbers and names are nobody else's business


def test_files_are_packed_and_the_oldest_removed(tmp_path: Path) -> None:
    settings = JournalSettings(tmp_path, max_file_bytes=20_000, max_total_bytes=60_000)
    journal, (ami,) = kept(settings)
    ami.up(1.0, "22.10.1")
    for number in range(400):
        ami.data(b"Line: %d %s\r\n" % (number, bytes(range(32, 127)) * 20))
        if number % 5 == 0:
            while journal._waiting:  # as slow as the disk
                threading.Event().wait(0.001)
    journal.stop()
    files = files_of(tmp_path)
    assert sum(path.stat().st_size for path in files) <= 60_000
    assert [path.suffix for path in files[:-1]] == [".gz"] * (len(files) - 1)
    frames = frames_in(tmp_path)
    assert heard(frames).endswith(b"%s\r\n" % (bytes(range(32, 127)) * 20))
    assert b"Line: 399 " in heard(frames)
    assert [frame.data.split() for frame in frames if frame.kind == "file"][-1][1] == b"22.10.1"


def test_what_a_killed_writer_left_is_packed_by_the_next_and_not_lost(tmp_path: Path) -> None:
    folder = Folder(tmp_path, 1 << 20, 1 << 24)
    folder.open(1_700_000_000.0)
    folder.append(b"@1700000000.000000 pbx1 ami data 3 352441c2\nabc\n@1700000000.0")
    folder.abandon()
    folder.release()
    (tmp_path / "20200101T000000.000000Z.journal.gz.part").write_bytes(b"torn")
    journal, (ami,) = kept(JournalSettings(tmp_path))
    ami.data(LINE)
    journal.stop()
    first, second = files_of(tmp_path)
    assert first.name == "20231114T221320.000000Z.journal.gz"
    assert b"abc" in gzip.decompress(first.read_bytes())
    assert LINE in second.read_bytes()
    assert not list(tmp_path.glob("*.part"))


def test_two_writers_do_not_share_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, (one,) = kept(JournalSettings(tmp_path))
    one.data(LINE)
    while not files_of(tmp_path):
        threading.Event().wait(0.01)
    second, (other,) = kept(JournalSettings(tmp_path))
    other.data(LINE)
    second.stop()
    first.stop()
    assert (first.dropped, second.dropped) == (0, 1)
    assert heard(frames_in(tmp_path)) == LINE
    assert "another process writes a journal there" in capsys.readouterr().out


@pytest.mark.parametrize("sort", ["a file where the folder should be", "a full disk"])
def test_a_disk_in_trouble_is_told_once_and_tried_again(
    sort: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(journal_module, "RETRY_S", 0.0)
    folder = tmp_path / "journal"
    full = sort == "a full disk"
    if full:
        monkeypatch.setattr(Folder, "append", _no_space)
    else:
        folder.write_text("in the way")
    journal, (ami,) = kept(JournalSettings(folder))
    for count in range(1, 4):
        ami.data(LINE)
        while journal.dropped < count:
            threading.Event().wait(0.001)
    monkeypatch.undo()
    if not full:
        folder.unlink()
    ami.data(b"Event: Later\r\n")
    journal.stop()
    frames = frames_in(folder)
    assert heard(frames) == b"Event: Later\r\n"
    [hole] = [frame for frame in frames if frame.kind == "lost"]
    assert hole.data.startswith(b"3 frames are not here: ")
    log = capsys.readouterr().out
    assert log.count("no journal is written") == 1
    assert log.count("the journal goes on") == 1


def _no_space(_folder: Folder, _data: bytes) -> int:
    raise OSError(28, "No space left on device")


def test_what_comes_faster_than_it_can_be_written_is_counted_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "MAX_WAITING_BYTES", 100)
    journal = Journal(JournalSettings(tmp_path))
    ami = journal.tape("pbx1", "ami")
    for _ in range(10):
        ami.data(LINE)
    assert journal.dropped == 5
    journal.start()
    while journal._waiting:
        threading.Event().wait(0.001)
    ami.data(b"Event: Later\r\n")
    journal.stop()
    kinds = [frame.kind for frame in frames_in(tmp_path)]
    assert kinds == ["run", "lost", *["data"] * 6]


def test_secrets_never_reach_the_disk(tmp_path: Path) -> None:
    journal, (ami, ari, hep) = kept(JournalSettings(tmp_path), "ami", "ari", "hep")
    ami.data(b"Response: Success\r\nChallenge: 12345\r\n\r\nEvent: X\r\nSecr")
    ami.data(b"et: hush\r\nKey: hush\r\nDialString: 608:hush@acme\r\nAuthResponse: hush\r\n\r\n")
    ari.data(b'{"type":"X","secret":"hush","inner":[{"Authorization":"hush"}],"name":"kept"}\n')
    message = (
        b"INVITE sip:bob:hush@acme SIP/2.0\r\nAuthorization: Digest hush\r\n"
        b"proxy-authorization : hush\r\nContact: <sip:kept@10.0.0.1:5060>\r\n\r\n"
    )
    chunks = b"".join(
        b"\0\0" + kind + (6 + len(data)).to_bytes(2, "big") + data
        for kind, data in ((b"\0\x0b", b"\x01"), (b"\0\x0e", b"hush"), (b"\0\x0f", message))
    )
    hep.data(b"HEP3" + (6 + len(chunks)).to_bytes(2, "big") + chunks)
    journal.stop()
    [path] = files_of(tmp_path)
    data = path.read_bytes()
    assert b"hush" not in data
    assert b"12345" not in data
    frames = frames_in(tmp_path)
    assert heard(frames) == (
        b"Response: Success\r\nChallenge: ***\r\n\r\nEvent: X\r\nSecret: ***\r\nKey: ***\r\n"
        b"DialString: 608:***@acme\r\nAuthResponse: ***\r\n\r\n"
    )
    assert heard(frames, "ari") == b'{"type":"X","secret":"***","inner":[{"Authorization":"***"}],"name":"kept"}\n'
    datagram = heard(frames, "hep")
    assert b"Contact: <sip:kept@10.0.0.1:5060>" in datagram
    assert int.from_bytes(datagram[4:6], "big") == len(datagram)


def test_the_settings_do_not_show_the_key() -> None:
    assert "hush" not in repr(JournalSettings(Path("journal"), key=b"hush"))


def test_a_folder_that_cannot_be_used_is_told_at_once_and_the_end_is_no_good_news(tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("in the way")
    with capture_logs() as logs:
        journal, _ = kept(JournalSettings(tmp_path / "folder"), "ami")
        until_blocking(lambda: logs, "it is told though nothing came")
        journal.stop()
    assert [line["event"] for line in logs] == ["no journal is written"]


def test_a_journal_in_which_nothing_came_leaves_no_file(tmp_path: Path) -> None:
    journal, _ = kept(JournalSettings(tmp_path / "folder"), "ami")
    journal.stop()
    assert files_of(tmp_path / "folder") == []
