"""One OBX that no genomic field takes to a plain laboratory `Result` (HL7 v2 chapter 7, 7.4.2)."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache

from gateway.errors import InvalidValue
from gateway.message import Segment
from gateway.report import Code, Range, Result
from gateway.translate.apply import Scope
from gateway.translate.codes import Table
from gateway.translate.desk import Desk
from gateway.translate.times import read_time
from gateway.translate.values import Unit, Value, read_unit, read_value
from gateway.translate.values import read_name as _read_name

_ABSENT_SYSTEM = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
_UNKNOWN = Code("", "unknown", _ABSENT_SYSTEM, "Unknown")
_NOT_PERFORMED = Code("", "not-performed", _ABSENT_SYSTEM, "Not Performed")
_NO_CODE = Code()
_IMPOSSIBLE = "X"
_NOTHING = '""'
_LONGEST = 50  # of a flag
_NUMBER = r"[+-]?[0-9]+(?:\.[0-9]+)?"
_BETWEEN = re.compile(rf"({_NUMBER})\s*(?:-|\u2013|to)\s*({_NUMBER})")
_ABOVE = re.compile(rf">=?\s*({_NUMBER})")
_BELOW = re.compile(rf"(?:<=?|up to)\s*({_NUMBER})")


def read_result(
    segment: Segment,
    scope: Scope,
    key: str,
    status: str,
    panel: Code,
    notes: tuple[str, ...] = (),
) -> Result | None:
    """Read one OBX; None when OBX-3 names nothing, so that nobody could say what was measured.

    A result that could not be obtained (OBX-11 = X) has no value: what was sent is a note.
    """
    desk = scope.desk
    code = read_name(segment, scope)
    if not code:
        return None
    unit = read_unit(segment, desk)
    found = read_value(segment, unit, desk)
    if segment.raw(11).strip() == _IMPOSSIBLE:
        found = Value(absent=_NOT_PERFORMED, notes=_as_sent(segment, desk))
    elif not found.value and not found.absent:
        found = Value(absent=_UNKNOWN)
    method, more = _methods(segment, desk)
    limits = desk.message.piece(segment.raw(7), 0).strip()
    return Result(
        key=key,
        code=code,
        place=segment.place,
        status=status,
        value=found.value,
        value_type=found.type,
        absent=found.absent,
        interpretation=_flags(segment, desk),
        reference_range=_reference_range(limits, unit, segment, desk),
        reference_text="" if limits == _NOTHING else limits,
        effective=_effective(segment, desk),
        method=method,
        panel=panel,
        notes=(*found.notes, *more, *notes),
    )


def read_name(segment: Segment, scope: Scope) -> Code:
    """Read what an OBX (OBX-3) or OBR (OBR-4) is about; empty when it names nothing."""
    number = 4 if segment.name == "OBR" else 3
    return _read_name(segment.raw(number), f"{segment.place}-{number}", scope.desk)


def result_key(code: Code, panel: Code) -> str:
    """Name a result within its report by its panel and its code: order in the message is not it."""
    return f"{panel.code or panel.text.strip()}|{code.code or code.text.strip()}"


def _as_sent(segment: Segment, desk: Desk) -> tuple[str, ...]:
    parts = [part.strip() for part in desk.message.components(segment.raw(5))]
    words = " ".join(part for part in parts if part not in ("", _NOTHING))
    unit = desk.message.piece(segment.raw(6), 1).strip()
    return (f"As sent: {words} {unit}".rstrip(),) if words else ()


def _flags(segment: Segment, desk: Desk) -> tuple[Code, ...]:
    """Read OBX-8: table 0078 through the table `abnormal-flags`; an unknown flag keeps its text."""
    whole, message = segment.raw(8), desk.message
    if not whole:
        return ()
    table = desk.tables.get("abnormal-flags")
    flags: dict[Code, None] = {}
    for raw in message.repetitions(whole):
        if len(raw) > _LONGEST or message.escapes(raw):
            flag, known = _flag(message.components(raw), table)
        else:
            flag, known = _known_flag(raw, message.delimiters.component, table)
        if not known:
            desk.warn(f"{segment.place}-8", "unknown abnormal flag: text kept, no code")
        if flag is not None:
            flags[flag] = None
    return tuple(flags)


@lru_cache(maxsize=512)
def _known_flag(raw: str, mark: str, table: Table | None) -> tuple[Code | None, bool]:
    return _flag(raw.split(mark), table)


def _flag(components: list[str], table: Table | None) -> tuple[Code | None, bool]:
    """Return what one flag means, and whether it is known or there is none."""
    parts = [part.strip() for part in components] + [""]
    sent = parts[0] or parts[1]
    if sent in ("", _NOTHING):
        return None, True
    row = table.find(sent) or table.find(sent.upper()) if table else None
    return (row.code(parts[1]) if row else Code(parts[1] or sent)), row is not None


def _reference_range(text: str, unit: Unit, segment: Segment, desk: Desk) -> Range | None:
    """Read OBX-7 as numbers where it is plainly numbers; the text is kept beside it."""
    if not text:
        return None
    plain = text.strip("[]() ")
    if unit.text and plain.endswith(unit.text):
        plain = plain.removesuffix(unit.text).strip()
    if between := _BETWEEN.fullmatch(plain):
        low, high = Decimal(between[1]), Decimal(between[2])
        if high < low:
            desk.warn(f"{segment.place}-7", "the reference range ends before it starts: text kept")
            return None
        return Range(low, high, unit.text, unit.ucum)
    if above := _ABOVE.fullmatch(plain):
        return Range(Decimal(above[1]), None, unit.text, unit.ucum)
    if below := _BELOW.fullmatch(plain):
        return Range(None, Decimal(below[1]), unit.text, unit.ucum)
    return None


def _effective(segment: Segment, desk: Desk) -> str:
    raw = segment.raw(14)
    if not raw or raw.strip() in ("", _NOTHING):
        return ""
    text, place = desk.message.piece(raw, 1), f"{segment.place}-14"
    try:
        moment, ambiguous = read_time(text, desk.zone)
    except InvalidValue as error:
        desk.warn(place, f"{error.text}: the time of the report stands for it")
        return ""
    if ambiguous:
        desk.warn(place, "this local time occurs twice that night; the first is taken")
    return moment


def _methods(segment: Segment, desk: Desk) -> tuple[Code, tuple[str, ...]]:
    """Read OBX-17: FHIR has one method, so further ones are notes."""
    if not segment.raw(17):
        return _NO_CODE, ()
    place = f"{segment.place}-17"
    sent = [
        code
        for raw in desk.message.repetitions(segment.raw(17))
        if raw.strip() != _NOTHING and (code := _read_name(raw, place, desk))
    ]
    notes = tuple(f"Method: {code.text}" for code in sent[1:])
    return (sent[0] if sent else _NO_CODE), notes
