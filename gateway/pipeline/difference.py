"""What a replay would change in what is published, told by element and not by value."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.store.changes import Change

_NOT_SAID = ("versionId", "lastUpdated")
_OF_THE_FILING = "Provenance"
_WITHDRAWN = "entered-in-error"
_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Element:
    """One element that changes: its JSON path, and its values as JSON (empty: not there)."""

    path: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Difference:
    """What becomes of one resource: `added`, `changed`, or `gone` (entered in error).

    `role` says what it is in its report, by content: it may name a variant, and is a value.
    """

    kind: str
    type: str
    id: str
    role: str
    elements: tuple[Element, ...]

    @property
    def label(self) -> str:
        """The role without its content: `variant`, `specimen`."""
        return self.role.partition(":")[0].partition("|")[0]


def differences(found: Sequence[Change], roles: Mapping[str, str]) -> tuple[Difference, ...]:
    """Tell each change of content; how it came (Provenance) and version numbers are none."""
    made = []
    for one in found:
        before, after = _content(one.before), _content(one.after)
        if one.type == _OF_THE_FILING or before == after:
            continue
        role = roles.get(f"{one.type}/{one.id}", "")
        elements = tuple(_elements(before, after)) if one.before else ()
        made.append(Difference(_kind(before, after), one.type, one.id, role, elements))
    return tuple(sorted(made, key=lambda one: (one.type, one.role, one.kind)))


def digest_of(part_key: int, found: Sequence[Change]) -> str:
    """Digest a difference: the same for the same change, whatever ids new resources would get."""
    fresh = {one.id: f"new:{place}" for place, one in enumerate(found) if not one.before}
    said = []
    for one in found:
        if one.type != _OF_THE_FILING:
            id_, after = fresh.get(one.id, one.id), one.after
            for name, stands_for in fresh.items():
                after = after.replace(name, stands_for)
            said.append([one.type, id_, _content(one.before), _content(after)])
    text = json.dumps([part_key, said], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _kind(before: Any, after: Any) -> str:
    if not before:
        return "added"
    gone = after.get("status") == _WITHDRAWN != before.get("status")
    return "gone" if gone else "changed"


def _content(body: str) -> Any:
    """Read stored JSON; the digits of a number are part of its meaning."""
    if not body:
        return {}
    content = json.loads(body, parse_float=lambda digits: ["decimal", digits])
    meta = content.get("meta", {})
    content["meta"] = {name: value for name, value in meta.items() if name not in _NOT_SAID}
    return content


def _elements(before: Any, after: Any, path: str = "") -> Iterator[Element]:
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for name in (*before, *(one for one in after if one not in before)):
            below = f"{path}.{name}" if path else name
            yield from _elements(before.get(name, _ABSENT), after.get(name, _ABSENT), below)
    elif _is_list(before) and _is_list(after):
        for place in range(max(len(before), len(after))):
            old, new = (one[place] if place < len(one) else _ABSENT for one in (before, after))
            yield from _elements(old, new, f"{path}[{place}]")
    else:
        yield Element(path, _shown(before), _shown(after))


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and value[:1] != ["decimal"]


def _shown(value: Any) -> str:
    if value is _ABSENT:
        return ""
    if isinstance(value, list) and value[:1] == ["decimal"]:
        return str(value[1])
    return json.dumps(value, ensure_ascii=False)
