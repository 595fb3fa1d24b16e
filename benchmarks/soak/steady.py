"""An hour at steady load: memory and descriptors of every process stay flat, all is filed.

    python -m benchmarks.soak.steady [--minutes 60] [--rate 5] [--postgres]

Reports, corrections and repeats go over connections that are opened anew every 200 messages.
Once a minute the resident memory (MB) and the open descriptors of each process are noted.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.soak import kill
from gateway import demo
from gateway.wire.mllp import send
from tests import postgres

# The first tenth warms up; after it, memory may grow by this much, descriptors by this many.
GROWTH_MB = 8.0
GROWTH_DESCRIPTORS = 4


def processes(parent: int) -> dict[int, str]:
    """Return the processes below one, with the role that each was started for."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if os.getpgid(int(path.name)) == parent:
                words = (path / "cmdline").read_bytes().split(b"\0")
                found[int(path.name)] = (words[-2] or words[0]).decode()[-20:]
        except (OSError, IndexError):
            continue  # it has ended meanwhile
    return found


def size(process: int) -> tuple[float, int]:
    """Return resident memory in MB and the number of open descriptors."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6, len(
        list(Path(f"/proc/{process}/fd").iterdir())
    )


def stream(chance: random.Random, counted: list[int]) -> Iterator[bytes]:
    """Yield 200 messages: new reports, corrections of one before, repeats."""
    last = b""
    for _ in range(200):
        person = demo._PEOPLE[chance.randrange(4)]
        kind = chance.random()
        if last and kind < 0.1:
            yield last
            continue
        number = counted[0]
        counted[0] += 1
        last = demo._negative(f"S{number}", f"R{number}", person)
        yield last


def soak(url: str, minutes: float, rate: float) -> bool:
    folder, port = tempfile.mkdtemp(), postgres.free_port()
    running = kill.start(kill.environment_for(url, folder, port), port)
    for number, person in enumerate(demo._PEOPLE):
        list(send(kill.HOST, port, [demo._patient(*person, number)]))
    chance, counted = random.Random(1), [0]
    noted: dict[int, list[tuple[float, int]]] = {}
    began = time.monotonic()
    sent, next_note = 0, 60.0
    while (elapsed := time.monotonic() - began) < minutes * 60:
        for reply in send(kill.HOST, port, stream(chance, counted), 60):
            if b"MSA|AA|" not in reply:
                raise SystemExit("not accepted")
            sent += 1
            elapsed = time.monotonic() - began
            if elapsed >= next_note:
                next_note += 60
                for process in processes(running.pid):
                    noted.setdefault(process, []).append(size(process))
            time.sleep(max(0.0, sent / rate - elapsed))
    roles = processes(running.pid)
    fine = flat(noted, roles)
    acknowledged = {f"S{number}" for number in range(counted[0])}
    fine &= kill.verdict(url, folder, acknowledged)
    running.terminate()
    running.wait()
    print(f"{sent} messages in {minutes} minutes: {'fine' if fine else 'NOT FINE'}")
    return fine


def flat(noted: dict[int, list[tuple[float, int]]], roles: dict[int, str]) -> bool:
    fine = True
    for process, sizes in sorted(noted.items()):
        warm = sizes[max(1, len(sizes) // 10) :]
        third = max(1, len(warm) // 3)
        first, last = warm[:third], warm[-third:]
        grown = statistics.median(one[0] for one in last) - statistics.median(
            one[0] for one in first
        )
        more = max(one[1] for one in last) - max(one[1] for one in first)
        good = process in roles and grown <= GROWTH_MB and more <= GROWTH_DESCRIPTORS
        fine &= good
        print(
            f"{process} {roles.get(process, 'ENDED')}: {sizes[0][0]:.0f} MB at first,"
            f" {warm[-1][0]:.0f} MB at last ({grown:+.1f} between thirds),"
            f" {warm[-1][1]} descriptors ({more:+d}){'' if good else ' NOT FLAT'}"
        )
    return fine


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--minutes", type=float, default=60)
    options.add_argument("--rate", type=float, default=5)
    options.add_argument("--postgres", action="store_true")
    given = options.parse_args()
    if not given.postgres:
        raise SystemExit(0 if soak("", given.minutes, given.rate) else 1)
    with postgres.cluster() as cluster:
        raise SystemExit(0 if soak(cluster.url("soak"), given.minutes, given.rate) else 1)


if __name__ == "__main__":
    main()
