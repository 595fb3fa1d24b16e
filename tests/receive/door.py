"""What the tests of the doors share: invented messages, an intake, a listener, a raw client."""

from __future__ import annotations

import itertools
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sqlalchemy import text

from gateway.config import Settings
from gateway.pipeline.accept import Arrival, Intake, accept
from gateway.receive.mllp import MllpListener
from gateway.source import Source, Sources
from gateway.store.database import Database, now_micros
from gateway.store.inbox import Inbox
from gateway.translate.mapping import Mappings, load_mappings
from gateway.wire.mllp import Deframer, wrap

MAPPINGS = Path(__file__).parents[2] / "mappings"
BODY = (
    b"PID|1||1904851231^^^CHI||Sample^Ailsa||19850419|F\r"
    b"OBR|1||IG-9|IGEAP^PANEL: R208.1||||||||||||||||||20260304120000|||F\r"
    b"OBX|1|CE|51968-6^Outcome^LN||332^NO VARIANT DETECTED||||||F\r"
)
_numbers = itertools.count()


@cache
def mappings() -> Mappings:
    return load_mappings(MAPPINGS)


def header(
    control_id: str = "C1", *, kind: str = "ORU^R01", processing: str = "P", version: str = "2.3",
    application: str = "IGENE", facility: str = "GLASGOW", rest: str = "",
) -> bytes:  # fmt: skip
    return (
        f"MSH|^~\\&|{application}|{facility}|GATEWAY|BOARD|20260304||{kind}|{control_id}"
        f"|{processing}|{version}{rest}\r"
    ).encode()


def message(control_id: str = "C1", body: bytes = BODY, **fields: str) -> bytes:
    return header(control_id, **fields) + body


def intake(database: Database, policy: str = "hold") -> Intake:
    known = mappings()
    if policy != "hold":
        found = known.by_name["igene"]
        strict = replace(found, sender=replace(found.sender, policy=policy))
        by_name = MappingProxyType({**known.by_name, "igene": strict})
        known = replace(
            known, by_name=by_name, senders=type(known.senders).of(
                one.sender for one in by_name.values()
            ),
        )  # fmt: skip
    return Intake(Inbox(database), known, lambda: uuid.uuid4().hex[:20])


def answer(database: Database, raw: bytes, source: str | Source = "test", **arrival: Any) -> bytes:
    known = source if isinstance(source, Source) else Source(source)
    policy = arrival.pop("policy", "hold")
    return accept(Arrival(raw, known, now_micros(), **arrival), intake(database, policy))


def rows(database: Database, query: str = "SELECT * FROM message ORDER BY key") -> list[Any]:
    with database.read() as connection:
        return list(connection.execute(text(query)).all())


def field(reply: bytes, segment: str, number: int) -> str:
    """Return one field of the first such segment of a reply, '' when there is none."""
    for line in reply.decode("latin-1").split("\r"):
        if line.startswith(segment):
            parts = line.split(line[3] if segment == "MSH" else "|")
            at = number - 1 if segment == "MSH" else number
            return parts[at] if at < len(parts) else ""
    return ""


def codes(reply: bytes) -> tuple[str, str]:
    """Return MSA-1 and the table 0357 code of a version 2.3 reply."""
    return field(reply, "MSA", 1), field(reply, "ERR", 1).rpartition("^")[2]


@contextmanager
def listening(
    database: Database,
    sources: Sources = Sources(),
    **settings: Any,
) -> Iterator[MllpListener]:
    """Run a real listener on a free port."""
    listener = MllpListener(
        "127.0.0.1",
        0,
        intake(database),
        replace(Settings(), **settings),
        now_micros,
        sources,
    )
    listener.start()
    try:
        yield listener
    finally:
        listener.stop()


class Client:
    """A socket that sends any bytes and reads framed replies."""

    def __init__(self, port: int, address: str = "127.0.0.1") -> None:
        """Connect, from another address of the loopback network if need be."""
        self.socket = socket.create_connection(("127.0.0.1", port), 60, (address, 0))
        self._frames = Deframer(1_000_000)
        self._ready: list[bytes] = []

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, raw: bytes) -> None:
        self.socket.sendall(raw)

    def reply(self) -> bytes:
        """Return the next reply, or nothing when the other side has hung up."""
        while not self._ready:
            data = self.socket.recv(65_536)
            if not data:
                return b""
            self._ready += [frame.payload for frame in self._frames.feed(data)]
        return self._ready.pop(0)

    def replies_until_closed(self) -> list[bytes]:
        self.socket.shutdown(socket.SHUT_WR)
        return list(iter(self.reply, b""))

    def ask(self, raw: bytes) -> bytes:
        self.send(wrap(raw))
        return self.reply()
