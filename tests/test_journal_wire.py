"""The journal's format: what was written is read again, however the reads fall and wherever a crash cut it off."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from asterisk_sip.sources.journal_wire import MAX_FRAME_BYTES, Frame, Parser, encode, first_line, is_journal

NAMES = st.sampled_from(["pbx1", "a", "Berlin_2.example-" + 47 * "x"])
SOURCES = st.sampled_from(["ami", "ari", "hep", "agi"])
KINDS = st.sampled_from(["run", "file", "data", "up", "down", "lost"])
TIMES = st.integers(0, 4_102_444_800_000_000).map(lambda us: us / 1_000_000)
HOSTILE = st.lists(
    st.sampled_from(
        [b"\n", b"@", b"\n@1.000000 p ami data 3 352441c2\nabc\n", first_line(1.0), b"\r\n\r\n", b"a", b"\x00\xff"]
    )
).map(b"".join)
FRAMES = st.builds(Frame, TIMES, NAMES, SOURCES, KINDS, st.one_of(st.binary(max_size=200), HOSTILE))
FEW = settings(max_examples=60, deadline=None)
JOURNALS = st.lists(FRAMES, max_size=8)


def written(frames: list[Frame]) -> bytes:
    return first_line(frames[0].at if frames else 0.0) + b"".join(map(encode, frames))


def read(data: bytes, cuts: list[int] | None = None) -> tuple[list[Frame], Parser]:
    parser = Parser()
    places = [0, *sorted(cuts or []), len(data)]
    frames = [frame for start, end in pairwise(places) for frame in parser.feed(data[start:end])]
    return frames + parser.finish(), parser


@FEW
@given(JOURNALS, st.lists(st.integers(0, 2_000)))
def test_what_was_written_is_read_again_however_the_reads_fall(frames: list[Frame], cuts: list[int]) -> None:
    data = written(frames)
    found, parser = read(data, [cut for cut in cuts if cut < len(data)])
    assert found == frames
    assert (parser.torn, parser.skipped_bytes) == (0, 0)


@FEW
@given(JOURNALS, FRAMES, st.data())
def test_a_crash_costs_the_frame_it_fell_into_and_no_other(
    frames: list[Frame], last: Frame, data: st.DataObject
) -> None:
    whole, torn = written(frames), encode(last)
    cut = data.draw(st.integers(1, len(torn) - 1))
    found, parser = read(whole + torn[:cut], [data.draw(st.integers(0, len(whole)))])
    assert found[: len(frames)] == frames
    if b"\n@" not in last.data:  # there, a part of a frame may look like one
        assert found == frames
        assert (parser.torn, parser.skipped_bytes) == (1, cut)


def test_a_torn_file_set_before_another_costs_nothing_of_the_other() -> None:
    later = [Frame(2.0, "pbx1", "ami", "data", b"y" * 50 + b"\r\n")] * 30
    torn = encode(Frame(1.0, "pbx1", "ami", "data", b"x" * 500))
    for cut in range(1, len(torn) - 1):
        found, parser = read(written([]) + torn[:cut] + written(later))
        assert found == later, cut
        assert parser.torn == 1


@FEW
@given(st.binary(max_size=300), st.lists(st.integers(0, 300)))
def test_no_bytes_whatever_break_the_reader(data: bytes, cuts: list[int]) -> None:
    whole, _ = read(data)
    cut, _ = read(data, [place for place in cuts if place < len(data)])
    assert cut == whole


@FEW
@given(JOURNALS, st.data())
def test_damage_costs_what_it_hit(frames: list[Frame], data: st.DataObject) -> None:
    whole = bytearray(written(frames))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= 0xFF
    found, _ = read(bytes(whole))
    if not any(b"@" in frame.data for frame in frames):  # in a damaged frame, what looks like a frame is taken for one
        assert [frame for frame in found if frame.data in {one.data for one in frames}] == found
        assert len(found) >= len(frames) - 2


def test_more_than_a_frame_may_hold_is_written_as_several() -> None:
    data = bytes(2 * MAX_FRAME_BYTES + 7)
    found, _ = read(encode(Frame(1.0, "pbx1", "ami", "data", data)))
    assert [len(frame.data) for frame in found] == [MAX_FRAME_BYTES, MAX_FRAME_BYTES, 7]
    assert b"".join(frame.data for frame in found) == data


def test_a_journal_is_known_by_its_beginning() -> None:
    assert is_journal(first_line(1.0))
    assert is_journal(encode(Frame(1.0, "pbx1", "ami", "up")))  # cut off an older part
    assert not is_journal(b"Asterisk Call Manager/11.0.0\r\n")
    assert not is_journal(b'{"Event": "Hangup"}')
    assert not is_journal(b"")
