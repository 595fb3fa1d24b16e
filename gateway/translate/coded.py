"""Readers that give a Code: the sender's words are kept, a code only where it can be trusted.

Every code that is dropped leaves a warning with its place (safety.md 8).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from gateway.errors import UnmappedCode
from gateway.report import Code
from gateway.translate.codes import Row, Table
from gateway.translate.found import Found, dated
from gateway.translate.nomenclature import (
    coordinates,
    hgvs_fault,
    is_karyotype,
    is_normal_karyotype,
    iscn_fault,
)

HGVS = "http://varnomen.hgvs.org"
ISCN = "https://iscn.karger.com"
HGNC = "http://www.genenames.org"
REFSEQ = "http://www.ncbi.nlm.nih.gov/refseq"
ENSEMBL = "http://www.ensembl.org"
_DIRECTORY = "https://fhir.nhs.uk/CodeSystem/England-GenomicTestDirectory"
_HGNC_ID = re.compile(r"HGNC:[1-9]\d*")
_SYMBOL = re.compile(r"[A-Za-z0-9-]+")
_HGVS_LIKE = re.compile(r"(?:.*:)?[cgmnpr]\.")
_ISCN_LIKE = re.compile(r"\d\d,|\d\d~|arr|mos |ish|nuc ish")
_ACCESSION_LIKE = re.compile(r"(?:[NX][CGMPRTW]_|LRG_|ENS[A-Z])\d")
_HGVS_LABELS = {"HGVS.c": "cnr", "HGVS.g": "gm", "HGVS.p": "p"}
_TEST_CODE = re.compile(r"\b[RM]\d{1,3}(?:\.\d{1,2})?\b")
# How the codes of a system look; a code that does not is an error of the sender.
_FORMS = {
    system: re.compile(form)
    for system, form in (
        ("http://loinc.org", r"(?:\d{1,7}|L[AGLP]\d+)-\d"),
        ("http://snomed.info/sct", r"[1-9]\d{5,17}"),
        ("http://www.ncbi.nlm.nih.gov/clinvar", r"\d+|[RSV]CV\d+(?:\.\d+)?"),
        ("http://www.ncbi.nlm.nih.gov/projects/SNP", r"rs\d+"),
        ("http://purl.obolibrary.org/obo/mondo.owl", r"MONDO:\d{7}"),
        ("http://human-phenotype-ontology.org", r"HP:\d{7}"),
        ("http://www.sequenceontology.org", r"SO:\d{7}"),
        (_DIRECTORY, _TEST_CODE.pattern),
        (HGNC, _HGNC_ID.pattern),
    )
}


def read_coded(found: Found) -> Code | None:
    """`coded`: code, text and coding system; an unknown code keeps its text and loses its code.

    With a code table, the first or the alternate code may be the one it knows.
    """
    if found.table is None:
        return _plain_code(found)
    parts = found.parts
    words = _words(parts)
    known = [row for code in (parts[0], parts[3]) if code and (row := found.table.find(code))]
    meant = found.table.find_text(words or parts[0])
    if len({row.target for row in (*known, meant if words else None) if row}) > 1 and known:
        return unmapped(found, _said(parts), "the code and its text mean different things")
    row = known[0] if known else meant if not (parts[0] and words) else None
    if row is None:
        return unmapped(found, _said(parts) or parts[0]) if words or parts[0] else None
    return dated(found, row).code(words or ("" if known else parts[0]))


def read_open(found: Found) -> Code | None:
    """`open`: as `coded`; a code that the table lacks is kept under its own coding system."""
    parts = found.parts
    if found.table and (
        found.table.find(parts[0]) or found.table.find_text(_words(parts) or parts[0])
    ):
        return read_coded(found)
    return _plain_code(found)


def _words(parts: list[str]) -> str:
    """The text of a CWE: component 2, else the original text (9), else the alternate's (5)."""
    return parts[1] or parts[8] or parts[4]


def _said(parts: list[str]) -> str:
    """Every text of a CWE, for a value whose code does not speak for it."""
    return ", ".join(dict.fromkeys(filter(None, (parts[1], parts[8], parts[4]))))


def _plain_code(found: Found) -> Code | None:
    parts = found.parts
    words = _words(parts)
    codes = [
        one
        for code, text, label in (parts[:3], parts[3:6])
        if (one := _standard(found, code, text, label))
    ]
    if not codes:
        text = _said(parts) or parts[0]
        return Code(text) if text else None
    return replace(codes[0], text=words or parts[0], also=tuple(codes[1:]))


def _standard(found: Found, code: str, words: str, label: str) -> Code | None:
    """Return a code of a coding system that the gateway knows, if it looks like one of them."""
    systems = found.desk.tables.get("coding-systems")
    row = systems.find(label) if systems and label else None
    if not code or not (row or label or words):
        return None
    if row is None:
        what = "unknown" if label else "no"
        found.desk.warn(found.place, f"{what} coding system: text kept, code dropped")
        return None
    if not _well_formed(row.target, code):
        found.desk.warn(found.place, "no code of its coding system: text kept, code dropped")
        return None
    return Code("", code, row.target, words)


def _well_formed(system: str, code: str) -> bool:
    if system == HGVS:
        return not hgvs_fault(code)
    if system == ISCN:
        return not iscn_fault(code)
    if system == REFSEQ:
        return _accession_system(code) == REFSEQ
    form = _FORMS.get(system)
    return form is None or bool(form.fullmatch(code))


