"""Merges of patients (HL7 v2 chapter 3, 3.6) to `Merge`s: each MRG with the PID before it.

A18, A30, A34, A36, A39 and A40 say that two records are of one person; A47 that a number was
changed; A24 links two records that stay two, and A37 ends that. Merges and moves of accounts or
visits (A41 to A45) are not about who a person is.
"""

from __future__ import annotations

from collections.abc import Iterator

from gateway.errors import MissingSegment
from gateway.message import Message, Segment
from gateway.report import Patient
from gateway.request import Link, Merge
from gateway.translate.apply import Scope
from gateway.translate.desk import Desk
from gateway.translate.mapping import SenderMapping
from gateway.translate.order import read_patient

RENUMBERING = frozenset({"A47"})
EVENTS = frozenset({"A18", "A30", "A34", "A36", "A39", "A40"}) | RENUMBERING

UNLINKING = frozenset({"A37"})
LINKING = frozenset({"A24"}) | UNLINKING


def merges(message: Message, mapping: SenderMapping, event: str, desk: Desk) -> tuple[Merge, ...]:
    """Translate every pair of a merge message; holds say where."""
    for name in ("PID", "MRG"):
        if message.first(name) is None:
            desk.hold_for(MissingSegment(f"a merge needs {name}", where=name))
    return tuple(_merge(Scope(group, desk), mapping, event) for group in _pairs(message))


def links(message: Message, mapping: SenderMapping, event: str, desk: Desk) -> tuple[Link, ...]:
    """Translate a link of two patients; holds say where."""
    header = tuple(one for one in message.segments if one.name in ("MSH", "EVN"))
    people = [one for one in message.segments if one.name == "PID"]
    if len(people) != 2:
        desk.hold_for(MissingSegment("a link needs two PID", where="PID"))
        return ()
    one, other = (
        read_patient(Scope(message.only((*header, person)), desk), mapping, "patient", "name")
        for person in people
    )
    return (Link(one, other, event in UNLINKING),)


def _pairs(message: Message) -> Iterator[Message]:
    header: list[Segment] = []
    person: Segment | None = None
    for segment in message.segments:
        if segment.name == "PID":
            person = segment
        elif segment.name == "MRG" and person:
            yield message.only((*header, person, segment))
        elif person is None:
            header.append(segment)


def _merge(scope: Scope, mapping: SenderMapping, event: str) -> Merge:
    clock = scope.fill(mapping.rules["feed"])
    return Merge(
        survivor=read_patient(scope, mapping, "patient", "name"),
        subsumed=Patient(**scope.fill(mapping.rules["subsumed"])),
        event=event,
        clock=clock.get("clock", ""),
        renumbered=event in RENUMBERING,
    )
