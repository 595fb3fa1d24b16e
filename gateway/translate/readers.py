"""The closed list of readers a mapping may name with `as`: one sender value to one report value.

A reader gets the raw repetition as it stands in the message and returns a value, or None when
there is nothing that may be used; what it notices goes to the Desk with the place.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from gateway.errors import InvalidValue, UnmappedCode
from gateway.report import (
    Code,
    Identifier,
    Organization,
    PersonName,
    Practitioner,
    Quantity,
    Range,
)
from gateway.translate.codes import Table
from gateway.translate.desk import Desk
from gateway.translate.times import read_date, read_time


@dataclass(frozen=True, slots=True)
class Found:
    """One raw value, where it stands, and how the mapping says to read it.

    `critical` marks a field whose unknown codes hold the message; `system` is the configured
    system of identifiers read here.
    """

    raw: str
    place: str
    desk: Desk
    table: Table | None = None
    critical: bool = False
    system: str = ""

    @property
    def text(self) -> str:
        """The whole value, unescaped."""
        return self.desk.message.piece(self.raw, 0)

    @property
    def parts(self) -> list[str]:
        """The components, unescaped, padded so that the first nine can always be read."""
        parts = [part.strip() for part in self.desk.message.components(self.raw)]
        return parts + [""] * (9 - len(parts))


Reader = Callable[[Found], Any]

HGVS = re.compile(
    r"(?:N[CGMRPTW]_\d+\.\d+|LRG_\d+(?:[tp]\d+)?|ENS[TGP]\d+\.\d+)(?:\([A-Za-z0-9-]+\))?"
    r":[cgmnpr]\.\S+"
)
_ACCESSION = re.compile(r"(?:N[CGMRPTW]_\d+\.\d+|ENS[TGP]\d+\.\d+|LRG_\d+(?:[tp]\d+)?)")
_TEST_CODE = re.compile(r"\b[RM]\d{1,3}(?:\.\d{1,2})?\b")
_NUMBER = re.compile(r"([<>]=?)?\s*([+-]?\d+(?:\.\d+)?)\s*(%?)")
_RANGE_END = re.compile(r"-?\d+(?:\.\d+)?")


def read_text(found: Found) -> str | None:
    """`text`: the value as it is; with a code table, the target of its code."""
    if found.table is None:
        return found.text.strip() or None
    code = found.parts[0]
    row = found.table.find(code) or found.table.find_text(code)
    if row is None:
        _unmapped(found)
        return None
    return row.target


def read_words(found: Found) -> str | None:
    """`words`: all components as one text, the two ends of a range with a dash between them."""
    parts = [part.strip() for part in found.desk.message.components(found.raw)]
    said = [part for part in parts if part]
    ends = len(said) == 2 and all(_RANGE_END.fullmatch(part) for part in said)
    return ("-" if ends else " ").join(said) or None


def read_moment(found: Found) -> str:
    """`date`: a date or time, as precise as it was sent."""
    text, ambiguous = read_time(found.parts[0], found.desk.zone)
    if ambiguous:
        found.desk.warn(found.place, "this local time occurs twice that night; the first is taken")
    return text


def read_day(found: Found) -> str:
    """`day`: a date, any time of day left out."""
    return read_date(found.parts[0])


def read_coded(found: Found) -> Code | None:
    """`coded`: code, text and coding system; an unknown code keeps its text and loses its code."""
    parts = found.parts
    words = parts[1] or parts[8] or parts[4]
    if found.table is None:
        return _plain_code(found, parts[0], words, parts[2])
    row = found.table.find(parts[0]) if parts[0] else None
    meant = found.table.find_text(words or parts[0])
    if row and words and meant and meant.target != row.target:
        return _unmapped(found, words, "the code and its text mean different things")
    row = row or (meant if not parts[0] or not words else None)
    if row is None:
        return _unmapped(found, words or parts[0]) if words or parts[0] else None
    return row.code(words or ("" if found.table.find(parts[0]) else parts[0]))


def _plain_code(found: Found, code: str, words: str, system_name: str) -> Code | None:
    if not code and not words:
        return None
    systems = found.desk.tables.get("coding-systems")
    row = systems.find(system_name) if systems and system_name else None
    if code and row:
        return Code(words or code, code, row.target, words)
    if code and words and system_name:
        found.desk.warn(found.place, "unknown coding system: text kept, code dropped")
    return Code(words or code)


def _unmapped(found: Found, words: str = "", text: str = "") -> Code | None:
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
    words = parts[1] or parts[8] or parts[0]
    if not words:
        return None
    row = found.table.find_text(words) if found.table else None
    sent = parts[0] if re.fullmatch(r"HGNC:\d+", parts[0]) else ""
    if parts[0] not in ("", words, sent):
        found.desk.warn(found.place, "not an HGNC id: id dropped")
    if row and sent and row.target != sent:
        found.desk.warn(found.place, "the gene id is not that of the symbol: id dropped")
        return Code(words)
    if row:
        return Code(words, row.target, row.system, row.display)
    if sent and words != sent:
        return Code(words, sent, "http://www.genenames.org", words)
    return Code(words)


def read_hgvs(found: Found) -> Code | None:
    """`hgvs`: verbatim text; a code only for a full, versioned expression."""
    parts = found.parts
    text = next((part for part in (parts[0], parts[1], parts[8]) if HGVS.fullmatch(part)), "")
    if text:
        return Code(text, text, "http://varnomen.hgvs.org")
    words = parts[0] or parts[1] or parts[8]
    if not words:
        return None
    found.desk.warn(found.place, "not a complete HGVS expression: text kept, no code")
    return Code(words)


def read_accession(found: Found) -> Code | None:
    """`accession`: a versioned reference sequence."""
    parts = found.parts
    text = parts[0] or parts[1]
    if not text:
        return None
    if not _ACCESSION.fullmatch(text):
        found.desk.warn(found.place, "not a versioned reference sequence: text kept, no code")
        return Code(text)
    ensembl = text.startswith("ENS")
    system = "http://www.ensembl.org" if ensembl else "http://www.ncbi.nlm.nih.gov/refseq"
    return Code(text, text, system)


def read_test(found: Found) -> Code | None:
    """`test`: a test directory code, also where it stands inside the text."""
    code = _plain_code(found, found.parts[0], found.parts[1], found.parts[2])
    inside = _TEST_CODE.search(f"{found.parts[0]} {found.parts[1]}")
    systems = found.desk.tables.get("coding-systems")
    row = systems.find("England-GenomicTestDirectory") if systems else None
    if code and not code.code and inside and row:
        return Code(code.text, inside[0], row.target)
    return code


def read_number(found: Found) -> Quantity:
    """`number`: a decimal with its decimal places, and a comparator if it has one."""
    text = found.text.replace("^", "").strip()
    match = _NUMBER.fullmatch(text)
    if not match:
        raise InvalidValue("not a number")
    return Quantity(Decimal(match[2]), "%" if match[3] else "", "%" if match[3] else "1",
                    match[1] or "")  # fmt: skip


def read_fraction(found: Found) -> Quantity:
    """`fraction`: 0 to 1; a percentage only when it says so with a % sign."""
    quantity = read_number(found)
    value = quantity.value / 100 if quantity.unit == "%" else quantity.value
    if not 0 <= value <= 1:
        raise InvalidValue("a fraction must lie between 0 and 1, or carry a % sign")
    return Quantity(value.normalize() if quantity.unit else value, "", "1", quantity.comparator)


def read_range(found: Found) -> Range:
    """`range`: `start^end` (NR), `start-end`, or one position."""
    parts = [part for part in found.parts[:2] if part] or [found.text]
    if len(parts) == 1 and "-" in parts[0][1:]:
        parts = parts[0].split("-", 1)
    if not all(_RANGE_END.fullmatch(part.strip()) for part in parts):
        raise InvalidValue("not a numeric range")
    try:
        ends = [Decimal(part.strip()) for part in parts]
    except InvalidOperation as error:
        raise InvalidValue("not a numeric range") from error
    if ends[-1] < ends[0]:
        raise InvalidValue("the range ends before it starts")
    return Range(ends[0], ends[-1])


def read_identifier(found: Found) -> Identifier | None:
    """`identifier`: CX or EI: value, assigning authority, type."""
    parts = found.parts
    if not parts[0] or parts[0] == '""':
        return None
    authority = found.desk.message.piece(found.raw, 4, 1) or ""
    if found.place.startswith(("PID", "MRG")):
        return Identifier(parts[0], "", parts[4], authority.strip(), found.place)
    return Identifier(parts[0], found.system, "", parts[1], found.place)


def read_organization(found: Found) -> Organization | None:
    """`organization`: XON or text; the code may stand in component 3, 6, 10 or 1 (ODS)."""
    parts = [part.strip() for part in found.desk.message.components(found.raw)]
    words = next((part for part in parts if part), "")
    if not words:
        return None
    for number in (2, 5, 9, 0):
        sent = parts[number] if number < len(parts) else ""
        row = found.table.find(sent) if found.table and sent else None
        if row:
            name = parts[0] if parts[0] and parts[0] != sent else row.display
            return Organization(name, Identifier(row.target, row.system, place=found.place))
    if found.table:
        found.desk.warn(found.place, "organisation not in the code table: name kept, no code")
    return Organization(words)


def read_person(found: Found) -> Practitioner | None:
    """`person`: XCN or the older `id&family&given` in component 1 (NDL)."""
    raw = found.raw
    separator = found.desk.message.delimiters.subcomponent
    first = raw.split(found.desk.message.delimiters.component)[0]
    parts = (
        [found.desk.message.piece(part, 0) for part in first.split(separator)]
        if separator and separator in first
        else found.parts
    )
    parts = [part.strip() for part in parts] + [""] * 6
    name = PersonName(parts[1], tuple(filter(None, parts[2:4])), parts[5])
    if not (name.family or parts[0]):
        return None
    identifier = Identifier(parts[0], found.system, place=found.place) if parts[0] else None
    return Practitioner(name if name.family else PersonName(parts[0]), identifier)


READERS: dict[str, tuple[Reader, type]] = {
    "text": (read_text, str),
    "words": (read_words, str),
    "date": (read_moment, str),
    "day": (read_day, str),
    "coded": (read_coded, Code),
    "gene": (read_gene, Code),
    "hgvs": (read_hgvs, Code),
    "accession": (read_accession, Code),
    "test": (read_test, Code),
    "number": (read_number, Quantity),
    "fraction": (read_fraction, Quantity),
    "range": (read_range, Range),
    "identifier": (read_identifier, Identifier),
    "organization": (read_organization, Organization),
    "person": (read_person, Practitioner),
}
