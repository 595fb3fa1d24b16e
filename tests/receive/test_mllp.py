import logging
import re
import socket
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hl7.client import MLLPClient

from gateway.config import Settings
from gateway.receive.mllp import MllpListener
from gateway.store.database import Database
from gateway.wire.mllp import wrap
from tests.receive.door import BODY, Client, codes, field, intake, listening, message, rows

VT, END = b"\x0b", b"\x1c\r"
AA, AR = ("AA", "C1"), ("AR", "C1")


def _wide(control_id: str) -> bytes:
    """Return a message of 2 MB."""
    return (
        message(control_id, BODY + b"NTE|1||" + b"words " * 15 + b"\r")
        + (b"NTE|2||" + b"words " * 15 + b"\r") * 20_000
    )


def _other_delimiters() -> bytes:
    table = bytes.maketrans(b"|^~\\&", b"@!%*$")
    return message().translate(table)


_BATCH = b"FHS|^~\\&\rBHS|^~\\&\r" + message() + message("C2") + b"BTS|2\rFTS|1\r"

# ingest reference 5.1: what arrives, (MSA-1, MSA-2) of each reply, and the state of each row.
AWKWARD = {
    "two messages in one write": (
        wrap(message()) + wrap(message("C2")), [AA, ("AA", "C2")], ["accepted", "accepted"]),
    "end without CR, then a frame": (
        VT + message() + b"\x1c" + wrap(message("C2")), [AA, ("AA", "C2")], ["accepted"] * 2),
    "line feed before the start": (b"\n" + wrap(message()), [AA], ["accepted"]),
    "NUL between frames": (
        wrap(message()) + b"\0\0" + wrap(message("C2")), [AA, ("AA", "C2")], ["accepted"] * 2),
    "no start block": (message() + END, [], []),
    "no start block, then a frame": (message() + END + wrap(message("C2")), [("AA", "C2")],
                                     ["accepted"]),
    "2 MB": (wrap(_wide("C1")), [AA], ["accepted"]),
    "not HL7": (wrap(b"hello"), [("AR", "")], ["rejected"]),
    "empty frame": (wrap(b""), [("AR", "")], ["rejected"]),
    "invalid UTF-8, declared": (
        wrap(message(rest="||||||UNICODE UTF-8", body=BODY + b"NTE|1||Zo\xeb\r")), [AA],
        ["accepted"]),
    "8859/1 declared and used": (
        wrap(message(rest="||||||8859/1", body=BODY + b"NTE|1||Zo\xeb\r")), [AA], ["accepted"]),
    "other delimiters": (wrap(_other_delimiters()), [AA], ["accepted"]),
    "batch of two": (wrap(_BATCH), [AA], ["accepted"]),
    "start block in a frame": (VT + message() + wrap(message("C2")), [AR], ["rejected"]),
    "two headers in a frame": (wrap(message() + message("C2")), [AR], ["rejected"]),
    "LF for CR": (wrap(message().replace(b"\r", b"\n")), [AA], ["accepted"]),
    "too large": (wrap(message() + b"Z" * 3_000_000) + wrap(message("C2")),
                  [AR, ("AA", "C2")], ["rejected", "accepted"]),
    "release 2 commit block, then a frame": (
        wrap(b"\x06") + wrap(message("C2")), [("AR", ""), ("AA", "C2")],
        ["rejected", "accepted"]),
    "lone FS in a field": (wrap(message(body=BODY + b"NTE|1||a\x1cb\r")), [AA], ["accepted"]),
    "no control id": (wrap(message("")), [("AA", "")], ["accepted"]),
    "cut off": (VT + message(), [], ["rejected"]),
}  # fmt: skip


@pytest.mark.parametrize("case", AWKWARD)
def test_awkward_input_is_answered_and_kept(sqlite: Database, case: str) -> None:
    stream, answers, states = AWKWARD[case]
    with listening(sqlite, max_message_bytes=2_500_000) as listener, Client(listener.port) as one:
        one.send(stream)
        replies = one.replies_until_closed()
        assert [_answer(reply) for reply in replies] == answers
    assert [row.state for row in rows(sqlite)] == states


