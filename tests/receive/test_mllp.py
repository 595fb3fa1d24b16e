import logging
import socket
import tracemalloc
from contextlib import suppress
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest
from hl7.client import MLLPClient

from gateway.config import Settings
from gateway.receive.mllp import MllpListener
from gateway.source import Source, Sources
from gateway.store.database import Database
from gateway.wire.mllp import wrap
from tests.receive.door import Client, codes, field, intake, listening, message, rows

VT, END = b"\x0b", b"\x1c\r"


def test_pipelined_messages_are_answered_in_order(sqlite: Database) -> None:
    with listening(sqlite) as listener, Client(listener.port) as client:
        client.send(b"".join(wrap(message(f"C{number}")) for number in range(60)))
        found = [field(client.reply(), "MSA", 2) for _ in range(60)]
    assert found == [f"C{number}" for number in range(60)]
    assert [row.control_id for row in rows(sqlite)] == found


def test_connections_do_not_wait_for_each_other(sqlite: Database) -> None:
    with listening(sqlite) as listener, Client(listener.port) as first:
        first.send(VT + message()[:40])
        with Client(listener.port) as second:
            assert codes(second.ask(message("C2")))[0] == "AA"
        first.send(message()[40:] + END)
        assert codes(first.reply())[0] == "AA"


A = Source("a", addresses=(ip_network("127.0.0.1"),), connections=2)
B = Source("b", addresses=(ip_network("127.0.0.2"),))


def _both(first: Source = A, second: Source = B) -> Sources:
    return Sources((first, second), open=False)


def _silent(client: Client) -> bool:
    """Whether nothing has come for this client, and it was not closed."""
    client.socket.setblocking(False)
    try:
        return client.socket.recv(1, socket.MSG_PEEK) is None
    except BlockingIOError:
        return True
    finally:
        client.socket.settimeout(60)


def test_connections_over_the_limit_wait_their_turn(sqlite: Database) -> None:
    with listening(sqlite, mllp_connections=2) as listener:
        first, second, third = (Client(listener.port) for _ in range(3))
        assert codes(first.ask(message("C1")))[0] == "AA"
        third.send(wrap(message("C3")))
        assert codes(second.ask(message("C2")))[0] == "AA"
        assert codes(first.ask(message("C4")))[0] == "AA"
        assert _silent(third)
        first.socket.close()
        assert codes(third.reply())[0] == "AA"
        second.socket.close()
        third.socket.close()
    assert [row.control_id for row in rows(sqlite)] == ["C1", "C2", "C4", "C3"]


def test_over_its_cap_a_source_waits_unread_and_keeps_out_no_other(sqlite: Database) -> None:
    with listening(sqlite, _both(), mllp_connections=3) as listener:
        first, second, *waiting = (Client(listener.port) for _ in range(3))
        for number, client in enumerate((first, second)):
            assert codes(client.ask(message(f"A{number}")))[0] == "AA"
        waiting[0].send(wrap(message("A2")))
        with Client(listener.port, "127.0.0.2") as other:
            assert codes(other.ask(message("B1")))[0] == "AA"
            assert codes(first.ask(message("A3")))[0] == "AA"
            assert _silent(waiting[0])
            first.socket.close()
            assert codes(waiting[0].reply())[0] == "AA"
        for client in (second, *waiting):
            client.socket.close()
    assert [(row.source, row.control_id) for row in rows(sqlite)] == [
        ("a", "A0"), ("a", "A1"), ("b", "B1"), ("a", "A3"), ("a", "A2"),
    ]  # fmt: skip


def test_who_finds_no_place_even_to_wait_is_closed_unread_and_the_others_are_served(
    sqlite: Database, caplog: pytest.LogCaptureFixture
) -> None:
    with listening(sqlite, _both(), mllp_connections=4) as listener:
        many = [Client(listener.port) for _ in range(5)]  # two are served, two wait
        assert many[4].reply() == b""
        assert "too many connections wait: one was closed" in caplog.messages
        with Client(listener.port, "127.0.0.2") as other:
            assert codes(other.ask(message("B1")))[0] == "AA"
        for number, client in enumerate(many[:4]):
            assert codes(client.ask(message(f"A{number}")))[0] == "AA"
            client.socket.close()
        many[4].socket.close()


def test_stopping_closes_those_who_wait(sqlite: Database) -> None:
    with listening(sqlite, _both(replace(A, connections=1))) as listener:
        first, second = Client(listener.port), Client(listener.port)
        assert codes(first.ask(message()))[0] == "AA"
        second.send(wrap(message("C2")))
    assert first.reply() == b""
    with suppress(ConnectionResetError):  # what it had sent was not read
        assert second.reply() == b""
    for client in (first, second):
        client.socket.close()
    assert [row.control_id for row in rows(sqlite)] == ["C1"]


def test_an_unknown_address_is_closed_at_once(
    sqlite: Database, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        listening(sqlite, Sources((B,), open=False)) as listener,
        Client(listener.port) as stranger,
        Client(listener.port, "127.0.0.2") as known,
    ):
        assert stranger.reply() == b""
        assert codes(known.ask(message()))[0] == "AA"
    (record,) = [one for one in caplog.records if one.levelno == logging.WARNING]
    assert record.message == "a connection from no known source was closed"
    assert [row.source for row in rows(sqlite)] == ["b"]


