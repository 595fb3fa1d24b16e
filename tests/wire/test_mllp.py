import random
import resource
import socket
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import FusedMessages, MessageTooLarge, StoreUnavailable
from gateway.wire.mllp import COMMITS, Deframer, Frame, send, wrap

VT, FS, CR = b"\x0b", b"\x1c", b"\r"

CASES = {
    "one frame": (VT + b"A" + FS + CR, [b"A"]),
    "two in one write": (wrap(b"A") + wrap(b"B"), [b"A", b"B"]),
    "line end, NUL and space between frames": (b"\n\r\0 " + wrap(b"A") + b"\r\n" + wrap(b"B"),
                                               [b"A", b"B"]),
    "rubbish before the first start": (b"rubbish" + wrap(b"A"), [b"A"]),
    "FS without CR before the next start": (VT + b"A" + FS + wrap(b"B"), [b"A", b"B"]),
    "lone FS in a field": (VT + b"A" + FS + b"B" + FS + CR, [b"A\x1cB"]),
    "FS FS CR": (VT + b"A" + FS + FS + CR, [b"A\x1c"]),
    "FS LF does not end": (VT + b"A" + FS + b"\n", []),
    "CR in the payload": (VT + b"A\rB\r" + FS + CR, [b"A\rB\r"]),
    "empty frame": (VT + FS + CR, [b""]),
    "no start": (b"A" + FS + CR, []),
    "no end": (VT + b"A", []),
    "release 2 commit blocks": (VT + b"\x06" + FS + CR + VT + b"\x15" + FS + CR, []),
    "a commit block before a reply": (wrap(b"\x06") + wrap(b"A"), [b"A"]),
    "more than a commit block": (wrap(b"\x06\x06") + wrap(b"\x06A"), [b"\x06\x06", b"\x06A"]),
}  # fmt: skip


@pytest.mark.parametrize("step", [1, 2, 3, 1000])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_frames_are_the_same_however_the_bytes_arrive(case: str, step: int) -> None:
    stream, payloads = CASES[case]
    frames = Deframer(1000)
    found = [
        frame for at in range(0, len(stream), step) for frame in frames.feed(stream[at : at + step])
    ]
    if case == "FS without CR before the next start" and step == 1:
        assert [frame.payload for frame in found] == payloads
    assert found == [Frame(payload) for payload in payloads]


def test_a_start_inside_a_frame_never_joins_two_messages() -> None:
    (frame,) = Deframer(1000).feed(VT + b"A" + wrap(b"B"))
    assert isinstance(frame.defect, FusedMessages)
    assert frame.payload == b"A\x0bB"


@pytest.mark.parametrize("step", [1, 7, 50, 5000])
@pytest.mark.parametrize("filling", [b"x", FS, b"x" + FS, FS + b"\n"])
def test_reading_goes_on_after_a_frame_over_the_limit(filling: bytes, step: int) -> None:
    stream = VT + filling * 600 + b"." + FS + CR + wrap(b"B")
    frames = Deframer(100)
    found = [
        frame for at in range(0, len(stream), step) for frame in frames.feed(stream[at : at + step])
    ]
    assert isinstance(found[0].defect, MessageTooLarge)
    assert found[0].payload == (filling * 600)[:100]
    assert found[1:] == [Frame(b"B")]


@pytest.mark.parametrize("step", [1, 200])
def test_the_limit_itself_is_allowed(step: int) -> None:
    stream = wrap(b"x" * 100)
    frames = Deframer(100)
    found = [f for at in range(0, len(stream), step) for f in frames.feed(stream[at : at + step])]
    assert found == [Frame(b"x" * 100)]


@pytest.mark.parametrize("start", [b"", VT])
def test_rubbish_without_end_takes_bounded_memory(start: bytes) -> None:
    frames = Deframer(1_000_000)
    frames.feed(start)
    chunk = b"\x1crubbish" * 8192
    tracemalloc.start()
    for _ in range(100):
        assert frames.feed(chunk) == []
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4_000_000
    assert len(frames.partial) <= 1_000_000