def _answer(reply: bytes) -> tuple[str, str]:
    separator = reply[3:4].decode()
    line = next(line for line in reply.decode("latin-1").split("\r") if line[:3] == "MSA")
    return tuple((line + separator * 2).split(separator)[1:3])  # type: ignore[return-value]


def test_pipelined_messages_are_answered_in_order(sqlite: Database) -> None:
    with listening(sqlite) as listener, Client(listener.port) as client:
        client.send(b"".join(wrap(message(f"C{number}")) for number in range(60)))
        found = [field(client.reply(), "MSA", 2) for _ in range(60)]
    assert found == [f"C{number}" for number in range(60)]
    assert [row.control_id for row in rows(sqlite)] == found


def test_one_byte_at_a_time_is_a_message(sqlite: Database) -> None:
    with listening(sqlite) as listener, Client(listener.port) as client:
        for byte in wrap(message()):
            client.send(bytes([byte]))
        assert codes(client.reply())[0] == "AA"


def test_connections_do_not_wait_for_each_other(sqlite: Database) -> None:
    with listening(sqlite) as listener, Client(listener.port) as first:
        first.send(VT + message()[:40])
        with Client(listener.port) as second:
            assert codes(second.ask(message("C2")))[0] == "AA"
        first.send(message()[40:] + END)
        assert codes(first.reply())[0] == "AA"


def test_a_repeat_over_a_new_connection_gets_the_same_bytes(database: Database) -> None:
    replies = []
    with listening(database) as listener:
        for _ in range(3):
            with Client(listener.port) as client:
                replies.append(client.ask(message()))
    assert len(set(replies)) == 1
    assert [row.state for row in rows(database)] == ["accepted", "duplicate", "duplicate"]
    assert {row.source for row in rows(database)} == {"mllp:127.0.0.1"}


def _until(done: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not done():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.02)


def _reset(client: Client) -> None:
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.socket.close()


