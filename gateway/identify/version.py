"""Which version of a report stands: clock first, then how final it is (ingest rule 3.4)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

RANK = {
    "registered": 0, "partial": 1, "preliminary": 1, "final": 2, "amended": 3, "corrected": 3,
    "appended": 3, "cancelled": 3, "entered-in-error": 4,
}  # fmt: skip


class Step(StrEnum):
    """What to do with a new version of a report."""

    PUBLISH = "publish"
    AMEND = "amend"
    SAME = "same"
    LATE = "late"


@dataclass(frozen=True, slots=True)
class Edition:
    """One version: its status, its clock (OBR-22), when it was sent (MSH-7), its content."""

    status: str
    clock: int
    sent: int
    digest: str


def step(published: Edition | None, new: Edition) -> Step:
    """Decide: publish, publish as amended, nothing new, or late (kept and not published).

    Ties in the clock go to MSH-7, then to arrival (safety.md 1). A preliminary report never
    replaces a final one. A final one that changes another final one is an amendment.
    """
    if published is None or not published.status:
        return Step.PUBLISH
    if published.digest == new.digest:
        return Step.SAME
    if RANK[new.status] < 2 <= RANK[published.status]:
        return Step.LATE
    if (new.clock, new.sent) < (published.clock, published.sent):
        return Step.LATE
    if new.status == "final" and RANK[published.status] >= 2:
        return Step.AMEND
    return Step.PUBLISH
