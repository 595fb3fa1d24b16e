"""What an audit record costs a read, beside a bare write of the same bytes.

    python -m benchmarks.audit

CPU time of this process, both in turns; the journal's own syncing is included.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from gateway.store import schema
from gateway.store.audit import Event, Journal
from gateway.store.audit.sealer import Sealer
from gateway.store.database import Database, now_micros

ROUNDS = 7
RECORDS = 5_000
# A record may cost this share of the 0.35 ms that a read by id may cost (DESIGN.md).
BUDGET_MS = 0.35
SHARE = 0.1
EVENT = Event(
    1_760_000_000_000_000, "0b5f3c2e-1111-4222-8333-444455556666", "read",
    "DiagnosticReport/0b5f3c2e-1111-4222-8333-123456789012", 200,
    returned=("DiagnosticReport/0b5f3c2e-1111-4222-8333-123456789012/_history/1",),
    person="0b5f3c2e-1111-4222-8333-777788889999", purpose="TREAT", address="10.1.2.3",
    token="0123456789abcdef",
)  # fmt: skip


def cpu_micros(act: Callable[[], object]) -> float:
    """CPU microseconds of one of many calls."""
    began = time.process_time()
    for _ in range(RECORDS):
        act()
    return (time.process_time() - began) / RECORDS * 1e6


def main() -> bool:
    """Print the figures; whether a record is within its share of a read."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as place:
        database, folder = Database(f"sqlite:///{place}/gateway.db"), Path(place) / "audit"
        schema.upgrade(database)
        journal = Journal(folder, database)
        journal.record(EVENT)
        line = next(folder.iterdir()).read_bytes().splitlines(keepends=True)[1]
        bare = os.open(Path(place) / "bare", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        ours, theirs = [], []
        for _ in range(ROUNDS):
            ours.append(cpu_micros(lambda: journal.record(EVENT)))
            theirs.append(cpu_micros(lambda: os.write(bare, line)))
        os.close(bare)
        journal.close()
        began = time.process_time()
        sealed = Sealer(database, folder, now_micros).seal()
        seal = (time.process_time() - began) / sealed * 1e6
        database.close()
    record, write = statistics.median(ours), statistics.median(theirs)
    fine = record <= SHARE * BUDGET_MS * 1e3
    print(
        f"audit: {record:.1f} us CPU for a record of {len(line)} bytes, {record / write:.1f} x a"
        f" bare write of {write:.1f} us (at most {SHARE * BUDGET_MS * 1e3:.0f} us):"
        f" {'met' if fine else 'missed'}; sealed and indexed later for {seal:.0f} us"
    )
    return fine


if __name__ == "__main__":
    raise SystemExit(0 if main() else 1)
