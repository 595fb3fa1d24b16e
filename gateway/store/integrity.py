"""Whether the store is sound: the database by its own check, and every file it names."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, select, text

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
     " (SELECT 1 FROM edition e WHERE e.report_key = r.key"
     " AND e.content_digest = r.content_digest)", "reports without the version that stands"),
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
    if missing := _compared(database, files)[0]:
        yield f"{missing} stored files are missing or not as long as they were"


def count_orphans(database: Database, files: Files) -> int:
    """Count the files that no row names: left by filing that was broken off, and harmless."""
    return _compared(database, files)[1]


def _of_sqlite(connection: Connection) -> Iterator[str]:
    for (said,) in connection.exec_driver_sql("PRAGMA integrity_check(20)"):
        if said != "ok":
            yield f"SQLite: {said}"
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    if broken:
        yield f"{len(broken)} rows point to rows that are not there"


def _compared(database: Database, files: Files) -> tuple[int, int]:
    """Count files that are missing or of another size, and those that no row names."""
    missing = orphans = 0
    for number in range(256):
        beginning = f"{number:02x}"
        kept = files.kept(beginning)
        with database.read() as connection:
            named = {
                row.digest: row.size
                for row in connection.execute(
                    select(file.c.digest, file.c.size).where(
                        file.c.digest >= beginning, file.c.digest < f"{beginning}g"
                    )
                )
            }
        missing += sum(kept.get(digest) != size for digest, size in named.items())
        orphans += len(kept.keys() - named.keys())
    return missing, orphans
