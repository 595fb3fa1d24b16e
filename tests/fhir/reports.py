"""Invented reports that together use every field a report has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from gateway.fhir.composed import Context
from gateway.fhir.terms import GR, HGNC, HGVS, ISCN, LOINC, REFSEQ, SNOMED
from gateway.report import (
    Analysis,
    Attachment,
    Code,
    Identifier,
    Implication,
    Order,
    Organization,
    Patient,
    PersonName,
    Practitioner,
    Quantity,
    Range,
    Recommendation,
    Report,
    Specimen,
    Variant,
)

CHI = "urn:oid:2.16.840.1.113883.2.1.3.2.4.16.53"
ODS = "https://fhir.nhs.uk/Id/ods-organization-code"
GMC = "https://fhir.hl7.org.uk/Id/gmc-number"
METHODS = f"{GR}/CodeSystem/genomic-study-method-type-cs"
MONDO = "http://purl.obolibrary.org/obo/mondo.owl"
HPO = "http://human-phenotype-ontology.org"
SEQUENCE_ONTOLOGY = "http://www.sequenceontology.org"
PDF = b"%PDF-1.4\n%%EOF\n"

CONTEXT = Context(
    received="2025-03-12T09:00:05+00:00",
    message_id="message-1",
    sender="example-laboratory",
    mapping_version="3",
)


def loinc(code: str, text: str) -> Code:
    return Code(text, code, LOINC, text)


PRESENT = loinc("LA9633-4", "Present")
ABSENT = loinc("LA9634-2", "Absent")
HETEROZYGOUS = loinc("LA6706-1", "Heterozygous")
GERMLINE = loinc("LA6683-2", "Germline")
GRCH38 = loinc("LA26806-2", "GRCh38")
SEQUENCING = loinc("LA26398-0", "Sequencing")
PATHOGENIC = loinc("LA6668-3", "Pathogenic")
UNCERTAIN = loinc("LA26333-7", "Uncertain significance")
NGS = Code("Next generation sequencing", "ngs-mps", METHODS)
BRCA1 = Code("BRCA1", "HGNC:1100", HGNC, "BRCA1")
BRCA2 = Code("BRCA2", "HGNC:1101", HGNC, "BRCA2")


def hgvs(text: str) -> Code:
    return Code(text, text, HGVS)


def refseq(text: str) -> Code:
    return Code(text, text, REFSEQ)


LABORATORY = Organization("Example genetics laboratory", Identifier("SG999", ODS))

PATIENT = Patient(
    identifiers=(
        Identifier("0101625707", CHI),
        Identifier("CRN12345", "urn:example:board:crn", "MR", "Example board"),
    ),
    name=PersonName("Test", ("Morag", "Ann"), "Ms"),
    birth_date="1962-01-01",
    sex="female",
    postcode="ZZ99 9ZZ",
)

BLOOD = Specimen(
    Identifier("S1", "urn:example:lims:specimen"),
    Code("Blood (EDTA)", "445295009", SNOMED, "Blood specimen with EDTA"),
    collected="2025-03-01",
    received="2025-03-02T10:15:00+00:00",
)

ORDER = Order(
    placer=Identifier("O1", "urn:example:order"),
    filler=Identifier("F1", "urn:example:lims:order"),
    test=Code("Hereditary breast cancer", "R208.1", "urn:example:test-directory"),
    reasons=(Code("Family history & early onset"),),
    requester=Organization("Example clinical genetics", Identifier("SS999", ODS)),
    requester_person=Practitioner(
        PersonName("Clinician", ("Ada",), "Dr"), Identifier("7000001", GMC)
    ),
    requested="2025-02-27",
    note="Proband of the family",
)

BRCA2_VARIANT = Variant(
    key="2a",
    place="OBX[3]",
    presence=PRESENT,
    genes=(BRCA2,),
    cytogenetic_location=Code("13q13.1"),
    assembly=GRCH38,
    chromosome=Code("13"),
    coding_hgvs=hgvs("NM_000059.4:c.5946del"),
    genomic_hgvs=hgvs("NC_000013.11:g.32340301del"),
    protein_hgvs=hgvs("NP_000050.3:p.(Ser1982ArgfsTer22)"),
    genomic_reference=refseq("NC_000013.11"),
    transcript=refseq("NM_000059.4"),
    protein_reference=refseq("NP_000050.3"),
    exact_range=Range(Decimal(32340301), Decimal(32340301)),
    coordinate_system=loinc("LA30102-0", "1-based character counting"),
    ref_allele="GT",
    alt_allele="G",
    change_type=Code("deletion", "SO:0000159", SEQUENCE_ONTOLOGY, "deletion"),
    source_class=GERMLINE,
    allele_fraction=Quantity(Decimal("0.50"), ucum="1"),
    read_depth=Quantity(Decimal(120), unit="reads"),
    allelic_state=HETEROZYGOUS,
    inheritance=loinc("LA26320-4", "Maternal"),
    inheritance_basis=loinc("LA26427-7", "Inferred from family DNA"),
    variation_ids=(
        Code("37992", "37992", "http://www.ncbi.nlm.nih.gov/clinvar"),
        Code("rs80359550", "rs80359550", "http://www.ncbi.nlm.nih.gov/projects/SNP"),
    ),
    confidence=Code(
        "High", "high", "http://terminology.hl7.org/CodeSystem/variant-confidence-status-cs"
    ),
    method=SEQUENCING,
    notes=("Confirmed by Sanger sequencing",),
)

BRCA1_VARIANT = Variant(
    key="2b",
    presence=PRESENT,
    genes=(BRCA1,),
    coding_hgvs=hgvs("NM_007294.4:c.5207T>C"),
    allelic_state=HETEROZYGOUS,
    source_class=GERMLINE,
)

PANEL = Analysis(
    methods=(NGS, Code("MLPA", "mlpa", METHODS)),
    genome_build=GRCH38,
    source_class=GERMLINE,
    genes_studied=(BRCA1, BRCA2, Code("PALB2")),
    regions=("All coding exons and 20 bases either side",),
    reference_transcripts=(refseq("NM_007294.4"), refseq("NM_000059.4")),
)

SCIENTIST = Practitioner(
    PersonName("Scientist", ("Iain",)), Identifier("CS01", "urn:example:lims:staff")
)

MINIMAL = Report(
    number=Identifier("REP0", "urn:example:lims:report"),
    laboratory=LABORATORY,
    patient=PATIENT,
    status="final",
)

POSITIVE = Report(
    number=Identifier("REP1", "urn:example:lims:report"),
    laboratory=LABORATORY,
    patient=PATIENT,
    status="final",
    title=Code("Hereditary breast cancer report", "HBC", "urn:example:lims:report-type"),
    effective="2025-03-10",
    issued="2025-03-12T09:00:00+00:00",
    received="2025-03-02",
    order=ORDER,
    specimens=(BLOOD,),
    conclusion="Heterozygous pathogenic BRCA2 variant detected: c.5946del & c.5207T>C.",
    narrative=("This confirms a diagnosis of <familial> breast cancer.\nSee below.", "Limits."),
    outcome=loinc("LA6576-8", "Positive"),
    variants=(BRCA2_VARIANT, BRCA1_VARIANT),
    implications=(
        Implication(
            key="3a",
            derived_from=("2a",),
            significance=PATHOGENIC,
            phenotypes=(
                Code("Breast-ovarian cancer, familial", "MONDO:0012933", MONDO),
                Code("Family words"),
            ),
            inheritance=Code("Autosomal dominant", "HP:0000006", HPO),
            evidence=(Code("PVS1, PM2"),),
            notes=("Classified 2025-03-11",),
        ),
        Implication(key="3b", derived_from=("2b",), significance=UNCERTAIN),
        Implication(
            key="3c", derived_from=("2a",), kind="therapeutic", evidence=(Code("Tier I - Level A"),)
        ),
        Implication(key="3d", derived_from=("2a", "2b"), kind="consequence"),
    ),
    recommendations=(
        Recommendation("4a", loinc("LA14020-4", "Genetic counseling recommended"), "3a"),
        Recommendation("4b", Code("Offer cascade testing to relatives")),
    ),
    analysis=PANEL,
    authors=(SCIENTIST, Practitioner(PersonName("Nameonly", ("A",)))),
    attachments=(Attachment("application/pdf", PDF, "Report"),),
)

NEGATIVE = Report(
    number=Identifier("REP2", "urn:example:lims:report"),
    laboratory=LABORATORY,
    patient=PATIENT,
    status="final",
    effective="2025-03",
    issued="2025-03-12",
    order=Order(placer=Identifier("O2", "urn:example:order"), requester=ORDER.requester),
    specimens=(BLOOD,),
    conclusion="No pathogenic variant detected.",
    outcome=loinc("LA6577-6", "Negative"),
    analysis=replace(PANEL, genes_uncalled=(Code("PMS2"),)),
)

PDF_ONLY = Report(
    number=Identifier("REP3", "urn:example:lims:report"),
    laboratory=LABORATORY,
    patient=PATIENT,
    status="final",
    effective="2025-03-10T11:00:00+00:00",
    attachments=(
        Attachment("application/pdf", PDF),
        Attachment("application/pdf", PDF),
        Attachment("text/plain", b"words", "Words"),
    ),
)

UNCERTAIN_RESULT = replace(
    POSITIVE,
    number=Identifier("REP4", "urn:example:lims:report"),
    conclusion="A variant of uncertain significance was found.",
    outcome=Code("Inconclusive finding"),
    variants=(replace(BRCA1_VARIANT, chromosome=loinc("LA21270-6", "17")),),
    implications=(Implication("3b", ("2b",), significance=Code("Class 3: uncertain")),),
    recommendations=(),
)

CORRECTED = replace(POSITIVE, status="corrected")

ABSENT_VARIANT = replace(
    NEGATIVE,
    number=Identifier("REP5", "urn:example:lims:report"),
    conclusion="The familial variant is not present.",
    variants=(replace(BRCA2_VARIANT, presence=ABSENT, status="corrected"),),
)

MITOCHONDRIAL = replace(
    MINIMAL,
    number=Identifier("REP6", "urn:example:lims:report"),
    specimens=(Specimen(type=Code("Muscle")), replace(BLOOD, collected="")),
    variants=(
        Variant(
            key="1",
            presence=PRESENT,
            genes=(Code("MT-TL1", "HGNC:7490", HGNC, "MT-TL1"),),
            chromosome=Code("MT"),
            genomic_hgvs=hgvs("NC_012920.1:m.3243A>G"),
            allelic_state=loinc("LA6703-8", "Heteroplasmic"),
            allele_fraction=Quantity(Decimal("0.31"), comparator=">="),
        ),
    ),
)

COPY_NUMBER = replace(
    MINIMAL,
    number=Identifier("REP7", "urn:example:lims:report"),
    specimens=(BLOOD,),
    variants=(
        Variant(
            key="1",
            presence=PRESENT,
            assembly=GRCH38,
            chromosome=Code("chr22"),
            cytogenetic_location=Code("22q11.21"),
            iscn=Code(
                "arr[GRCh38] 22q11.21(18924718_21111383)x1",
                "arr[GRCh38] 22q11.21(18924718_21111383)x1",
                ISCN,
            ),
            inner_range=Range(Decimal(18924718), Decimal(21111383)),
            outer_range=Range(Decimal(18912231)),
            coordinate_system=loinc("LA30102-0", "1-based character counting"),
            change_type=Code("loss", "SO:0001019", SEQUENCE_ONTOLOGY, "copy_number_variation"),
            copy_number=Quantity(Decimal(1)),
        ),
    ),
)

WORDS_ONLY = replace(
    MINIMAL,
    number=Identifier("REP8", "urn:example:lims:report"),
    laboratory=Organization("Laboratory without a code"),
    title=Code("Karyotype"),
    narrative=("Words of the laboratory", "More words"),
    order=Order(
        requester=Organization("Ward 7"), requester_person=Practitioner(PersonName("Consultant"))
    ),
    variants=(
        Variant(
            key="1",
            presence=Code("Seen"),
            genes=(Code("ABCA4"),),
            chromosome=Code("somewhere"),
            coding_hgvs=Code("c.9163>A"),
            confidence=Code("fair"),
            copy_number=Quantity(Decimal("2.0")),
            exact_range=Range(),
        ),
        Variant(key="2", genes=(Code("ABCA4"),), coding_hgvs=Code("c.9163>A")),
    ),
    implications=(
        Implication("3", ("1",), significance=Code("Odd", "LA26334-5", LOINC)),
        Implication("4", ("2",), significance=Code("Odd")),
    ),
)

PENDING = replace(POSITIVE, status="registered", variants=(), implications=(), recommendations=())
WITHDRAWN = replace(POSITIVE, status="entered-in-error")
FETAL = replace(
    POSITIVE,
    number=Identifier("REP9", "urn:example:lims:report"),
    tested_subject="fetus",
    specimens=(replace(BLOOD, tested_subject="fetus", identifier=None),),
)
UNIDENTIFIED = replace(MINIMAL, patient=Patient(deceased="true"), laboratory=Organization())
DECEASED = replace(MINIMAL, patient=replace(PATIENT, deceased="2025-01-02"))

SAMPLES: dict[str, Report] = {
    "minimal": MINIMAL,
    "positive": POSITIVE,
    "negative": NEGATIVE,
    "pdf-only": PDF_ONLY,
    "uncertain": UNCERTAIN_RESULT,
    "corrected": CORRECTED,
    "absent": ABSENT_VARIANT,
    "mitochondrial": MITOCHONDRIAL,
    "copy-number": COPY_NUMBER,
    "words-only": WORDS_ONLY,
    "pending": PENDING,
    "partial": replace(POSITIVE, status="partial"),
    "cancelled": replace(POSITIVE, status="cancelled"),
    "withdrawn": WITHDRAWN,
    "fetal": FETAL,
    "unidentified": UNIDENTIFIED,
    "deceased": DECEASED,
}


def relative_ids() -> Callable[[str, str], str]:
    """Give `Type/id` references, the same for the same type and role."""
    given: dict[tuple[str, str], str] = {}
    return lambda type, role: given.setdefault((type, role), f"{type}/{len(given) + 1}")