def unmapped(found: Found, words: str = "", text: str = "") -> Code | None:
    """Keep the words of a code that is not known; a critical one holds the message."""
    name = found.table.name if found.table else ""
    text = text or f"not in the code table {name}"
    if found.critical:
        found.desk.hold(found.place, text, UnmappedCode.hold)
        return None
    found.desk.warn(found.place, f"{text}: text kept, code dropped")
    return Code(words) if words else None


def read_gene(found: Found) -> Code | None:
    """`gene`: an HGNC id is used only where it agrees with the symbol, as far as we know it."""
    parts = found.parts
    code, words = parts[0], _words(parts)
    if not words and not code:
        return None
    sent = code if _HGNC_ID.fullmatch(code) else ""
    table = found.table
    row = (table.find_text(words or code) or (table.find_text(code) if code else None)
           or (table.find(sent) if not words else None)) if table else None  # fmt: skip
    bare = row is not None and row.target == f"HGNC:{code}"
    if words and code not in ("", words, sent) and not bare and not (table and _names(row, code)):
        found.desk.warn(found.place, "not an HGNC id: id dropped")
    if sent and words and _another(table, row, sent, words):
        found.desk.warn(found.place, "the gene id is not that of the symbol: id dropped")
        return Code(words)
    if row:
        return dated(found, row).code(words or code)
    return Code(words or code, sent, HGNC, words) if sent else Code(words or code)


def _names(row: Row | None, code: str) -> bool:
    return row is not None and row.text.casefold() == code.casefold()


def _another(table: Table | None, row: Row | None, sent: str, words: str) -> bool:
    """Whether the id is known to belong to another gene than the words name."""
    if row:
        return row.target != sent
    return bool(table and table.find(sent) and _SYMBOL.fullmatch(words))


def read_hgvs(found: Found) -> Code | None:
    """`hgvs`: verbatim text; a code only for what is readable on a versioned reference."""
    return _expression(found, hgvs_fault, _HGVS_LIKE, HGVS)


def read_iscn(found: Found) -> Code | None:
    """`iscn`: verbatim text; a code only for a readable karyotype or array result."""
    return _expression(found, iscn_fault, _ISCN_LIKE, ISCN)


def read_karyotype(found: Found) -> Code | None:
    """`karyotype`: a line of a report that is an abnormal karyotype; other lines are none."""
    text = found.text.strip()
    if not is_karyotype(text) or is_normal_karyotype(text):
        return None
    return _expression(found, iscn_fault, _ISCN_LIKE, ISCN)


def read_accession(found: Found) -> Code | None:
    """`accession`: verbatim text; a code for a versioned sequence of RefSeq or Ensembl."""
    return _expression(found, _accession_fault, _ACCESSION_LIKE, "")


def _expression(
    found: Found, fault_of: Callable[[str], str], like: re.Pattern[str], system: str
) -> Code | None:
    """Read what may stand in any component; of a name without code no word is lost."""
    parts = found.parts
    words = _words(parts)
    sent = [part for part in (parts[0], parts[1], parts[8], parts[3], parts[4]) if part]
    good = next((part for part in sent if not fault_of(part)), "")
    fault = _mislabelled(found, parts, good) if good else ""
    if good and not fault:
        display = words if words != good else ""
        return Code(good, good, system or _accession_system(good), display)
    named = good or next((part for part in sent if like.match(part)), "")
    said = _said(parts)
    text = said if named in said else f"{named}, {said}" if said else named
    text = text or parts[0]
    if not text:
        return None
    found.desk.warn(found.place, f"{fault or fault_of(named or text)}: text kept, no code")
    return Code(text)


def _mislabelled(found: Found, parts: list[str], text: str) -> str:
    """Say when the sender's own coding system contradicts an expression in component 1."""
    label = parts[2]
    if text != parts[0] or not label or not _HGVS_LIKE.match(text):
        return ""
    if label in _HGVS_LABELS:
        fits = text.partition(":")[2][:1] in _HGVS_LABELS[label]
        return "" if fits else "the HGVS type is not that of the coding system"
    systems = found.desk.tables.get("coding-systems")
    row = systems.find(label) if systems else None
    return "the coding system is not HGVS" if row and row.target != HGVS else ""


def _accession_fault(text: str) -> str:
    return "" if _accession_system(text) else "not a versioned reference sequence"


def _accession_system(text: str) -> str:
    if not coordinates(text) or text.startswith("LRG"):  # no published URI for LRG
        return ""
    return ENSEMBL if text.startswith("ENS") else REFSEQ


def read_test(found: Found) -> Code | None:
    """`test`: a test directory code, also where it stands inside the text."""
    parts = found.parts
    systems = found.desk.tables.get("coding-systems")
    row = systems.find(parts[2]) if systems and parts[2] else None
    if row and row.target != _DIRECTORY:
        return _plain_code(found)
    inside = _TEST_CODE.search(f"{parts[0]} {parts[1]}")
    if inside:
        return Code(parts[1] or parts[0], inside[0], _DIRECTORY,
                    parts[1] if inside[0] == parts[0] else "")  # fmt: skip
    return _plain_code(found)
