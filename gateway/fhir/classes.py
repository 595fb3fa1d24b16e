"""What R4 says about each class: order, kind and weight of its elements, from the metadata.

One table for the XML writer, the XML reader and the summary; no model object is ever built.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

_MODIFIERS = frozenset({"implicitRules", "modifierExtension", "status"})


class Member(NamedTuple):
    """One element of a class.

    `kind` is the class it is of, or the metadata's name of its primitive (`primitive`).
    `required` elements stand in every subset of a resource.
    """

    place: int
    kind: str
    primitive: bool
    many: bool
    summary: bool
    required: bool


@lru_cache(maxsize=512)
def members(class_: str) -> dict[str, Member]:
    """Return the elements of a class by name; raises LookupError when R4 has no such class."""
    # Here and not above: a tenth of a second, 20 MiB, and few processes write XML.
    from fhir.resources.R4B import get_fhir_model_class

    try:
        model: Any = get_fhir_model_class(class_)
    except (KeyError, ValueError) as error:
        raise LookupError(class_) from error
    fields = {field.alias or key: field for key, field in model.model_fields.items()}
    return {
        name: _member(place, name, fields[name])
        for place, name in enumerate(model.elements_sequence())
    }


def _member(place: int, name: str, field: Any) -> Member:
    from gateway.fhir.conformance.structure import unwrap

    many, kind = unwrap(field)
    primitive = isinstance(kind, str)
    facts = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    required = field.is_required() or bool(facts.get("element_required"))
    return Member(
        place,
        kind if isinstance(kind, str) else str(kind.__name__.removesuffix("Type")),
        primitive,
        many,
        bool(facts.get("summary_element_property")),
        required or name in _MODIFIERS,
    )
