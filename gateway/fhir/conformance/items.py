"""The values of an element in FHIR JSON, with their places (R4 json 2.6.2)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

Json = dict[str, Any]


class Item(NamedTuple):
    """One value; `twin` is what stands under `_name`, `kind` the type that a choice names."""

    value: Any
    twin: Json
    path: str
    kind: str = ""

    @property
    def content(self) -> Json:
        """What has the children: the object, or the twin of a primitive."""
        return self.value if isinstance(self.value, dict) else self.twin


def items(parent: Item, name: str, *, choice: bool = False) -> list[Item]:
    """Return the values of an element of an object; a choice is found under any of its names."""
    content = parent.content
    if not choice:
        return list(_values(content, name, f"{parent.path}.{name}", ""))
    found: list[Item] = []
    for key in sorted({one.removeprefix("_") for one in content}):
        kind = key.removeprefix(name)
        if kind != key and kind[:1].isupper():
            found += _values(content, key, f"{parent.path}.{key}", kind)
    return found


def _values(content: Json, name: str, path: str, kind: str) -> Iterator[Item]:
    value, twin = content.get(name), content.get(f"_{name}")
    if not isinstance(value, list) and not isinstance(twin, list):
        if value is not None or twin is not None:
            yield Item(value, twin if isinstance(twin, dict) else {}, path, kind)
        return
    values = value if isinstance(value, list) else []
    twins = twin if isinstance(twin, list) else []
    for index in range(max(len(values), len(twins))):
        other = twins[index] if index < len(twins) else None
        one = values[index] if index < len(values) else None
        yield Item(one, other if isinstance(other, dict) else {}, f"{path}[{index}]", kind)


def contains(value: Any, pattern: Any) -> bool:
    """Say whether a value has all that a pattern has (ElementDefinition.pattern[x])."""
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(
            name in value and contains(value[name], part) for name, part in pattern.items()
        )
    if isinstance(pattern, list):
        return isinstance(value, list) and all(
            any(contains(one, part) for one in value) for part in pattern
        )
    return same(value, pattern)


def same(value: Any, fixed: Any) -> bool:
    """Compare exactly: in Python 1 equals True, in FHIR it does not."""
    if isinstance(value, bool) or isinstance(fixed, bool):
        return value is fixed
    if isinstance(fixed, dict):
        return (
            isinstance(value, dict)
            and value.keys() == fixed.keys()
            and all(same(value[name], part) for name, part in fixed.items())
        )
    if isinstance(fixed, list):
        return (
            isinstance(value, list)
            and len(value) == len(fixed)
            and all(same(one, other) for one, other in zip(value, fixed, strict=True))
        )
    return bool(value == fixed)


def fits(value: Any, expected: tuple[str, Any]) -> bool:
    """Hold a value against what `Node.expected` gave."""
    kind, wanted = expected
    return contains(value, wanted) if kind == "pattern" else same(value, wanted)