def test_an_unfinished_frame_is_there_to_be_kept() -> None:
    frames = Deframer(1000)
    frames.feed(wrap(b"A") + VT + b"half")
    assert (frames.inside, frames.partial) == (True, b"half")


class _Counting(bytearray):
    """A buffer that counts the bytes that searches look at."""

    looked = 0

    def find(self, sub: object, start: int = 0, end: int | None = None) -> int:  # type: ignore[override]
        _Counting.looked += len(self) - start
        return super().find(sub, start)  # type: ignore[arg-type]


def test_a_byte_at_a_time_costs_no_more_than_the_bytes() -> None:
    frames = Deframer(1_000_000)
    frames._buffer = _Counting()
    for byte in wrap(b"x\x1c" * 10_000):
        frames.feed(bytes([byte]))
    assert _Counting.looked < 200_000


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.binary(max_size=20).filter(lambda b: not {0x0B, 0x1C} & set(b)), max_size=6),
    st.randoms(use_true_random=False),
)
def test_what_is_wrapped_comes_back_in_any_pieces(payloads: list[bytes], random: object) -> None:
    stream, frames, found = b"".join(map(wrap, payloads)), Deframer(100), []
    while stream:
        size = random.randint(1, 9)  # type: ignore[attr-defined]
        found += frames.feed(stream[:size])
        stream = stream[size:]
    commits = [payload for payload in payloads if payload in COMMITS]
    assert [frame.payload for frame in found] == [one for one in payloads if one not in COMMITS]
    assert frames.commits == len(commits)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=30), max_size=10))
def test_no_bytes_break_the_reader(pieces: list[bytes]) -> None:
    frames = Deframer(40)
    for piece in pieces:
        for frame in frames.feed(piece):
            assert len(frame.payload) <= 40
            assert frame.defect or 0x0B not in frame.payload


LARGE = random.Random(1).randbytes(5_000_000).translate(None, VT + FS)


def _fed(frames: Deframer, stream: bytes, step: int) -> list[Frame]:
    return [
        frame for at in range(0, len(stream), step) for frame in frames.feed(stream[at : at + step])
    ]


@pytest.mark.parametrize("step", [999_983, 262_144, 65_537])
@pytest.mark.parametrize("end", [FS + CR, FS])
def test_a_large_frame_is_the_same_through_a_file(tmp_path: Path, step: int, end: bytes) -> None:
    filled = LARGE[:2_000_000] + FS + LARGE[2_000_000:]
    stream = VT + filled + end + wrap(b"B") + wrap(b"\x06") + VT + filled + FS + CR + wrap(b"C")
    frames = Deframer(50_000_000, tmp_path / "spool")
    found = _fed(frames, stream, step)
    assert [len(one.payload) for one in found] == [len(filled), 1, len(filled), 1]
    assert found == [Frame(filled), Frame(b"B"), Frame(filled), Frame(b"C")]
    assert (frames.large, frames.inside) == (False, False)


@pytest.mark.parametrize("cut", [1_000_000, 1_000_001, 1_000_002, 2_500_000])
def test_an_end_cut_in_two_where_the_file_begins_is_an_end(tmp_path: Path, cut: int) -> None:
    frames = Deframer(50_000_000, tmp_path)
    payload = LARGE[: cut - 1]
    assert frames.feed(VT + payload + FS) == []
    assert frames.partial == payload + FS
    assert frames.feed(CR + wrap(b"B")) == [Frame(payload), Frame(b"B")]


def test_two_messages_in_one_large_frame_are_still_told(tmp_path: Path) -> None:
    (frame,) = _fed(Deframer(50_000_000, tmp_path), VT + LARGE + VT + LARGE + FS + CR, 262_144)
    assert isinstance(frame.defect, FusedMessages)
    assert frame.payload == LARGE + VT + LARGE


@pytest.mark.parametrize("length", [3_000_000, 3_000_001, 3_000_002, 4_500_000])
@pytest.mark.parametrize("step", [262_144, 10_000_000])
def test_the_limit_holds_for_a_frame_in_a_file(tmp_path: Path, length: int, step: int) -> None:
    frames = Deframer(3_000_000, tmp_path)
    large, small = _fed(frames, wrap(LARGE[:length]) + wrap(b"B"), step)
    if length <= 3_000_000:
        assert large == Frame(LARGE[:length])
    else:
        assert isinstance(large.defect, MessageTooLarge)
        assert large.payload == LARGE[:65_536]
    assert small == Frame(b"B")


