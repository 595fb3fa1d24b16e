"""The closed list of readers a mapping may name with `as`: one sender value to one report value.

A reader gets the raw repetition as it stands in the message and returns a value, or None when
there is nothing that may be used; what it notices goes to the Desk with the place.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from gateway.errors import InvalidValue
from gateway.report import (
    Code,
    Identifier,
    Organization,
    PersonName,
    Practitioner,
    Quantity,
    Range,
)
from gateway.translate.coded import (
    read_accession,
    read_coded,
    read_gene,
    read_hgvs,
    read_iscn,
    read_karyotype,
    read_open,
    read_test,
    unmapped,
)
from gateway.translate.codes import Row
from gateway.translate.found import Found, dated
from gateway.translate.times import read_date, read_time

Reader = Callable[[Found], Any]

_NUMBER = re.compile(r"([<>]=?)?\s*([+-]?\d+(?:\.\d+)?)\s*(%?)")
_RANGE_END = re.compile(r"-?\d+(?:\.\d+)?")


def read_text(found: Found) -> str | None:
    """`text`: the value as it is; with a code table, the target of its code."""
    if found.table is None:
        return found.text.strip() or None
    code = found.parts[0]
    row = found.table.find(code) or found.table.find_text(code)
    if row is None:
        unmapped(found)
        return None
    return dated(found, row).target


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
    # EIP (SPM-2) has an EI in each component: its first part is the number.
    value = found.desk.message.piece(found.raw, 1, 1).strip()
    if not value or value == '""':
        return None
    authority = found.desk.message.piece(found.raw, 4, 1) or ""
    if found.place.startswith(("PID", "MRG", "NK1")):
        return Identifier(value, "", parts[4], authority.strip(), found.place)
    return Identifier(value, found.system, "", parts[1], found.place)


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
            return _organization(found, row, name)
    if found.table and (row := found.table.find_text(words)):
        return _organization(found, row, words)
    if found.table:
        found.desk.warn(found.place, "organisation not in the code table: name kept, no code")
    return Organization(words)


def _organization(found: Found, row: Row, name: str) -> Organization:
    row = dated(found, row)
    return Organization(name, Identifier(row.target, row.system, place=found.place))


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
    parts = [part.strip() for part in parts] + [""] * 9
    name = PersonName(parts[1], tuple(filter(None, parts[2:4])), parts[5])
    if not (name.family or parts[0]):
        return None
    identifier = _staff_number(found, parts) if parts[0] else None
    return Practitioner(name if name.family else PersonName(parts[0]), identifier)


def read_person_name(found: Found) -> PersonName | None:
    """`person_name`: XPN: family, given and further given names."""
    parts = [part.strip() for part in found.parts] + [""] * 5
    family = found.desk.message.piece(found.raw, 1, 1).strip()
    given = tuple(filter(None, parts[1:3]))
    return PersonName(family, given, parts[4]) if family or given else None


def _staff_number(found: Found, parts: list[str]) -> Identifier:
    """A number of a national register is the same person everywhere; others are the sender's."""
    authority = parts[8].partition(found.desk.message.delimiters.subcomponent or "&")[0]
    table = found.desk.tables.get("staff-systems")
    row = table.find(authority) if table and authority else None
    if row is None:
        return Identifier(parts[0], found.system, place=found.place)
    number = re.sub(r"^C(?=\d{7}$)", "", parts[0]) if row.source == "GMC" else parts[0]
    if row.source == "GMC" and not re.fullmatch(r"\d{7}", number):
        found.desk.warn(found.place, "not a GMC number: kept as the sender's own number")
        return Identifier(parts[0], found.system, place=found.place)
    return Identifier(number, row.target, place=found.place)


READERS: dict[str, tuple[Reader, type]] = {
    "text": (read_text, str),
    "words": (read_words, str),
    "date": (read_moment, str),
    "day": (read_day, str),
    "coded": (read_coded, Code),
    "open": (read_open, Code),
    "gene": (read_gene, Code),
    "hgvs": (read_hgvs, Code),
    "iscn": (read_iscn, Code),
    "karyotype": (read_karyotype, Code),
    "accession": (read_accession, Code),
    "test": (read_test, Code),
    "number": (read_number, Quantity),
    "fraction": (read_fraction, Quantity),
    "range": (read_range, Range),
    "identifier": (read_identifier, Identifier),
    "organization": (read_organization, Organization),
    "person": (read_person, Practitioner),
    "person_name": (read_person_name, PersonName),
}
