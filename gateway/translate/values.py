"""One OBX-5 to the value it means, by its type in OBX-2 (HL7 v2 chapter 2A, table 0125).

What does not read as its type stays as text, with a warning that names the place: no value is
lost and none is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from gateway.errors import InvalidValue
from gateway.message import Message, Segment
from gateway.report import Code, Quantity, Range, Ratio
from gateway.translate.codes import Table
from gateway.translate.desk import Desk
from gateway.translate.times import micros, read_time

_DIGITS = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)"
NUMBER = re.compile(_DIGITS)
_MEASURED = re.compile(rf"([<>]=?)?\s*({_DIGITS})\s*(%?)")
_TIME_OF_DAY = re.compile(r"([01][0-9]|2[0-3])([0-5][0-9])(?:([0-5][0-9])(\.[0-9]{1,6})?)?")
# A FHIR code: no white space but single spaces within (R4 datatypes, code).
_CODE = re.compile(r"\S+(?: \S+)*")
_LOCAL = re.compile(r"(?i)|L|99.*|LOCAL")
_ABSENT = "HL70353"
_GIVEN = Code()
_NOTHING = '""'
# The names of tests, units and flags that senders use are few: they are remembered when they
# are read, by their text and table. The values of a patient never are.
_REMEMBERED = 4096
_LONGEST = 250


@dataclass(frozen=True, slots=True)
class Unit:
    """OBX-6: the sender's own text, and the UCUM code when one is known."""

    text: str = ""
    ucum: str = ""


_NO_UNIT = Unit()


@dataclass(frozen=True, slots=True)
class Value:
    """A value, the FHIR `value[x]` type it goes into, and words that the type has no place for.

    `absent` says why there is no value.
    """

    value: Code | Quantity | Range | Ratio | str = ""
    type: str = "string"
    absent: Code = _GIVEN
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Sent:
    """One repetition of OBX-5 as it stands in the message, and where."""

    raw: str
    place: str
    unit: Unit
    desk: Desk

    @property
    def text(self) -> str:
        return self.desk.message.piece(self.raw, 0)

    @property
    def parts(self) -> list[str]:
        parts = [part.strip() for part in self.desk.message.components(self.raw)]
        return parts + [""] * (9 - len(parts))

    @property
    def words(self) -> str:
        """All that is said, its components and their parts with a space between them."""
        marks = self.desk.message.delimiters
        if marks.component not in self.raw and marks.subcomponent not in self.raw:
            return " ".join(self.text.split())
        flat = self.raw.replace(marks.component, " ")
        flat = flat.replace(marks.subcomponent, " ") if marks.subcomponent else flat
        return " ".join(self.desk.message.piece(flat, 0).split())


def read_value(segment: Segment, unit: Unit, desk: Desk) -> Value:
    """Read OBX-5 as its type says; `value` is empty when nothing was sent."""
    raw, kind = segment.raw(5), segment.raw(2).strip()
    if kind == "NM" and desk.message.plain(raw) and (number := _measured(raw, unit)):
        return Value(number, "Quantity")
    place = f"{segment.place}-5"
    read = _TYPES.get(kind, _words)
    sent = [
        _Sent(raw, place, unit, desk)
        for raw in desk.message.repetitions(segment.raw(5))
        if raw.strip() not in ("", _NOTHING)
    ]
    said = [one for one in sent if one.words]
    if not said:
        return Value()
    if kind not in _TYPES:
        desk.warn(f"{segment.place}-2", "unknown type of value: kept as text")
    if read is _lines:
        return _string(text_of(segment, desk.message), unit)
    if len(said) > 1:
        desk.warn(place, "several values in one result: kept as text")
        # In text the separator may be meant as a letter: ISCN writes `48~50`.
        whole = desk.message.piece(segment.raw(5), 0)
        return _string(whole if read is _text else "; ".join(one.words for one in said), unit)
    try:
        return read(said[0])
    except InvalidValue as error:
        desk.warn(place, f"{error.text}: kept as text")
        return _string(said[0].words, unit)


def text_of(segment: Segment, message: Message, field: int = 5) -> str:
    """Return a text field with its layout: each repetition is a line."""
    raws = message.repetitions(segment.raw(field))
    return "\n".join(message.piece(raw, 0) for raw in raws if raw != _NOTHING)


def read_unit(segment: Segment, desk: Desk) -> Unit:
    """Read OBX-6: UCUM as it is when it says so, or through the table `units`."""
    raw = segment.raw(6)
    if not raw:
        return _NO_UNIT
    table = desk.tables.get("units")
    if len(raw) > _LONGEST or desk.message.escapes(raw):
        unit, known = _unit(raw, tuple(desk.message.components(raw)), table)
    else:
        unit, known = _named_unit(raw, desk.message.delimiters.component, table)
    if not known:
        desk.warn(f"{segment.place}-6", "unknown unit: text kept, no UCUM code")
    return unit


