"""What a message means, in the words a mapping may use.

Frozen values, never persisted, ignorant of HL7 v2, FHIR and SQL. Text is verbatim from the
sender. Dates are FHIR `date` or `dateTime` text (`2025-03-12`, `2025-03-12T09:00:00+00:00`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.errors import Hold
from gateway.value import Code as Code
from gateway.value import Identifier as Identifier
from gateway.value import PersonName as PersonName
from gateway.value import Quantity as Quantity
from gateway.value import Range as Range
from gateway.value import Ratio as Ratio

if TYPE_CHECKING:
    from gateway.request import Link, Merge, Request


@dataclass(frozen=True, slots=True)
class Patient:
    """The patient a message asserts; `sex` is a FHIR administrative-gender code or empty.

    `other_names` are aliases and earlier names. `multiple_birth` is false, true or the number of
    the birth; `ethnic_category` and `confidentiality` are codes. `replaces` and `replaced_by` are
    references of patients it was merged with, `see_also` of other records of the same person.
    """

    identifiers: tuple[Identifier, ...] = ()
    name: PersonName = PersonName()
    birth_date: str = ""
    sex: str = ""
    postcode: str = ""
    deceased: str = ""
    other_names: tuple[PersonName, ...] = ()
    multiple_birth: str = ""
    address_since: str = ""
    ethnic_category: str = ""
    confidentiality: str = ""
    replaces: tuple[str, ...] = ()
    replaced_by: str = ""
    see_also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Organization:
    """A laboratory or requester; its identifier makes it one resource for all messages."""

    name: str = ""
    identifier: Identifier | None = None


@dataclass(frozen=True, slots=True)
class Practitioner:
    """A scientist or clinician named by the message."""

    name: PersonName = PersonName()
    identifier: Identifier | None = None


@dataclass(frozen=True, slots=True)
class Specimen:
    """A specimen; `tested_subject` is self, fetus, relative or donor (safety.md 10)."""

    identifier: Identifier | None = None
    type: Code = Code()
    collected: str = ""
    received: str = ""
    tested_subject: str = "self"


@dataclass(frozen=True, slots=True)
class Order:
    """The request that a report answers."""

    placer: Identifier | None = None
    filler: Identifier | None = None
    test: Code = Code()
    reasons: tuple[Code, ...] = ()
    requester: Organization | None = None
    requester_person: Practitioner | None = None
    requested: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Variant:
    """One discrete variant found (or named as absent); `key` is the sender's group, OBX-4.

    `presence` is an LL1971-2 answer. `allele_fraction` is 0..1. Significance is never here:
    it belongs to an Implication.
    """

    key: str
    place: str = ""
    status: str = "final"
    presence: Code = Code()
    genes: tuple[Code, ...] = ()
    cytogenetic_location: Code = Code()
    assembly: Code = Code()
    chromosome: Code = Code()
    coding_hgvs: Code = Code()
    genomic_hgvs: Code = Code()
    protein_hgvs: Code = Code()
    iscn: Code = Code()
    genomic_reference: Code = Code()
    transcript: Code = Code()
    protein_reference: Code = Code()
    exact_range: Range | None = None
    inner_range: Range | None = None
    outer_range: Range | None = None
    coordinate_system: Code = Code()
    ref_allele: str = ""
    alt_allele: str = ""
    change_type: Code = Code()
    source_class: Code = Code()
    allele_fraction: Quantity | None = None
    read_depth: Quantity | None = None
    allelic_state: Code = Code()
    inheritance: Code = Code()
    inheritance_basis: Code = Code()
    variation_ids: tuple[Code, ...] = ()
    copy_number: Quantity | None = None
    confidence: Code = Code()
    method: Code = Code()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Implication:
    """What findings mean; `kind` is diagnostic, therapeutic or consequence.

    `derived_from` holds the keys of the findings it is about: never empty.
    """

    key: str
    derived_from: tuple[str, ...]
    kind: str = "diagnostic"
    place: str = ""
    status: str = "final"
    significance: Code = Code()
    phenotypes: tuple[Code, ...] = ()
    inheritance: Code = Code()
    evidence: tuple[Code, ...] = ()
    effects: tuple[Code, ...] = ()
    medications: tuple[Code, ...] = ()
    therapies: tuple[Code, ...] = ()
    coding_hgvs: Code = Code()
    transcript: Code = Code()
    protein_hgvs: Code = Code()
    protein_reference: Code = Code()
    feature_consequences: tuple[Code, ...] = ()
    functional_effect: Code = Code()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Haplotype:
    """Variants named as a whole; `kind` is haplotype (one copy) or genotype (both copies).

    `name` is a star allele, an HGVS of several variants, or the sender's words; `type` is how
    the variants belong together (81263-6).
    """

    key: str
    kind: str = "haplotype"
    place: str = ""
    status: str = "final"
    name: Code = Code()
    type: Code = Code()
    genes: tuple[Code, ...] = ()
    method: Code = Code()
    derived_from: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Phase:
    """Whether two variants lie on one copy (Cis) or on two (Trans), and how that is known."""

    key: str
    derived_from: tuple[str, ...]
    place: str = ""
    status: str = "final"
    relationship: Code = Code()
    basis: Code = Code()


@dataclass(frozen=True, slots=True)
class Biomarker:
    """A biomarker of a whole specimen (burden, instability, expression), in `value` or words."""

    key: str
    code: Code
    place: str = ""
    status: str = "final"
    value: Code | Quantity | str = ""
    genes: tuple[Code, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """A plain laboratory result: one OBX that no genomic field takes.

    `value` has the meaning of OBX-2; `value_type` is the FHIR `value[x]` type it goes into.
    Two ends of a Period stand in one text, a `/` between them. `key` names it within its report,
    so that a later version finds it. `panel` is OBR-4.
    """

    key: str
    code: Code
    place: str = ""
    status: str = "final"
    value: Code | Quantity | Range | Ratio | str = ""
    value_type: str = "string"
    absent: Code = Code()
    interpretation: tuple[Code, ...] = ()
    reference_range: Range | None = None
    reference_text: str = ""
    effective: str = ""
    method: Code = Code()
    panel: Code = Code()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Recommendation:
    """A proposal: `kind` is followup (LL1037-2) or medication (LL4049-4).

    `reason` is the key of an Implication, if any.
    """

    key: str
    action: Code
    reason: str = ""
    kind: str = "followup"


@dataclass(frozen=True, slots=True)
class Analysis:
    """What was done: how, on which build, and which genes or regions were looked at.

    `tested` are alleles that were looked for, found or not.
    """

    methods: tuple[Code, ...] = ()
    genome_build: Code = Code()
    source_class: Code = Code()
    genes_studied: tuple[Code, ...] = ()
    genes_uncalled: tuple[Code, ...] = ()
    regions: tuple[str, ...] = ()
    regions_uncalled: tuple[str, ...] = ()
    tested: tuple[Code, ...] = ()
    reference_transcripts: tuple[Code, ...] = ()


@dataclass(frozen=True, slots=True)
class Attachment:
    """A document carried by the message, or (with `url`, and no content) one it points to."""

    media_type: str
    content: bytes
    title: str = ""
    place: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """The clinical document (TXA) that a report came as; `parent` is the one it stands in for.

    `completion` is final or preliminary; `availability` is available, or
    entered-in-error for one that was cancelled; `confidentiality` is a code of v3-Confidentiality.
    """

    identifier: Identifier | None = None
    parent: Identifier | None = None
    type: Code = Code()
    completion: str = ""
    availability: str = ""
    confidentiality: str = ""
    authors: tuple[Practitioner, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """One laboratory report.

    `status` is a FHIR diagnostic-report-status; `status_from` says which field gave it, or
    `derived`. `clock` orders versions (OBR-22, else MSH-7) and `sent` breaks its
    ties (MSH-7). `snapshot`: findings missing from
    a newer version are withdrawn (True), stay (False), or hold the report (None). `genomic` is
    False for a report of plain laboratory results alone. `promotes`: it brings no values, and
    makes final what came before (OBX-11 = U). `extends` is the number of the earlier report that
    this one analyses again (OBR-29). `document` is there when it came as one (MDM).
    `priority` is routine, urgent, asap or stat.
    """

    number: Identifier
    laboratory: Organization
    patient: Patient
    status: str
    status_from: str = ""
    clock: str = ""
    sent: str = ""
    title: Code = Code()
    effective: str = ""
    issued: str = ""
    received: str = ""
    order: Order = Order()
    specimens: tuple[Specimen, ...] = ()
    conclusion: str = ""
    narrative: tuple[str, ...] = ()
    outcome: Code = Code()
    variants: tuple[Variant, ...] = ()
    implications: tuple[Implication, ...] = ()
    haplotypes: tuple[Haplotype, ...] = ()
    phases: tuple[Phase, ...] = ()
    biomarkers: tuple[Biomarker, ...] = ()
    results: tuple[Result, ...] = ()
    recommendations: tuple[Recommendation, ...] = ()
    analysis: Analysis = Analysis()
    authors: tuple[Practitioner, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    tested_subject: str = "self"
    record_class: str = "nhs"
    snapshot: bool | None = None
    genomic: bool = True
    promotes: bool = False
    extends: Identifier | None = None
    document: Document | None = None
    priority: str = ""


FINDINGS = ("variants", "implications", "haplotypes", "phases", "biomarkers", "results")
"""The fields of a Report whose members have a status of their own."""


@dataclass(frozen=True, slots=True)
class PatientUpdate:
    """Demographics from a feed that is trusted to keep the patient index.

    `cleared` names the Patient fields the sender set to null (`""`); an empty field is no change.
    `clock` is when it was recorded (EVN-2, else MSH-7). `mother` is the next of kin named as such.
    """

    patient: Patient
    event: str
    clock: str = ""
    cleared: frozenset[str] = frozenset()
    mother: Patient | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """Something about one place in the message: a warning, or (with `hold`) a reason to wait."""

    place: str
    text: str
    hold: Hold | None = None


@dataclass(frozen=True, slots=True)
class Accounted:
    """Where the value at `place` went (`target`), or why it was not translated (`reason`)."""

    place: str
    target: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Translation:
    """All that one message means, and what became of each of its values."""

    reports: tuple[Report, ...] = ()
    patients: tuple[PatientUpdate, ...] = ()
    notices: tuple[Notice, ...] = ()
    account: tuple[Accounted, ...] = ()
    requests: tuple[Request, ...] = ()
    merges: tuple[Merge, ...] = ()
    links: tuple[Link, ...] = ()

    @property
    def holds(self) -> tuple[Notice, ...]:
        """The notices that make the message wait for a person."""
        return tuple(notice for notice in self.notices if notice.hold)
