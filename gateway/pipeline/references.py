"""The references inside a resource that a client writes: found, and told their true names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

Json = dict[str, Any]


def literals(content: Any, where: str) -> Iterator[tuple[str, str]]:
    """Yield (place, reference) of every literal reference, contained resources included."""
    if isinstance(content, list):
        for at, one in enumerate(content):
            yield from literals(one, f"{where}[{at}]")
    elif isinstance(content, dict):
        for name, value in content.items():
            if name == "reference" and isinstance(value, str):
                yield f"{where}.reference", value
            else:
                yield from literals(value, f"{where}.{name}")


def renamed(content: Any, name: Callable[[str], str]) -> Any:
    """Return a copy in which every text is what `name` says; most stay as they are.

    In a transaction any uri may name another entry by its fullUrl (R4 http.html, transaction).
    """
    if isinstance(content, list):
        return [renamed(one, name) for one in content]
    if isinstance(content, dict):
        return {key: renamed(value, name) for key, value in content.items()}
    return name(content) if isinstance(content, str) else content
