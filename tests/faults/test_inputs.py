"""Inputs that make listeners lose, join or garble messages, each with its one right answer.

Reference 5.1 of ingest, and what section 8 adds to it; on a real socket, on both databases.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.store.database import Database
from gateway.wire.mllp import wrap
from tests.receive.door import BODY, Client, listening, message, rows

VT, END = b"\x0b", b"\x1c\r"
AA, AR = ("AA", "C1"), ("AR", "C1")
SECOND = ("AA", "C2")
DECLARED_UTF8 = "||||||UNICODE UTF-8"


def _wide() -> bytes:
    """Return a message of 2 MB with 20,000 observations."""
    return message() + (b"OBX|2|ST|1||" + b"words " * 15 + b"||||||F\r") * 20_000


def _other_delimiters() -> bytes:
    return message().translate(bytes.maketrans(b"|^~\\&", b"@!%*$"))


def _batch(*messages: bytes) -> bytes:
    count = str(len(messages)).encode()
    return b"FHS|^~\\&\rBHS|^~\\&\r" + b"".join(messages) + b"BTS|" + count + b"\rFTS|1\r"


# What arrives, (MSA-1, MSA-2) of each reply, and the state of each row.
INPUTS = {
    "two messages in one write": (
        wrap(message()) + wrap(message("C2")), [AA, SECOND], ["accepted"] * 2),
    "end without CR, then a frame": (
        VT + message() + b"\x1c" + wrap(message("C2")), [AA, SECOND], ["accepted"] * 2),
    "line feed before the start": (b"\n" + wrap(message()), [AA], ["accepted"]),
    "NUL between frames": (
        wrap(message()) + b"\0\0" + wrap(message("C2")), [AA, SECOND], ["accepted"] * 2),
    "no start block": (message() + END, [], []),
    "no start block, then a frame": (message() + END + wrap(message("C2")), [SECOND],
                                     ["accepted"]),
    "2 MB, 20,000 observations": (wrap(_wide()), [AA], ["accepted"]),
    "not HL7": (wrap(b"hello"), [("AR", "")], ["rejected"]),
    "empty frame": (wrap(b""), [("AR", "")], ["rejected"]),
    "invalid UTF-8, declared": (
        wrap(message(rest=DECLARED_UTF8, body=BODY + b"NTE|1||Zo\xeb\r")), [AA], ["accepted"]),
    "8859/1, declared and used": (
        wrap(message(rest="||||||8859/1", body=BODY + b"NTE|1||Zo\xeb\r")), [AA], ["accepted"]),
    "other delimiters": (wrap(_other_delimiters()), [AA], ["accepted"]),
    "batch of two": (wrap(_batch(message(), message("C2"))), None, ["accepted"]),
    "start block in a frame": (VT + message() + wrap(message("C2")), [AR], ["rejected"]),
    "two headers in a frame": (wrap(message() + message("C2")), [AR], ["rejected"]),
    "line feeds for returns": (wrap(message().replace(b"\r", b"\n")), [AA], ["accepted"]),
    "returns and line feeds": (wrap(message().replace(b"\r", b"\r\n")), [AA], ["accepted"]),
    "too large": (wrap(message() + b"Z" * 3_000_000) + wrap(message("C2")), [AR, SECOND],
                  ["rejected", "accepted"]),
    "release 2 commit blocks, then a frame": (
        wrap(b"\x06") + wrap(b"\x15") + wrap(message("C2")), [SECOND], ["accepted"]),
    "lone FS in a field": (wrap(message(body=BODY + b"NTE|1||a\x1cb\r")), [AA], ["accepted"]),
    "NUL in a field": (wrap(message(body=BODY + b"NTE|1||a\0b\r")), [AA], ["accepted"]),
    "no control id": (wrap(message("")), [("AA", "")], ["accepted"]),
    "a control id again, other content": (
        wrap(message()) + wrap(message(body=BODY + b"NTE|1||more\r")), [AA, AA],
        ["accepted"] * 2),
    "the same again": (wrap(message()) * 2, [AA, AA], ["accepted", "duplicate"]),
    "another message type": (wrap(message(kind="MDM^T02")), [AR], ["rejected"]),
    "cut off": (VT + message(), [], ["rejected"]),
    "cut off between FS and CR": (VT + message() + b"\x1c", [], ["rejected"]),
}  # fmt: skip


@pytest.mark.parametrize("case", INPUTS)
def test_an_awkward_input_gets_its_one_right_answer(
    database: Database, tmp_path: Path, case: str
) -> None:
    stream, answers, states = INPUTS[case]
    with (
        listening(database, max_message_bytes=2_500_000, data=tmp_path / "data") as listener,
        Client(listener.port) as one,
    ):
        one.send(stream)
        replies = one.replies_until_closed()
    found = [_answer(reply) for reply in replies]
    if answers is None:  # a batch is answered once, in a shape of its own
        assert [answer for answer, _ in found[:1]] == ["AA"]
        assert len(found) == 1
    else:
        assert found == answers
    stored = rows(database)
    assert [row.state for row in stored] == states
    _nothing_is_lost_or_joined(stream, stored)


def _nothing_is_lost_or_joined(stream: bytes, stored: list[object]) -> None:
    """Each stored message is a run of the bytes that came, and no accepted one holds two."""
    for row in stored:
        raw = bytes(row.raw)  # type: ignore[attr-defined]
        assert raw in stream
        if row.state == "accepted" and not raw.startswith(b"FHS"):  # type: ignore[attr-defined]
            assert (b"\r" + raw).count(b"\rMSH") + (b"\r" + raw).count(b"\nMSH") == 1


def _answer(reply: bytes) -> tuple[str, str]:
    start = reply.index(b"MSH")
    separator = reply[start + 3 : start + 4].decode()
    line = next(line for line in reply.decode("latin-1").split("\r") if line[:3] == "MSA")
    one, other = (line + separator * 2).split(separator)[1:3]
    return one, other


def test_fifty_megabytes_are_a_message_like_any_other(sqlite: Database, tmp_path: Path) -> None:
    raw = message()
    raw += b"NTE|1||" + b"A" * (50_000_000 - len(raw) - 8) + b"\r"
    with listening(sqlite, data=tmp_path / "data") as listener, Client(listener.port) as one:
        assert _answer(one.ask(raw)) == AA
        assert _answer(one.ask(raw)) == AA
        assert _answer(one.ask(raw + b"more")) == AR
        assert _answer(one.ask(message("C2"))) == SECOND
    first, again, _, last = rows(sqlite)
    assert (bytes(first.raw), first.state, again.state) == (raw, "accepted", "duplicate")
    assert bytes(last.raw) == message("C2")


def test_a_hundred_thousand_segments_are_a_message_like_any_other(
    sqlite: Database, tmp_path: Path
) -> None:
    raw = message() + b"OBX|2|ST|1||word||||||F\r" * 100_000
    with listening(sqlite, data=tmp_path / "data") as listener, Client(listener.port) as one:
        assert _answer(one.ask(raw)) == AA
    assert bytes(rows(sqlite)[0].raw) == raw


def test_a_control_id_cannot_smuggle_a_segment_into_the_reply(sqlite: Database) -> None:
    with listening(sqlite) as listener, Client(listener.port) as one:
        reply = one.ask(message("C1\x0c\x1eMSA"))
    assert [line[:3] for line in reply.split(b"\r")] == [b"MSH", b"MSA", b""]
    assert not {0x0B, 0x0C, 0x1C, 0x1E} & set(reply)
