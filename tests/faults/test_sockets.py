"""Networks and peers that misbehave: nobody else waits, nothing accepted is lost or doubled."""

from __future__ import annotations

import logging
import re
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_network

import pytest

from gateway.source import Source, Sources
from gateway.store.database import Database
from gateway.wire.mllp import wrap
from tests.receive.door import Client, codes, listening, message, rows

VT, END = b"\x0b", b"\x1c\r"


def _reset(client: Client) -> None:
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.socket.close()


def _close(client: Client) -> None:
    client.socket.close()


def test_a_peer_that_vanished_gives_its_place_to_its_next_connection(database: Database) -> None:
    """As after a power cut: no FIN ever comes for the old connection."""
    with listening(database, mllp_idle_seconds=0.2, mllp_connections=1) as listener:
        vanished = Client(listener.port)
        assert codes(vanished.ask(message("C1")))[0] == "AA"
        with Client(listener.port) as back:
            assert codes(back.ask(message("C2")))[0] == "AA"
        vanished.socket.close()
    assert [row.control_id for row in rows(database)] == ["C1", "C2"]


def test_a_peer_that_vanished_at_its_cap_is_followed_by_its_next_connection(
    sqlite: Database,
) -> None:
    one = Source("one", addresses=(ip_network("127.0.0.1"),), connections=1)
    with listening(sqlite, Sources((one,), open=False), mllp_idle_seconds=0.2) as listener:
        vanished = Client(listener.port)
        assert codes(vanished.ask(message("C1")))[0] == "AA"
        with Client(listener.port) as back:
            assert codes(back.ask(message("C2")))[0] == "AA"
        vanished.socket.close()


def test_a_peer_that_vanished_in_a_frame_leaves_a_fragment(sqlite: Database) -> None:
    with listening(sqlite, mllp_frame_seconds=0.2, mllp_connections=1) as listener:
        vanished = Client(listener.port)
        vanished.send(VT + message("C1")[:-30])
        with Client(listener.port) as back:
            assert codes(back.ask(message("C1")))[0] == "AA"
        vanished.socket.close()
    fragment, whole = rows(sqlite)
    assert bytes(fragment.raw) == message("C1")[:-30]
    assert (fragment.state, fragment.reason) == ("rejected", "incomplete frame")
    assert whole.state == "accepted"


