"""Check any R4 resource or Bundle against what it claims: `gateway validate` and `$validate`.

Base structure, rules of Bundles and contained resources, every profile that is claimed or asked
for, every extension. Slower and wider than `check`, which stands on the way of each message.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from gateway.errors import NotFound
from gateway.fhir.conformance.definitions import Definitions
from gateway.fhir.conformance.document import Document
from gateway.fhir.conformance.document_rules import bundle_findings, contained_findings
from gateway.fhir.conformance.extensions import extension_findings
from gateway.fhir.conformance.fhirpath import FhirPath
from gateway.fhir.conformance.finding import Finding, error
from gateway.fhir.conformance.items import Item
from gateway.fhir.conformance.problem import Problem, Problems
from gateway.fhir.conformance.profiles import PROFILES, problems
from gateway.fhir.conformance.quick import Same
from gateway.fhir.conformance.structure import TYPES, Structure
from gateway.fhir.conformance.walker import Walker

Json = dict[str, Any]

_OTHER_IN_R4B = frozenset(
    {
        *("AdministrableProductDefinition", "Citation", "ClinicalUseDefinition", "Evidence"),
        *("EvidenceReport", "EvidenceVariable", "Ingredient", "ManufacturedItemDefinition"),
        *("MedicinalProductDefinition", "NutritionProduct", "PackagedProductDefinition"),
        *("RegulatedAuthorization", "SubscriptionStatus", "SubscriptionTopic"),
        "SubstanceDefinition",
    }
)
"""Types that R4B, whose metadata `structure` reads, has otherwise than R4 or alone."""


class _Any(Structure):
    """The structure of every resource type of R4, not only of those that the gateway writes."""

    def resource(self, value: Any, same: Same | None = None) -> Problems:
        type_ = value.get("resourceType") if isinstance(value, dict) else None
        if not isinstance(type_, str) or type_ in TYPES:
            return super().resource(value, same)
        model = None if type_ in _OTHER_IN_R4B else _model(type_)
        if model is None:
            return [Problem(".resourceType", "not a resource type that can be checked")]
        return self.compiled(model).problems(value)


def _model(type_: str) -> Any:
    from fhir.resources.R4B import get_fhir_model_class, resource

    try:
        found = get_fhir_model_class(type_)
    except ValueError:
        return None
    return found if issubclass(found, resource.Resource) else None


class Validator:
    """Keep one: it compiles structures, profiles and expressions as it meets them."""

    def __init__(self, definitions: Definitions) -> None:
        self.definitions = definitions
        self._structure = _Any()
        self._rules = FhirPath()

    def findings(self, root: Any, profiles: Sequence[str] = ()) -> list[Finding]:
        """Return all there is to say, each thing once, in the order of the document.

        `profiles` are asked of the root, or in a Bundle of every entry of their type. Raises
        NotFound for one that is not installed.
        """
        for canonical in profiles:
            if self.definitions.tree(canonical) is None:
                raise NotFound("this profile is not installed with a snapshot", where=canonical)
        type_ = root.get("resourceType") if isinstance(root, dict) else None
        start = type_ if isinstance(type_, str) and type_ else "Resource"
        found = [error(start + one.path, one.text) for one in self._structure.resource(root) or ()]
        if not isinstance(root, dict) or (found and start != "Bundle"):
            return found
        found += self._document(root, start, profiles, [one.path for one in found])
        return list(dict.fromkeys(found))

    def _document(
        self, root: Json, start: str, profiles: Sequence[str], broken: Sequence[str]
    ) -> Iterator[Finding]:
        document = Document(root)
        walker = Walker(self.definitions, document, self._rules)
        if start == "Bundle" and not broken:
            yield from bundle_findings(root, start, document)
        for item in document.resources:
            # Profiles may rely on the structure: a resource that is broken has been told so.
            if any(_below(path, item.path) for path in broken):
                continue
            yield from contained_findings(item, document)
            yield from extension_findings(walker, item)
            wanted = self._wanted(item, root, profiles)
            yield from self._by_our_rules(item, wanted)
            for canonical in wanted:
                yield from walker.profile(item, canonical)

    def _by_our_rules(self, item: Item, wanted: Sequence[str]) -> Iterator[Finding]:
        """Hold what is not installed against the rules that every message is held against."""
        known = [one for one in wanted if one.partition("|")[0] in PROFILES]
        known = [one for one in known if self.definitions.tree(one) is None]
        if known:
            content = {**item.value, "meta": {"profile": known}}
            yield from (error(item.path + one.path, one.text) for one in problems(content))

    def _wanted(self, item: Item, root: Json, profiles: Sequence[str]) -> list[str]:
        claimed = item.value.get("meta", {}).get("profile", [])
        asked = [one for one in profiles if item.value is root or self._is_for(one, item)]
        if item.value is root and root["resourceType"] == "Bundle":
            asked = [one for one in profiles if self._is_for(one, item)]
        return list(dict.fromkeys([*claimed, *asked]))

    def _is_for(self, canonical: str, item: Item) -> bool:
        structure = self.definitions.structure(canonical) or {}
        return bool(structure.get("type") == item.value["resourceType"])


def _below(path: str, item: str) -> bool:
    return path == item or path.startswith((f"{item}.", f"{item}["))