@lru_cache(maxsize=_REMEMBERED)
def _named_unit(raw: str, mark: str, table: Table | None) -> tuple[Unit, bool]:
    return _unit(raw, tuple(raw.split(mark)), table)


def _unit(raw: str, components: tuple[str, ...], table: Table | None) -> tuple[Unit, bool]:
    """Return the unit, and whether it is known or there is none."""
    if raw.strip() in ("", _NOTHING):
        return _NO_UNIT, True
    if table and (row := table.find(raw)):
        return Unit(raw, row.target), True
    parts = [part.strip() for part in components] + [""] * 6
    text = parts[0] or parts[1] or parts[3] or parts[4]
    for code, system in ((parts[0], parts[2]), (parts[3], parts[5])):
        if system.upper() == "UCUM" and code and not re.search(r"\s", code):
            return Unit(text, code), True
    # Symbols answer to their own case alone: g/L and G/L are not the same.
    for word in filter(None, (parts[0], parts[1])) if table else ():
        row = table.find(word) or table.find_text(word) if table else None
        if row:
            return Unit(text, row.target), True
    return Unit(text), not text


def read_name(raw: str, place: str, desk: Desk) -> Code:
    """Read what a test or a method is called, as `read_code` does: these are few and come again."""
    message = desk.message
    if len(raw) > _LONGEST or message.escapes(raw):
        return read_code(raw, place, desk)
    code, unknown = _name(raw, message.delimiters.component, desk.tables.get("coding-systems"))
    return _noted(code, unknown, place, desk) if unknown else code


@lru_cache(maxsize=_REMEMBERED)
def _name(raw: str, mark: str, systems: Table | None) -> tuple[Code, int]:
    return _code(raw.split(mark), systems)


def read_code(raw: str, place: str, desk: Desk) -> Code:
    """Read a coded element with both its triplets; a code of an unknown system is dropped."""
    systems = desk.tables.get("coding-systems")
    return _noted(*_code(desk.message.components(raw), systems), place, desk)


def _noted(code: Code, unknown: int, place: str, desk: Desk) -> Code:
    for _ in range(unknown):
        desk.warn(place, "unknown coding system: text kept, code dropped")
    return code


def _code(components: list[str], systems: Table | None) -> tuple[Code, int]:
    """Return the code, and how many of its coding systems are not known."""
    parts = [part.strip() for part in components] + [""] * 9
    known: list[Code] = []
    unknown = 0
    for code, words, name in (parts[0:3], parts[3:6]):
        if not code:
            continue
        row = systems.find(name) if systems and name else None
        if row and _CODE.fullmatch(code):
            known.append(Code(words or code, code, row.target, words))
        elif words and name and not row and not _LOCAL.fullmatch(name):
            unknown += 1
    text = parts[1] or parts[8] or parts[4] or parts[0] or parts[3]
    if not known:
        return Code(text), unknown
    first = known[0]
    return Code(text, first.code, first.system, first.display, tuple(known[1:])), unknown


def measured(text: str, unit: Unit) -> Quantity:
    """Read `5.4`, `<5` or `45%` in this unit; raises InvalidValue."""
    found = _measured(text, unit)
    if found is None:
        raise InvalidValue("not a number")
    return found


def _measured(text: str, unit: Unit) -> Quantity | None:
    found = _MEASURED.fullmatch(text.strip())
    if not found:
        return None
    comparator, digits, percent = found.groups("")
    if percent:
        return Quantity(Decimal(digits), "%", "%", comparator) if unit.text in ("", "%") else None
    return Quantity(Decimal(digits), unit.text, unit.ucum, comparator)


def _string(text: str, unit: Unit) -> Value:
    text = text.strip("\n").rstrip()
    if not unit.text:
        return Value(text)
    if any(letter.isdigit() for letter in text):
        return Value(f"{text} {unit.text}")
    return Value(text, notes=(f"Unit as sent: {unit.text}",))


def _number(sent: _Sent) -> Value:
    return Value(measured(sent.text, sent.unit), "Quantity")


def _text(sent: _Sent) -> Value:
    """ST: text; a number whose unit is sent is a measurement all the same."""
    if sent.unit.text and _MEASURED.fullmatch(sent.text.strip()):
        return _number(sent)
    return _string(sent.text.strip(), sent.unit)