@pytest.mark.parametrize("option", ["SO_KEEPALIVE", "TCP_NODELAY", "TCP_USER_TIMEOUT"])
def test_the_system_is_told_to_look_for_peers_that_vanished(
    sqlite: Database, option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[socket.socket] = []
    accept = socket.socket.accept

    def seen(listening_socket: socket.socket) -> tuple[socket.socket, object]:
        connection, peer = accept(listening_socket)
        served.append(connection)
        return connection, peer

    monkeypatch.setattr(socket.socket, "accept", seen)
    level = socket.SOL_SOCKET if option == "SO_KEEPALIVE" else socket.IPPROTO_TCP
    with listening(sqlite) as listener, Client(listener.port) as client:
        assert codes(client.ask(message()))[0] == "AA"
        assert served[0].getsockopt(level, getattr(socket, option)) > 0


@pytest.mark.parametrize("sent", [b"", b"rubbish", wrap(b"x")])
def test_a_silent_connection_is_closed(sqlite: Database, sent: bytes) -> None:
    with (
        listening(sqlite, mllp_idle_seconds=0.1) as listener,
        Client(listener.port) as client,
    ):
        client.send(sent)
        assert all(codes(reply)[0] == "AR" for reply in iter(client.reply, b""))


def test_who_never_reads_replies_keeps_nobody_else_waiting(
    sqlite: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.receive.conversation._SEND_SECONDS", 0.5)
    frames = b"".join(wrap(b"MSH|^~\\&|" + b"A" * 60_000 + b"|%d" % n) for n in range(20))
    with listening(sqlite) as listener:
        deaf = Client(listener.port)

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


def test_who_reads_replies_late_gets_every_one_in_order(sqlite: Database) -> None:
    sent = [f"C{number}" for number in range(300)]
    with listening(sqlite) as listener, Client(listener.port) as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        client.send(b"".join(wrap(message(one)) for one in sent))
        client.socket.shutdown(socket.SHUT_WR)
        stream = b"".join(iter(lambda: client.socket.recv(1000), b""))
    assert re.findall(rb"MSA\|AA\|(C\d+)\r", stream) == [one.encode() for one in sent]
    assert [row.control_id for row in rows(sqlite)] == sent


def test_one_byte_at_a_time_is_a_message(database: Database) -> None:
    with listening(database) as listener, Client(listener.port) as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in wrap(message()):
            client.send(bytes([byte]))
        assert codes(client.reply())[0] == "AA"
    assert [bytes(row.raw) for row in rows(database)] == [message()]


def test_a_frame_that_trickles_for_ever_is_closed(sqlite: Database) -> None:
    with (
        listening(sqlite, mllp_frame_seconds=0.3) as listener,
        Client(listener.port) as client,
    ):
        client.send(VT)
        ended = threading.Event()

        def trickle() -> None:
            while not ended.wait(0.02):
                try:
                    client.send(b"x")
                except OSError:
                    return

        thread = threading.Thread(target=trickle)
        thread.start()
        try:
            assert client.reply() == b""
        except ConnectionResetError:
            pass  # its last byte came after the end
        finally:
            ended.set()
            thread.join()
    assert [row.reason for row in rows(sqlite)] == ["incomplete frame"]


@pytest.mark.parametrize("leave", [_close, _reset])
def test_a_hang_up_in_a_frame_leaves_a_fragment_and_no_reply(
    database: Database, leave: Callable[[Client], None], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with listening(database) as listener:
        client = Client(listener.port)
        # In one write: once the first is answered the half of the second has been read too.
        client.send(wrap(message()) + VT + message("C2")[:-30])
        assert codes(client.reply())[0] == "AA"
        leave(client)
        with Client(listener.port) as other:
            assert codes(other.ask(message("C3")))[0] == "AA"
    (fragment,) = [row for row in rows(database) if row.state == "rejected"]
    assert bytes(fragment.raw) == message("C2")[:-30]
    assert (fragment.reason, fragment.answer) == ("incomplete frame", "")
    assert "an incomplete frame" in caplog.messages
    assert not re.search("Sample|1904851231", caplog.text)


@pytest.mark.parametrize("leave", [_close, _reset])
def test_a_sender_that_gave_up_waiting_and_sends_again_is_answered_the_same_and_works_once(
    database: Database, leave: Callable[[Client], None]
) -> None:
    with listening(database) as listener:
        impatient = Client(listener.port)
        impatient.send(wrap(message()))
        impatient.socket.recv(1, socket.MSG_PEEK)  # the reply is lost on its way
        leave(impatient)
        with Client(listener.port) as again:
            second, third = again.ask(message()), again.ask(message())
    stored = rows(database)
    assert {bytes(row.reply) for row in stored} == {second, third}
    assert [row.state for row in stored] == ["accepted", "duplicate", "duplicate"]
    assert len(rows(database, "SELECT 1 FROM part")) == 1


def test_a_message_sent_by_many_connections_at_once_is_one(database: Database) -> None:
    def ask(_: int) -> bytes:
        with Client(port) as client:
            return client.ask(message())

    with listening(database) as listener:
        port = listener.port
        with ThreadPoolExecutor(16) as pool:
            replies = set(pool.map(ask, range(32)))
    assert len(replies) == 1
    assert Counter(row.state for row in rows(database)) == {"accepted": 1, "duplicate": 31}


def test_a_storm_of_connections_above_the_limit_is_served_to_the_last(sqlite: Database) -> None:
    def ask(number: int) -> str:
        with Client(port) as client:
            return codes(client.ask(message(f"C{number}")))[0]

    with listening(sqlite, mllp_connections=3) as listener:
        port = listener.port
        with ThreadPoolExecutor(60) as pool:
            assert set(pool.map(ask, range(120))) == {"AA"}
    assert len({row.control_id for row in rows(sqlite)}) == 120


def test_a_storm_of_one_source_above_its_cap_is_served_and_keeps_nobody_else_out(
    sqlite: Database,
) -> None:
    stormy = Source("stormy", addresses=(ip_network("127.0.0.1"),), connections=2)
    quiet = Source("quiet", addresses=(ip_network("127.0.0.2"),))

    def ask(number: int) -> str:
        with Client(port) as client:
            return codes(client.ask(message(f"C{number}")))[0]

    sources = Sources((stormy, quiet), open=False)
    with listening(sqlite, sources, mllp_connections=80) as listener:
        port = listener.port
        idle = [Client(port) for _ in range(2)]  # the storm has to wait for these
        for number, client in enumerate(idle):
            assert codes(client.ask(message(f"I{number}")))[0] == "AA"
        with ThreadPoolExecutor(40) as pool:
            answers = pool.map(ask, range(40))
            with Client(port, "127.0.0.2") as other:
                assert codes(other.ask(message("Q1")))[0] == "AA"
            for client in idle:
                client.socket.close()
            assert set(answers) == {"AA"}
    assert Counter(row.source for row in rows(sqlite)) == {"stormy": 42, "quiet": 1}


def test_a_thousand_resets_leave_the_door_open(sqlite: Database) -> None:
    with listening(sqlite, mllp_connections=4) as listener:
        for number in range(1000):
            client = Client(listener.port)
            if number % 2:
                client.send(b"rubbish")
            _reset(client)
        with Client(listener.port) as other:
            assert codes(other.ask(message()))[0] == "AA"
    assert len(rows(sqlite)) == 1
