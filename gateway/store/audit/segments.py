"""Segments of the journals, as the database knows them, and the chain of seals."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson
from sqlalchemy import Connection, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from gateway.store.audit.event import START
from gateway.store.database import Database
from gateway.store.tables import audit_seal, audit_segment

LINES, PURGE = "lines", "purge"
_LOCK = 5_871_260_913
_SEGMENT = audit_segment.c


@dataclass(frozen=True, slots=True)
class Segment:
    """One file of a journal: how many of its bytes and lines are under seals."""

    key: int
    name: str
    sealed: int
    lines: int
    head: str
    purged: bool

    @property
    def file(self) -> str:
        """The name of its file."""
        return f"{self.name}.ndjson"

    @property
    def before(self) -> str:
        """The name of the segment before it in its process; empty for the first."""
        stream, _, number = self.name.rpartition("-")
        return f"{stream}-{int(number) - 1:06}" if int(number or 0) else ""


@dataclass(frozen=True, slots=True)
class Seal:
    """One seal: these bytes of this segment, after the seal before."""

    number: int
    kind: str
    segment: str
    low: int
    high: int
    lines: int
    digest: str
    previous: str
    at: int
    keyed: bool
    seal: str = ""

    def sum(self, key: bytes) -> str:
        """Compute the seal: an HMAC with the key of the installation, where it has one."""
        content = orjson.dumps({**asdict(self), "seal": ""}, option=orjson.OPT_SORT_KEYS)
        if self.keyed:
            return hmac.digest(key, content, hashlib.sha256).hex()
        return hashlib.sha256(content).hexdigest()


def announce(database: Database, name: str, now: int, host: str) -> None:
    """Say that there is such a segment; saying it again changes nothing.

    Raises StoreUnavailable.
    """
    kind = sqlite if database.is_sqlite else postgresql
    query = kind.insert(audit_segment).values(name=name, opened_at=now, host=host, head=START)
    with database.write() as connection:
        connection.execute(query.on_conflict_do_nothing())


def segments(connection: Connection) -> Iterator[Segment]:
    """Yield every segment that was announced, in that order."""
    query = select(
        _SEGMENT.key, _SEGMENT.name, _SEGMENT.sealed, _SEGMENT.lines, _SEGMENT.head,
        _SEGMENT.purged_at.is_not(None),
    ).order_by(_SEGMENT.key)  # fmt: skip
    for row in connection.execute(query):
        yield Segment(*row)


def seals(connection: Connection, segment_key: int | None = None) -> Iterator[Seal]:
    """Yield seals by their number: all, or those of one segment; never all in memory."""
    columns = [
        _SEGMENT.name if one == "segment" else audit_seal.c[one]
        for one in Seal.__dataclass_fields__
    ]
    query = select(*columns).join(audit_segment).order_by(audit_seal.c.number)
    if segment_key is not None:
        query = query.where(audit_seal.c.segment_key == segment_key)
    with connection.execute(query.execution_options(yield_per=500)) as found:
        for row in found:
            yield Seal(*row)


def newest(connection: Connection) -> Seal | None:
    """Return the head of the chain; whoever keeps it elsewhere can tell later that it is cut."""
    columns = [
        _SEGMENT.name if one == "segment" else audit_seal.c[one]
        for one in Seal.__dataclass_fields__
    ]
    query = select(*columns).join(audit_segment).order_by(audit_seal.c.number.desc()).limit(1)
    row = connection.execute(query).first()
    return Seal(*row) if row else None


def alone(connection: Connection) -> bool:
    """Be the only sealer until the transaction ends; False when there is another."""
    if connection.dialect.name == "sqlite":
        return True  # a transaction that writes is alone there
    query = f"SELECT pg_try_advisory_xact_lock({_LOCK})"
    return bool(connection.exec_driver_sql(query).scalar())


def append(
    connection: Connection, segment: Segment, kind: str, high: int, lines: int, digest: str,
    now: int, key: bytes,
) -> Seal:  # fmt: skip
    """Add a seal to the chain; raises VersionConflict when another was faster."""
    last = newest(connection)
    low = segment.sealed if kind == LINES else 0
    fresh = Seal(
        last.number + 1 if last else 1, kind, segment.name, low, high, lines, digest,
        last.seal if last else START, now, bool(key),
    )  # fmt: skip
    values = {**asdict(fresh), "seal": fresh.sum(key), "segment_key": segment.key}
    del values["segment"]
    connection.execute(insert(audit_seal).values(values))
    return fresh


def path_of(folder: Path, segment: Segment) -> Path:
    """Return where the file of a segment lies."""
    return folder / segment.file
