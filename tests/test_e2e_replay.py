"""`asterisk-sip replay`: the same recording gives the same records, however it is cut, packed or read again."""

from __future__ import annotations

import gzip
import json
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from asterisk_sip import demo
from asterisk_sip.calls.enrich import Surroundings
from asterisk_sip.sources.recording import Replay
from tests.cases import all_cases
from tests.e2e import command

PACKED = Path(demo.__file__).parent / "data" / "demo.ami.gz"
END = b"\r\n\r\n"


@pytest.fixture(scope="module")
def recording() -> bytes:
    return gzip.decompress(PACKED.read_bytes())


@pytest.fixture(scope="module")
def plain(recording: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recording") / "demo.ami"
    path.write_bytes(recording)
    return path


async def replayed(*arguments: Path | str) -> str:
    """What ``replay`` prints, without a word of complaint."""
    said = await command("replay", *map(str, arguments))
    assert (said.code, said.err) == (0, "")
    return said.out


async def test_twice_is_the_same_to_the_byte(plain: Path) -> None:
    once, twice = await replayed(plain), await replayed(plain)
    assert once == twice
    assert len(once.splitlines()) == 40


async def test_packed_is_as_good_as_plain(plain: Path) -> None:
    assert await replayed(PACKED) == await replayed(plain)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
async def test_cut_in_two_anywhere_is_as_good_as_whole(
    share: float, recording: bytes, plain: Path, tmp_path: Path
) -> None:
    cut = int(len(recording) * share)
    for at in (cut, recording.index(END, cut) + len(END)):  # in the middle of a message, and between two
        head, tail = tmp_path / f"{at}-1.ami", tmp_path / f"{at}-2.ami.gz"
        head.write_bytes(recording[:at])
        tail.write_bytes(gzip.compress(recording[at:]))
        assert await replayed(head, tail) == await replayed(plain)


async def test_into_a_store_twice_is_one_row_a_call(plain: Path, tmp_path: Path) -> None:
    store = tmp_path / "replayed.db"
    first = await command("replay", str(plain), "--store", str(store))
    again = await command("replay", str(PACKED), "--store", str(store))
    assert first.err == f"40 calls, 40 new in {store}\n"
    assert again.err == f"40 calls, 0 new in {store}\n"
    with closing(sqlite3.connect(store)) as database:
        [(rows, calls)] = database.execute("select count(*), count(distinct linkedid) from calls").fetchall()
    assert (rows, calls) == (40, 40)


async def test_what_the_store_gives_back_is_what_replay_prints(plain: Path, tmp_path: Path) -> None:
    store = tmp_path / "replayed.db"
    await command("replay", str(plain), "--store", str(store))
    read = await command("calls", "--store", str(store), "--format", "json", "--limit", "100")
    assert sorted(read.out.splitlines()) == sorted((await replayed(plain)).splitlines())


async def test_beginning_in_the_middle_of_a_message_loses_no_later_call(recording: bytes, tmp_path: Path) -> None:
    whole = {record.linkedid: record for record in Replay(Surroundings("pbx1")).read([PACKED])}
    path = tmp_path / "tail.ami"
    path.write_bytes(recording[recording.index(b"Event: Newchannel", len(recording) // 2) + 5 :])
    said = await command("replay", str(path), "--asterisk-version", "22.10.1")
    assert (said.code, said.err) == (0, "")
    records = {record["linkedid"]: record for record in map(json.loads, said.out.splitlines())}
    seen_whole = {linkedid for linkedid, record in records.items() if not record["partial"]}
    assert len(seen_whole) > 10
    assert records.keys() <= whole.keys()
    for linkedid in seen_whole:
        assert records[linkedid]["sip"]["code"] == whole[linkedid].sip.code
        assert records[linkedid]["id"] == whole[linkedid].id
    assert 0 < len(records) - len(seen_whole) < 10


def linkedids_in(blocks: list[bytes]) -> set[bytes]:
    """The linkedids that some messages name."""
    return {block.partition(b"\r\nLinkedid: ")[2].partition(b"\r\n")[0] for block in blocks} - {b""}


def begun_in(blocks: list[bytes]) -> set[bytes]:
    """The linkedids of the channels that begin in some messages."""
    return linkedids_in([block for block in blocks if block.startswith(b"Event: Newchannel")])


def test_wherever_a_recording_begins_nothing_is_told_twice_and_what_was_not_seen_is_partial(tmp_path: Path) -> None:
    path = tmp_path / "cut.ami"
    for case in all_cases():
        if case.recording.stat().st_size > 3_000:
            continue  # many calls, each of a kind that another case has alone
        blocks = gzip.decompress(case.recording.read_bytes()).split(END)
        for number, block in enumerate(blocks):
            if not block.startswith(b"Event: "):
                continue
            path.write_bytes(END.join(blocks[number:]))
            records = list(Replay(Surroundings("pbx1")).read([path]))
            where = f"{case} from message {number}"
            legs = Counter(attempt.uniqueid for record in records for attempt in record.attempts)
            assert set(legs.values()) <= {1}, where
            begun, to_come = begun_in(blocks[:number]), begun_in(blocks[number:])
            assert all(record.partial for record in records if record.linkedid.encode() in begun), where
            # Who hears the end of one leg only cannot know that another is yet to come, or to join: there a call may
            # be told in two records, each of its own attempts.
            if not to_come and len(linkedids_in(blocks[number:])) == 1:
                assert len(records) <= 1, where
