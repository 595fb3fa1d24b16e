"""Every search parameter by type and name: extraction, the SQL compiler and the
CapabilityStatement read this table.

Its rows are in `definitions`. A parameter that is not there is not searchable and is not
advertised.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from types import MappingProxyType

from gateway.store.search.definitions import common, rows
from gateway.store.search.kinds import Kind, Parameter, Place

__all__ = [
    "COMMON", "EVERYWHERE", "PARAMETERS", "READ_ONLY", "SHARED", "TYPES", "Kind", "Parameter",
    "Place", "find", "indexed",
]  # fmt: skip

SHARED = frozenset({"Organization", "Practitioner", "PractitionerRole"})
"""Types that belong to no patient; a row of any other type must name one."""

READ_ONLY = frozenset({"Binary"})
"""Types that can be read but not searched."""

EVERYWHERE: Mapping[str, Parameter] = MappingProxyType({p.name: p for p in common()})
"""Indexed parameters of every searchable type."""

COMMON = ("_id", "_lastUpdated")
"""Parameters of every searchable type; they are columns of the resource row."""


def _by_type() -> Mapping[str, Mapping[str, Parameter]]:
    table: dict[str, dict[str, Parameter]] = defaultdict(dict)
    for parameter in rows():
        table[parameter.type][parameter.name] = parameter
    return MappingProxyType({type_: MappingProxyType(own) for type_, own in table.items()})


PARAMETERS = _by_type()
"""type → name → Parameter."""

TYPES = frozenset(PARAMETERS) | READ_ONLY
"""Every resource type that can be stored and served."""


def find(type_: str, name: str) -> Parameter | None:
    """Return the parameter of a type; None when there is none."""
    own = PARAMETERS.get(type_)
    return None if own is None else own.get(name) or EVERYWHERE.get(name)


def indexed(type_: str) -> tuple[Parameter, ...]:
    """Return the parameters whose values are indexed for a type, each number once."""
    every = [*PARAMETERS.get(type_, {}).values(), *EVERYWHERE.values()]
    return tuple({p.number: p for p in every if p.paths}.values())
