"""Which version of a report stands: a function of all versions received, in whatever order.

Clock first, then when it was sent, then arrival (safety.md 1); what is final outranks what is
not (ingest rules 3.4 and 2.8).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

RANK = {
    "registered": 0, "partial": 1, "preliminary": 1, "final": 2, "amended": 3, "corrected": 3,
    "appended": 3, "cancelled": 3, "entered-in-error": 4,
}  # fmt: skip
_FINAL = 2


@dataclass(frozen=True, slots=True)
class Edition:
    """One version as received: status, clock (OBR-22), sending time (MSH-7), content, arrival.

    `promotes`: it brings no values, and makes final what the last version said (OBX-11 = U).
    `document`: it came as a document (MDM), beside or before the result message.
    """

    key: int
    status: str
    clock: int
    sent: int
    digest: str
    promotes: bool = False
    document: bool = False

    @property
    def final(self) -> bool:
        """Whether it claims to be final, or to undo what was."""
        return RANK[self.status] >= _FINAL

    @property
    def time(self) -> tuple[int, int, int]:
        """Where it stands in the history of the report."""
        return self.clock, self.sent, self.key


@dataclass(frozen=True, slots=True)
class Stands:
    """The version that stands: whose content, under which status."""

    source: Edition
    status: str


def stands(editions: Iterable[Edition]) -> Stands | None:
    """Decide from all editions; None when none of them can stand alone.

    A preliminary report never replaces a final one. A final one that differs from an earlier
    final one is an amendment. Result messages outrank documents, which carry no findings.
    """
    received = list(editions)
    results = [one for one in received if not one.document]
    history = sorted(results or received, key=lambda one: one.time)
    best: tuple[tuple[bool, tuple[int, int, int]], Edition] | None = None
    for place, one in enumerate(history):
        source = _promoted(history[:place]) if one.promotes else one
        rank = (one.final, one.time)
        if source and (best is None or rank >= best[0]):
            best = rank, source
    if best is None:
        return None
    (final, time), source = best
    status = source.status if final == source.final else "final"
    return Stands(source, "amended" if _amends(status, source, time, history) else status)


def _promoted(earlier: list[Edition]) -> Edition | None:
    """The version that a bare promotion speaks of: the last one, unless it is final already."""
    last = next((one for one in reversed(earlier) if not one.promotes), None)
    return last if last and not last.final else None


def _amends(
    status: str, source: Edition, time: tuple[int, int, int], history: list[Edition]
) -> bool:
    return status == "final" and any(
        one.final and not one.promotes and one.time < time and one.digest != source.digest
        for one in history
    )