def _lines(sent: _Sent) -> Value:
    return _string(sent.text, sent.unit)


def _words(sent: _Sent) -> Value:
    return _string(sent.words, sent.unit)


def _structured(sent: _Sent) -> Value:
    """SN: `>^100`, `^10^-^20`, `^1^:^128`, `^2^+`."""
    comparator, first, separator, second = sent.parts[:4]
    if not separator and not second and comparator in ("", "=", "<", "<=", ">", ">="):
        sign = "" if comparator == "=" else comparator
        return Value(measured(sign + first, sent.unit), "Quantity")
    if comparator in ("", "=") and separator == "-":
        return _ends(first, second, sent.unit)
    if comparator in ("", "=") and separator in (":", "/"):
        if not (NUMBER.fullmatch(first) and NUMBER.fullmatch(second)):
            raise InvalidValue("not a ratio of two numbers")
        ratio = Ratio(Quantity(Decimal(first)), Quantity(Decimal(second)))
        notes = (f"Unit as sent: {sent.unit.text}",) if sent.unit.text else ()
        return Value(ratio, "Ratio", notes=notes)
    return _string("".join(sent.parts[:4]), sent.unit)


def _range(sent: _Sent) -> Value:
    return _ends(sent.parts[0], sent.parts[1], sent.unit)


def _ends(low: str, high: str, unit: Unit) -> Value:
    if not any((low, high)) or not all(NUMBER.fullmatch(end) for end in (low, high) if end):
        raise InvalidValue("not a numeric range")
    ends = [Decimal(end) if end else None for end in (low, high)]
    if ends[0] is not None and ends[1] is not None and ends[1] < ends[0]:
        raise InvalidValue("the range ends before it starts")
    return Value(Range(ends[0], ends[1], unit.text, unit.ucum), "Range")


def _coded(sent: _Sent) -> Value:
    table = sent.desk.tables.get("absent-reasons")
    row = table.find(sent.parts[0]) if table and sent.parts[2] == _ABSENT else None
    if row:
        return Value(absent=row.code(sent.parts[1]))
    code = read_code(sent.raw, sent.place, sent.desk)
    return Value(code, "CodeableConcept") if code else _words(sent)


def _moment(sent: _Sent) -> Value:
    return Value(_time(sent, sent.parts[0]), "dateTime")


def _time(sent: _Sent, text: str) -> str:
    moment, ambiguous = read_time(text, sent.desk.zone)
    if ambiguous:
        sent.desk.warn(sent.place, "this local time occurs twice that night; the first is taken")
    return moment


def _time_of_day(sent: _Sent) -> Value:
    # FHIR's time has no zone, so a TM with an offset is no such time.
    found = _TIME_OF_DAY.fullmatch(sent.parts[0])
    if not found:
        raise InvalidValue("not a time of day (HHMMSS)")
    hour, minute, second, fraction = found.groups()
    return Value(f"{hour}:{minute}:{second or '00'}{fraction or ''}", "time")


def _period(sent: _Sent) -> Value:
    start, end = (_time(sent, text) if text else "" for text in sent.parts[:2])
    if start and end and micros(end) < micros(start):
        raise InvalidValue("the period ends before it starts")
    return Value(f"{start}/{end}", "Period")


def _pointer(sent: _Sent) -> Value:
    """RP: where the document or image is, and what it is."""
    parts = sent.parts
    said = {"Application": parts[1], "Media type as sent": "/".join(filter(None, parts[2:4]))}
    notes = tuple(f"{name}: {words}" for name, words in said.items() if words)
    return Value(parts[0] or sent.words, notes=notes if parts[0] else ())


def _encapsulated(sent: _Sent) -> Value:
    """ED that is no document: plain text under a label (`^TEXT^^A^words`)."""
    return Value(sent.parts[4]) if sent.parts[3] in ("", "A") and sent.parts[4] else _words(sent)


_TYPES: dict[str, Callable[[_Sent], Value]] = {
    "": _text,
    "ST": _text,
    "TX": _lines,
    "FT": _lines,
    "NM": _number,
    "SN": _structured,
    "NR": _range,
    **dict.fromkeys(("CE", "CF", "CNE", "CWE"), _coded),
    **dict.fromkeys(("DT", "DTM", "TS"), _moment),
    "TM": _time_of_day,
    "DR": _period,
    "RP": _pointer,
    "ED": _encapsulated,
    **dict.fromkeys(
        ("AD", "CK", "CN", "CP", "CX", "EI", "HD", "ID", "IS", "MA", "MO", "NA", "PN", "SI", "TN",
         "XAD", "XCN", "XON", "XPN", "XTN"), _words),
}  # fmt: skip
