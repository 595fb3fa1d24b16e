"""One page of resources, and what is known about it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gateway.store.resources import Stored
from gateway.store.search.asked import Query


@dataclass(frozen=True, slots=True)
class Page:
    """One page; `total` is None when it was not asked for and is not known for free.

    `estimated`: the total is no exact count. `capped`: there was more to include than the limit.
    """

    query: Query
    matches: tuple[Stored, ...] = ()
    included: tuple[Stored, ...] = ()
    total: int | None = None
    next: str = ""
    estimated: bool = False
    capped: bool = False

    def counted(self, total: int, *, estimated: bool = False) -> Page:
        """Return the page with its total."""
        return replace(self, total=total, estimated=estimated)
