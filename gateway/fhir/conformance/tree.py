"""A snapshot as a tree: elements, their slices, and what stands below both (R4 profiling).

An item of a sliced element keeps the rules of the element and those of its slice; a slice has
here only what the snapshot says about it, because the element is always checked as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

UNLIMITED = 1 << 30


@dataclass(slots=True)
class Node:
    """One ElementDefinition; `name` is its last step, without `[x]` for a choice."""

    name: str
    rule: Json
    choice: bool = False
    children: dict[str, Node] = field(default_factory=dict)
    slices: dict[str, Node] = field(default_factory=dict)

    @property
    def least(self) -> int:
        """How many there must be."""
        return int(self.rule.get("min", 0))

    @property
    def most(self) -> int:
        """How many there may be."""
        most = self.rule.get("max", "*")
        return UNLIMITED if most == "*" else int(most)

    @property
    def types(self) -> list[Json]:
        """The types it may have."""
        found: list[Json] = self.rule.get("type", [])
        return found

    @property
    def expected(self) -> tuple[str, Any] | None:
        """Its fixed value or pattern, with the word that says which."""
        for name, value in self.rule.items():
            for kind in ("fixed", "pattern"):
                if name.startswith(kind) and name[len(kind) : len(kind) + 1].isupper():
                    return kind, value
        return None


def tree(elements: Iterable[Json]) -> Node:
    """Make the tree of a snapshot; what is not below its root is left out."""
    rows = list(elements)
    root = Node(rows[0]["path"], rows[0])
    made = {rows[0].get("id", rows[0]["path"]): root}
    for row in rows[1:]:
        parent, name, slice_name = _placed(row)
        if slice_name:
            owner = made.get(parent + "." + name)
            if owner is not None:
                made[row["id"]] = owner.slices[slice_name] = _node(name, row)
        elif (owner := made.get(parent)) is not None:
            node = _node(name, row)
            owner.children[node.name] = made[row["id"]] = node
    _link(root)
    return root


def _placed(row: Json) -> tuple[str, str, str]:
    parent, _, last = row["id"].rpartition(".")
    name, _, slice_name = last.partition(":")
    return parent, name, slice_name


def _node(name: str, row: Json) -> Node:
    return Node(name.removesuffix("[x]"), row, choice=name.endswith("[x]"))


def _link(root: Node) -> None:
    """Let an element that repeats another's content (`contentReference`) have its children."""
    for node in list(nodes(root)):
        reference = node.rule.get("contentReference", "").rpartition("#")[2]
        if reference and not node.children:
            found: Node | None = root
            for step in reference.split(".")[1:]:
                found = found.children.get(step) if found else None
            if found is not None:
                node.children = found.children


def nodes(root: Node, seen: set[int] | None = None) -> Iterator[Node]:
    """Yield every node once."""
    seen = set() if seen is None else seen
    if id(root) in seen:
        return
    seen.add(id(root))
    yield root
    for child in (*root.children.values(), *root.slices.values()):
        yield from nodes(child, seen)
