"""The pipeline without its doors: bytes in, rows out, one step at a time."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import text

from gateway.config import Settings
from gateway.pipeline.accept import Arrival, Intake, accept
from gateway.pipeline.file import Office
from gateway.source import Source
from gateway.store.database import Database, now_micros
from gateway.store.files import Files
from gateway.store.inbox import Inbox
from gateway.store.listing import list_messages
from gateway.translate.mapping import Mappings, load_mappings
from gateway.worker import run_once

MAPPINGS = Path(__file__).parents[2] / "mappings"


@dataclass
class Desk:
    """Sends messages through accept and filing, and shows what became of them."""

    database: Database
    folder: Path
    mappings: Mappings = field(default_factory=lambda: load_mappings(MAPPINGS))
    numbers: Iterator[int] = field(default_factory=itertools.count)
    settings: Settings = field(default_factory=Settings)
    inbox: Inbox = field(init=False)

    def __post_init__(self) -> None:
        # One for all messages: each keeps a connection of its own.
        self.inbox = Inbox(self.database)

    def office(self) -> Office:
        files = Files(self.folder / "files")
        return Office(self.database, files, self.mappings, self.settings, now_micros)

    def accept(self, raw: bytes, source: str = "test") -> bytes:
        intake = Intake(self.inbox, self.mappings, lambda: f"A{next(self.numbers)}")
        return bytes(accept(Arrival(raw, Source(source), now_micros()), intake))

    def work_once(self) -> None:
        run_once(self.office(), "worker")

    def work_until(self, state: str, seconds: float = 20.0) -> None:
        """Work until the newest part has come to a state: what waits has a time."""
        deadline = time.monotonic() + seconds
        while self.rows("SELECT state FROM part ORDER BY key DESC LIMIT 1")[0].state != state:
            assert time.monotonic() < deadline
            self.work_once()

    def work(self) -> None:
        while run_once(self.office(), "worker"):
            pass

    def send(self, raw: bytes, source: str = "test") -> Mapping[str, Any]:
        """Accept, file, and return the row of the newest message."""
        reply = self.accept(raw, source)
        self.work()
        with self.database.read() as connection:
            row = dict(list_messages(connection, limit=1)[0])
        row["reply"] = reply
        row["state"] = row["state"] or row["message_state"]
        row["detail"] = orjson.loads(row["detail"] or "[]")
        row["outcome"] = orjson.loads(row["outcome"] or "[]")
        return row

    def resources(self, type_: str) -> list[dict[str, Any]]:
        with self.database.read() as connection:
            query = text("SELECT body FROM resource WHERE type = :type ORDER BY key")
            return [
                orjson.loads(body) for body in connection.execute(query, {"type": type_}).scalars()
            ]

    def rows(self, query: str) -> list[Any]:
        with self.database.read() as connection:
            return list(connection.execute(text(query)).all())
