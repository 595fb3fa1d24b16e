"""Small messages of OBX alone, and what a reader of them needs."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

from gateway.message import Message, Segment
from gateway.translate.apply import Scope
from gateway.translate.desk import Desk
from gateway.translate.mapping import load_mapping

MAPPING = load_mapping(Path(__file__).parents[2] / "mappings", "hl7v2")


def message(*lines: str) -> Message:
    """Build a message of these segments; the number of each name is counted."""
    seen: dict[str, int] = {}
    segments = []
    for line in lines:
        name, *fields = line.split("|")
        seen[name] = seen.get(name, 0) + 1
        segments.append(Segment(name, seen[name], (name, *fields)))
    return Message(tuple(segments))


def scope(given: Message) -> Scope:
    """Return the message with a desk of its own, in London, with the standard tables."""
    return Scope(given, Desk(given, ZoneInfo("Europe/London"), MAPPING.tables))
