"""A real listener whose door counts, for tests of what was counted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from gateway.config import Settings
from gateway.receive.mllp import MllpListener
from gateway.store.database import Database, now_micros
from gateway.store.tally import Tally
from tests.receive.door import Client, intake


@contextmanager
def counted(database: Database, **settings: Any) -> Iterator[int]:
    """Yield the port; when the listener has stopped, its counts are in the database."""
    tally = Tally(database)
    counting = replace(intake(database), tally=tally)
    listener = MllpListener("127.0.0.1", 0, counting, replace(Settings(), **settings), now_micros)
    listener.start()
    try:
        yield listener.port
    finally:
        listener.stop()
        tally.stop()


def exchange(database: Database, *frames: bytes, half: bytes = b"", **settings: Any) -> list[bytes]:
    """Send each frame on one connection and `half` a frame on another; return the replies."""
    with counted(database, **settings) as port:
        with Client(port) as client:
            replies = [client.ask(frame) for frame in frames]
        if half:
            with Client(port) as client:
                client.send(b"\x0b" + half)
                client.replies_until_closed()
    return replies
