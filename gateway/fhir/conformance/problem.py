"""What is wrong with a resource, and where; the text never holds a value."""

from __future__ import annotations

from typing import NamedTuple


class Problem(NamedTuple):
    """One fault: `path` is FHIRPath-like, `text` is for people."""

    path: str
    text: str


Problems = list[Problem] | None
"""None where nothing is wrong: the usual case allocates nothing."""


def under(prefix: str, found: Problems) -> list[Problem]:
    """Put the place of a parent before the places of its parts."""
    return [Problem(prefix + path, text) for path, text in found or ()]
