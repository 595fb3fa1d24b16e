"""Streams of whole and mangled frames, for the fuzz tests and for `benchmarks/soak/fuzz.py`."""

from __future__ import annotations

from hypothesis import strategies as st

from gateway.wire.mllp import wrap
from tests.receive.door import BODY, message

_MARKS = [
    b"\x0b", b"\x1c", b"\r", b"\n", b"\x1c\r", b"|", b"^", b"\\", b"\0", b"\xff", b"\xc3", b"MSH|",
    b"\rMSH|^~\\&|", b"FHS|^~\\&\r", b"BHS|", b"BTS|2\r", b"|||AL|AL", b"\rPID|1||",
]  # fmt: skip
_WHOLE = [
    message("C1"),
    message("C2", body=BODY + b"NTE|1||Zo\xc3\xab\r"),
    message("C3", body=BODY + b"NTE|1||Zo\xeb\r"),
    message("C4", rest="||||||UNICODE UTF-8"),
    message("C5", rest="|||AL|NE"),
    message("C6", rest="|||NE|AL"),
    message("C7", rest="|||NE|NE"),
    message("C8", kind="ADT^A01"),
    message("C9", processing="D"),
    message("", body=BODY),
    message("C10").replace(b"|", b"@"),
    message("C11").replace(b"\r", b"\n"),
    b"BHS|^~\\&|IGENE|GLASGOW\r" + message("C12") + message("C13") + b"BTS|2\r",
    b"BHS|^~\\&|IGENE|GLASGOW\r" + message("C14") + b"BTS|7\r",
    b"",
    b"hello",
]


@st.composite
def payloads(draw: st.DrawFn) -> bytes:
    """A message, with up to four places where something was lost, added or changed."""
    raw = draw(st.sampled_from(_WHOLE))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(raw)))
        lost = draw(st.integers(0, 3))
        raw = raw[:at] + draw(st.sampled_from(_MARKS) | st.binary(max_size=4)) + raw[at + lost :]
    return raw


def streams() -> st.SearchStrategy[list[bytes]]:
    """What comes over one connection: frames, frames without end, and bytes between frames."""
    frame = payloads().map(wrap)
    broken = payloads().map(lambda raw: b"\x0b" + raw)
    return st.lists(frame | frame | frame | broken | st.sampled_from(_MARKS), max_size=6)