def test_a_source_with_a_rate_is_read_slowly_and_nobody_else_is(sqlite: Database) -> None:
    slow = replace(A, bytes_a_second=20)
    with (
        listening(sqlite, _both(slow)) as listener,
        Client(listener.port) as one,
        Client(listener.port, "127.0.0.2") as other,
    ):
        one.send(wrap(message("A1")))
        for number in range(20):
            assert codes(other.ask(message(f"B{number}")))[0] == "AA"
        assert _silent(one)
    assert [row.source for row in rows(sqlite) if row.state == "accepted"] == ["b"] * 20


def test_a_rate_slows_and_drops_nothing_and_its_waits_are_no_fault_of_the_sender(
    sqlite: Database,
) -> None:
    slow = replace(A, bytes_a_second=len(wrap(message("A0"))) * 2 // 3)
    with (
        listening(sqlite, _both(slow), mllp_frame_seconds=0.2) as listener,
        Client(listener.port) as one,
        Client(listener.port) as two,
    ):
        for number, client in enumerate((one, two)):
            client.send(wrap(message(f"A{number}")))
        assert [codes(client.reply())[0] for client in (one, two)] == ["AA"] * 2


def test_commit_blocks_are_noted_for_who_wants_to_know(
    sqlite: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "gateway.receive")
    with listening(sqlite) as listener, Client(listener.port) as client:
        client.send(wrap(b"\x06") + wrap(message()))
        assert codes(client.reply())[0] == "AA"
    (record,) = [one for one in caplog.records if "commit" in one.message]
    assert record.levelno == logging.DEBUG
    assert len(rows(sqlite)) == 1


def test_large_frames_wait_on_the_disk_and_not_in_memory(sqlite: Database, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    chunk = b"NTE|1||" + b"words " * 40_000 + b"\r"
    with listening(sqlite, data=tmp_path) as listener:
        before = _resident()
        clients = [Client(listener.port) for _ in range(10)]
        for client in clients:
            client.send(VT + message())
            for _ in range(40):
                client.send(chunk)
        assert _resident() - before < 60_000_000
        for number, client in enumerate(clients):
            client.send(b"NTE|2||%d\r" % number + END)
            assert codes(client.reply())[0] == "AA"
            client.socket.close()
    assert [len(row.raw) for row in rows(sqlite)] == [len(message()) + 40 * len(chunk) + 9] * 10
    assert (list(spool.iterdir()), spool.stat().st_mode & 0o777) == ([], 0o700)


def test_only_few_large_messages_are_in_memory_at_a_time_and_small_ones_pass_them(
    sqlite: Database, tmp_path: Path
) -> None:
    large = message("L1") + (b"NTE|1||" + b"words " * 100 + b"\r") * 8_000
    with listening(sqlite, data=tmp_path) as listener, Client(listener.port) as one:
        places = listener._conversations._large
        with places, places:  # as if two others were being accepted
            one.send(wrap(large))
            with Client(listener.port) as other:
                for number in range(100):
                    assert codes(other.ask(message(f"S{number}")))[0] == "AA"
            assert _silent(one)
        assert codes(one.reply())[0] == "AA"


def test_a_quiet_connection_holds_no_message_in_memory(sqlite: Database, tmp_path: Path) -> None:
    with listening(sqlite, data=tmp_path) as listener:
        clients = [Client(listener.port) for _ in range(4)]
        tracemalloc.start()
        for number, client in enumerate(clients):
            large = message(f"L{number}") + (b"NTE|1||" + b"words " * 100 + b"\r") * 8_000
            assert codes(client.ask(large))[0] == "AA"
        del large
        for number, client in enumerate(clients):
            # Its answer comes after whatever was still at work on the one before.
            assert codes(client.ask(message(f"S{number}")))[0] == "AA"
        held = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        assert held < 4_000_000
        for client in clients:
            client.socket.close()


def test_a_large_frame_that_the_disk_has_no_room_for_is_answered_ae_and_taken_later(
    sqlite: Database, tmp_path: Path
) -> None:
    large = message() + (b"NTE|1||" + b"words " * 100 + b"\r") * 5_000
    spool = tmp_path / "spool"
    spool.write_bytes(b"no folder")
    with listening(sqlite, data=tmp_path) as listener, Client(listener.port) as client:
        assert codes(client.ask(large)) == ("AE", "207")
        assert codes(client.ask(message("C2")))[0] == "AA"
        spool.unlink()
        assert codes(client.ask(large))[0] == "AA"
    assert [row.state for row in rows(sqlite)] == ["rejected", "accepted", "accepted"]


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.parametrize("start", [b"", VT], ids=["no frame", "in a frame"])
def test_fifty_megabytes_of_rubbish_take_bounded_memory(
    sqlite: Database, tmp_path: Path, start: bytes
) -> None:
    chunk = b"rubbish\x1c" * 131_072
    with (
        listening(sqlite, max_message_bytes=2_000_000, data=tmp_path) as listener,
        Client(listener.port) as one,
    ):
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
