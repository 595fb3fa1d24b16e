import socket
import threading
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import FusedMessages, MessageTooLarge, StoreUnavailable
from gateway.wire.mllp import Deframer, Frame, send, wrap

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
    "release 2 commit block": (VT + b"\x06" + FS + CR, [b"\x06"]),
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
    assert [frame.payload for frame in found] == payloads


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=30), max_size=10))
def test_no_bytes_break_the_reader(pieces: list[bytes]) -> None:
    frames = Deframer(40)
    for piece in pieces:
        for frame in frames.feed(piece):
            assert len(frame.payload) <= 40
            assert frame.defect or 0x0B not in frame.payload


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
