"""Whether the store is sound: the database by its own check, and every file it names."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, select, text

from gateway.errors import NotFound, StoreUnavailable
from gateway.store.database import Database
from gateway.store.files import Files
from gateway.store.tables import file

# What must never be: each with how it is said when there is any.
_NEVER = (
    ("SELECT count(*) FROM message m WHERE m.state = 'accepted' AND NOT EXISTS"
     " (SELECT 1 FROM part p WHERE p.message_key = m.key)", "accepted messages without work"),
    ("SELECT count(*) FROM part WHERE state IN ('received', 'waiting') AND ready_at <= 0",
     "open parts that no worker will take"),
    ("SELECT count(*) FROM report r WHERE r.status <> '' AND NOT EXISTS"
     " (SELECT 1 FROM edition e WHERE e.report_key = r.key)", "reports without a version"),
    ("SELECT count(*) FROM resource WHERE file_digest IS NOT NULL AND NOT EXISTS"
     " (SELECT 1 FROM file WHERE digest = file_digest)", "documents without a file"),
)  # fmt: skip


def problems(database: Database, files: Files) -> Iterator[str]:
    """Yield what is wrong, in words without patient data. Raises StoreUnavailable."""
    with database.read() as connection:
        if database.is_sqlite:
            yield from _of_sqlite(connection)
        for query, words in _NEVER:
            if count := connection.execute(text(query)).scalar():
                yield f"{count} {words}"
        stored = connection.execute(select(file.c.digest, file.c.size))
        missing = sum(not _there(files, digest, size) for digest, size in stored)
        if missing:
            yield f"{missing} stored files are missing or not as long as they were"


def _of_sqlite(connection: Connection) -> Iterator[str]:
    for (said,) in connection.exec_driver_sql("PRAGMA integrity_check(20)"):
        if said != "ok":
            yield f"SQLite: {said}"
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    if broken:
        yield f"{len(broken)} rows point to rows that are not there"


def _there(files: Files, digest: str, size: int) -> bool:
    try:
        files.open(digest, size).close()
    except (NotFound, StoreUnavailable):
        return False
    return True