def test_an_unfinished_large_frame_is_there_to_be_kept_and_its_file_has_no_name(
    tmp_path: Path,
) -> None:
    spool = tmp_path / "data" / "spool"
    frames = Deframer(50_000_000, spool)
    _fed(frames, VT + LARGE, 262_144)
    assert (frames.large, frames.partial) == (True, LARGE)
    assert (list(spool.iterdir()), spool.stat().st_mode & 0o777) == ([], 0o700)
    before = len(list(Path("/proc/self/fd").iterdir()))
    frames.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before - 1
    assert (frames.large, frames.partial) == (False, b"")


def test_large_unfinished_frames_take_a_megabyte_each_in_memory(tmp_path: Path) -> None:
    many = [Deframer(50_000_000, tmp_path) for _ in range(10)]
    tracemalloc.start()
    for frames in many:
        assert _fed(frames, VT + LARGE, 262_144) == []
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert held < 10 * 1_400_000
    for frames in many:
        assert frames.partial == LARGE
        frames.close()


@contextmanager
def _files_of_at_most(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("room", [0, 500_000, 1_500_000, 3_700_001])
def test_a_frame_that_the_disk_has_no_room_for_is_refused_at_its_end_and_not_the_next(
    tmp_path: Path, room: int
) -> None:
    frames = Deframer(50_000_000, tmp_path)
    with _files_of_at_most(room):
        found = _fed(frames, wrap(LARGE) + wrap(b"B"), 262_144)
    assert isinstance(found[0].defect, StoreUnavailable)
    assert found[0].payload == LARGE[:65_536]
    assert found[1:] == [Frame(b"B")]
    assert _fed(frames, wrap(LARGE), 262_144) == [Frame(LARGE)]


def test_without_a_folder_to_write_in_a_large_frame_is_refused_for_now(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    spool.write_bytes(b"not a folder")
    (found,) = _fed(Deframer(50_000_000, spool), wrap(LARGE), 262_144)
    assert isinstance(found.defect, StoreUnavailable)


def test_a_large_frame_that_is_then_too_large_is_too_large(tmp_path: Path) -> None:
    frames = Deframer(4_000_000, tmp_path)
    assert _fed(frames, VT + LARGE, 262_144) == []
    assert (frames.large, frames.partial) == (False, LARGE[:65_536])
    (found,) = frames.feed(FS + CR)
    assert isinstance(found.defect, MessageTooLarge)


def _searched(frames: Deframer, length: int, step: int) -> int:
    _Counting.looked = 0
    frames._buffer = _Counting()
    (found,) = _fed(frames, wrap(b"x" * length), step)
    assert len(found.payload) == length
    return _Counting.looked


@pytest.mark.parametrize("step", [16_384, 262_144])
def test_the_cost_of_a_frame_of_fifty_megabytes_is_that_of_its_bytes(
    tmp_path: Path, step: int
) -> None:
    for length in (5_000_000, 50_000_000):
        for spool in (None, tmp_path):
            assert _searched(Deframer(50_000_000, spool), length, step) < 1.1 * length


def _serve_once(*replies: bytes) -> int:
    server = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        with server, server.accept()[0] as connection:
            connection.recv(1000)
            for reply in replies:
                connection.sendall(reply)

    threading.Thread(target=run, daemon=True).start()
    return int(server.getsockname()[1])


def test_the_client_reads_a_reply_in_pieces() -> None:
    port = _serve_once(VT + b"re", b"ply" + FS, CR)
    assert list(send("127.0.0.1", port, [b"A"], 10)) == [b"reply"]


def test_the_client_says_when_the_peer_hangs_up() -> None:
    with pytest.raises(StoreUnavailable):
        list(send("127.0.0.1", _serve_once(VT + b"re"), [b"A"], 10))
