"""The line of an entry, read from its segment when somebody asks for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from gateway.errors import StoreUnavailable
from gateway.store.audit.entries import Entry
from gateway.store.audit.event import Event, read_line


def read_events(folder: Path, entries: Iterable[Entry]) -> Iterator[tuple[Entry, Event]]:
    """Yield each entry with its event; raises StoreUnavailable where one cannot be read."""
    for entry in entries:
        try:
            with (folder / f"{entry.segment}.ndjson").open("rb") as file:
                file.seek(entry.low)
                line = file.read(entry.size)
        except OSError as error:
            raise StoreUnavailable("the audit journal cannot be read") from error
        event = read_line(line)
        if not isinstance(event, Event):
            raise StoreUnavailable("a line of the audit journal is not what it was")
        yield entry, event