@pytest.mark.parametrize("leave", [lambda client: client.socket.close(), _reset])
def test_a_hang_up_in_a_frame_leaves_a_fragment_and_no_reply(
    sqlite: Database, leave: Callable[[Client], None], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with listening(sqlite) as listener:
        client = Client(listener.port)
        assert codes(client.ask(message()))[0] == "AA"
        client.send(VT + message("C2")[:-30])
        time.sleep(0.2)  # so that the listener has read it before a reset throws it away
        leave(client)
        _until(lambda: len(rows(sqlite)) == 2)
        with Client(listener.port) as other:
            assert codes(other.ask(message("C3")))[0] == "AA"
    fragment = rows(sqlite)[1]
    assert bytes(fragment.raw) == message("C2")[:-30]
    assert (fragment.state, fragment.reason, fragment.answer) == (
        "rejected", "incomplete frame", "",
    )  # fmt: skip
    assert "an incomplete frame" in caplog.messages
    assert not re.search("Sample|1904851231", caplog.text)


@pytest.mark.parametrize("sent", [b"", b"rubbish", wrap(b"x")])
def test_a_silent_connection_is_closed(sqlite: Database, sent: bytes) -> None:
    with (
        listening(sqlite, mllp_idle_seconds=0.1) as listener,
        Client(listener.port) as client,
    ):
        client.send(sent)
        assert all(codes(reply)[0] == "AR" for reply in iter(client.reply, b""))


def _trickle(client: Client) -> None:
    while True:
        client.send(b"x")
        time.sleep(0.02)


def test_a_frame_that_trickles_for_ever_is_closed(sqlite: Database) -> None:
    with (
        listening(sqlite, mllp_frame_seconds=0.3) as listener,
        Client(listener.port) as client,
    ):
        client.send(VT)
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            _trickle(client)
    assert [row.reason for row in rows(sqlite)] == ["incomplete frame"]


def test_connections_over_the_limit_wait_their_turn(sqlite: Database) -> None:
    with listening(sqlite, mllp_connections=2) as listener:
        first, second, third = (Client(listener.port) for _ in range(3))
        assert codes(first.ask(message("C1")))[0] == "AA"
        assert codes(second.ask(message("C2")))[0] == "AA"
        third.send(wrap(message("C3")))
        third.socket.settimeout(1)
        with pytest.raises(TimeoutError):
            third.reply()
        first.socket.close()
        third.socket.settimeout(60)
        assert codes(third.reply())[0] == "AA"
        second.socket.close()
        third.socket.close()


def test_who_never_reads_replies_keeps_nobody_else_waiting(
    sqlite: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.receive.mllp._SEND_SECONDS", 0.5)
    frames = b"".join(wrap(b"MSH|^~\\&|" + b"A" * 60_000 + b"|%d" % n) for n in range(20))
    with listening(sqlite) as listener:
        deaf = Client(listener.port)
        deaf.socket.settimeout(2)

        def flood() -> None:
            try:
                while True:
                    deaf.send(frames)
            except OSError:
                deaf.socket.close()

        thread = threading.Thread(target=flood)
        thread.start()
        with Client(listener.port) as other:
            assert codes(other.ask(message()))[0] == "AA"
        thread.join()


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.parametrize("start", [b"", VT], ids=["no frame", "in a frame"])
def test_fifty_megabytes_of_rubbish_take_bounded_memory(sqlite: Database, start: bytes) -> None:
    chunk = b"rubbish\x1c" * 131_072
    with listening(sqlite, max_message_bytes=2_000_000) as listener, Client(listener.port) as one:
        before = _resident()
        one.send(start)
        for _ in range(50):
            one.send(chunk)
        one.send(END + wrap(message()))
        replies = [codes(reply)[0] for reply in one.replies_until_closed()]
        assert _resident() - before < 30_000_000
    assert replies == (["AR", "AA"] if start else ["AA"])
    assert sum(len(row.raw) for row in rows(sqlite)) < 100_000


def test_python_hl7_is_understood_and_understands(sqlite: Database) -> None:
    with listening(sqlite) as listener, MLLPClient("127.0.0.1", listener.port) as client:
        for number in range(3):
            reply = client.send_message(message(f"C{number}"))
            assert field(reply.strip(b"\x0b\x1c\r"), "MSA", 2) == f"C{number}"


def test_the_store_down_is_said_and_recovered_from(sqlite: Database) -> None:
    with listening(sqlite) as listener, Client(listener.port) as client:
        with sqlite.write() as connection:
            connection.exec_driver_sql("ALTER TABLE message RENAME TO away")
        assert codes(client.ask(message())) == ("AE", "207")
        client.send(VT + b"half")
        Client(listener.port).socket.close()
        with sqlite.write() as connection:
            connection.exec_driver_sql("ALTER TABLE away RENAME TO message")
        client.send(END)
        assert codes(client.reply())[0] == "AR"
        assert codes(client.ask(message())) == ("AA", "")
    assert len(rows(sqlite)) == 2


def test_stopping_finishes_replies_and_closes(sqlite: Database) -> None:
    listener = MllpListener(
        "127.0.0.1", 0, intake(sqlite), Settings(), lambda: 1_700_000_000_000_000
    )
    listener.start()
    with Client(listener.port) as client:
        client.send(wrap(message()))
        replied = client.reply()
        listener.stop()
        assert codes(replied)[0] == "AA"
        assert client.reply() == b""
    with pytest.raises(ConnectionRefusedError):
        Client(listener.port)


def test_the_listener_speaks_ipv6(sqlite: Database) -> None:
    listener = MllpListener("::1", 0, intake(sqlite), Settings(), lambda: 1)
    listener.start()
    with socket.create_connection(("::1", listener.port), 30) as client:
        client.sendall(wrap(message()))
        assert b"MSA|AA|C1" in client.recv(10_000)
    listener.stop()
    assert rows(sqlite)[0].source == "mllp:::1"


def test_a_taken_port_is_said_at_the_start(sqlite: Database) -> None:
    with listening(sqlite) as listener, pytest.raises(OSError, match="in use"):
        MllpListener("127.0.0.1", listener.port, intake(sqlite), Settings(), lambda: 1).start()
