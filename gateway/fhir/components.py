"""The components of findings and implications, once: composing and checking read this table.

Each row says which field of `report.Variant` or `report.Implication` it carries, under which
code, as which kind of value and how the value is bound (domain.md 1.1 to 1.3).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from gateway.fhir import terms
from gateway.report import Code


class Kind(StrEnum):
    """The `value[x]` that a component takes."""

    CONCEPT = "valueCodeableConcept"
    QUANTITY = "valueQuantity"
    RANGE = "valueRange"
    STRING = "valueString"


@dataclass(frozen=True)  # no slots: it caches its concept
class Component:
    """One component slice; `kinds` are the value types allowed, the first is the one we send.

    A required binding names a `system`, and `answers` where the list of codes is closed.
    `ucum` is the unit of a bare number. `many`: the slice may repeat.
    """

    field: str
    code: str
    label: str
    kinds: tuple[Kind, ...] = (Kind.CONCEPT,)
    code_system: str = terms.LOINC
    system: str = ""
    answers: frozenset[str] = frozenset()
    ucum: str = ""
    many: bool = False

    @cached_property
    def kind(self) -> Kind:
        """The value type that the gateway sends."""
        return self.kinds[0]

    @cached_property
    def concept(self) -> terms.Json:
        """The code of the component: one object for all, so never change it in place."""
        return terms.concept(self.code_system, self.code)

    def bound(self, code: Code) -> bool:
        """Say whether a code satisfies the required binding, if there is one."""
        return not self.system or any(
            one.code and one.system == self.system and self._listed(one.code)
            for one in (code, *code.also)
        )

    def _listed(self, code: str) -> bool:
        return not self.answers or code in self.answers


def _hgvs(field: str, code: str, label: str) -> Component:
    return Component(field, code, label, system=terms.HGVS)


def _range(field: str, code: str, label: str) -> Component:
    return Component(field, code, label, (Kind.RANGE,))


def _number(field: str, code: str, label: str, *also: Kind) -> Component:
    return Component(field, code, label, (Kind.QUANTITY, *also), ucum="1")


FINDING = (
    Component("genes", "48018-6", "Gene", many=True),
    Component("cytogenetic_location", "48001-2", "Cytogenetic location", many=True),
    Component("assembly", "62374-4", "Reference assembly", many=True),
    Component(
        "chromosome",
        "48000-4",
        "Chromosome",
        system=terms.LOINC,
        answers=frozenset(terms.CHROMOSOMES.values()),
        many=True,
    ),
)

VARIANT = (
    *FINDING,
    _hgvs("coding_hgvs", "48004-6", "Coding HGVS"),
    _hgvs("genomic_hgvs", "81290-9", "Genomic HGVS"),
    _hgvs("protein_hgvs", "48005-3", "Protein HGVS"),
    Component("iscn", "81291-7", "ISCN"),
    Component("genomic_reference", "48013-7", "Genomic reference sequence"),
    Component("transcript", "51958-7", "Transcript"),
    Component("protein_reference", "protein-ref-seq", "Protein", code_system=terms.TBD),
    _range("exact_range", "81254-5", "Start and end"),
    _range("inner_range", "81302-2", "Inner start and end"),
    _range("outer_range", "81301-4", "Outer start and end"),
    Component("coordinate_system", "92822-6", "Coordinate system"),
    Component("ref_allele", "69547-8", "Reference allele", (Kind.STRING,)),
    Component("alt_allele", "69551-0", "Alternative allele", (Kind.STRING,)),
    Component("change_type", "48019-4", "Type of change"),
    Component("source_class", "48002-0", "Source class"),
    _number("allele_fraction", "81258-6", "Allele fraction"),
    _number("read_depth", "82121-5", "Read depth"),
    Component("allelic_state", "53034-5", "Allelic state"),
    Component("inheritance", "94186-4", "Inheritance"),
    Component("inheritance_basis", "82309-6", "Basis of inheritance"),
    Component("variation_ids", "81252-9", "Variation identifier", many=True),
    _number("copy_number", "82155-3", "Copy number", Kind.RANGE),
    Component(
        "confidence",
        "variant-confidence-status",
        "Confidence",
        code_system=terms.TBD,
        system=terms.CONFIDENCE,
        answers=frozenset(terms.CONFIDENCES),
    ),
)

_IMPLICATION = (
    Component("significance", "53037-8", "Clinical significance"),
    Component("evidence", "93044-6", "Evidence", many=True),
)

DIAGNOSTIC = (
    *_IMPLICATION,
    Component("phenotypes", "81259-4", "Phenotype", many=True),
    Component("inheritance", "condition-inheritance", "Inheritance", code_system=terms.TBD),
)

THERAPEUTIC = (
    *_IMPLICATION,
    Component("effects", "therapeutic-implication", "Effect", code_system=terms.TBD, many=True),
    Component("phenotypes", "81259-4", "Context", many=True),
    Component("medications", "51963-7", "Medication assessed", many=True),
    Component("therapies", "associated-therapy", "Therapy", code_system=terms.TBD, many=True),
)

CONSEQUENCE = (
    *_IMPLICATION,
    _hgvs("coding_hgvs", "48004-6", "Coding HGVS"),
    Component("transcript", "51958-7", "Transcript"),
    _hgvs("protein_hgvs", "48005-3", "Protein HGVS"),
    Component("protein_reference", "protein-ref-seq", "Protein", code_system=terms.TBD),
    Component(
        "feature_consequences",
        "feature-consequence",
        "Consequence",
        code_system=terms.TBD,
        many=True,
    ),
    Component("functional_effect", "functional-effect", "Effect", code_system=terms.TBD),
)

BIOMARKER = (Component("genes", "48018-6", "Gene", many=True),)
