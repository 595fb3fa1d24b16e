"""Who was handed a resource, by the audit journals. This reads every line of every journal."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

import orjson


class Reading(NamedTuple):
    """Somebody who was handed some of the resources: first and last time, and how often."""

    client: str
    person: str
    first: int
    last: int
    times: int


def who_read(folder: Path, references: Collection[str]) -> list[Reading]:
    """Return who was handed any version of these resources (`Type/id`), by the first time."""
    wanted = frozenset(references)
    found: dict[tuple[str, str], Reading] = {}
    for time, client, person in _handed(folder, wanted):
        known = found.get((client, person), Reading(client, person, time, time, 0))
        found[client, person] = known._replace(
            first=min(known.first, time), last=max(known.last, time), times=known.times + 1
        )
    return sorted(found.values(), key=lambda one: one.first)


def _handed(folder: Path, wanted: frozenset[str]) -> Iterator[tuple[int, str, str]]:
    for path in sorted(folder.glob("**/*.ndjson")):
        with path.open("rb") as lines:
            for line in lines:
                try:
                    event = orjson.loads(line)
                except orjson.JSONDecodeError:
                    continue  # the last line of a process that was killed
                returned = {one.split("/_history/")[0] for one in event.get("returned", ())}
                if returned & wanted and event["status"] < 400:
                    person = event.get("person") or event.get("subject") or ""
                    yield event["time"], event["client"], person
