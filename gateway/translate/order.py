"""Orders (ORM^O01, OML^O21, OMG^O19; HL7 v2 chapter 4) to `Request`s: one for each test.

ORC-1 decides what is asked: a new test, a change, a cancellation. Questions and answers (OBX)
are read as plain results are; what gives a reason for the test becomes one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from gateway.errors import Hold, MissingField, MissingSegment
from gateway.message import Message, Segment
from gateway.report import Code, Order, Patient, PersonName, Result, Specimen
from gateway.request import Request
from gateway.translate.apply import Scope
from gateway.translate.attachment import find_document
from gateway.translate.desk import Desk
from gateway.translate.laboratory import read_name, read_result
from gateway.translate.mapping import SenderMapping

NEW, STATUS = "new", "status"
# The status an order has by what is asked, where ORC-5 does not say it.
_STATUS = {"new": "active", "modify": "active", "release": "active", "hold": "on-hold",
           "cancel": "revoked"}  # fmt: skip
_FETUS = re.compile(r"(?i)\s*f(?:o)?etus\s*(?:no\.?\s*)?([a-z0-9]?)\s+of\b[\s:,]*")


def requests(message: Message, mapping: SenderMapping, desk: Desk) -> tuple[Request, ...]:
    """Translate every test that an order message asks for; holds say where."""
    if message.first("PID") is None:
        desk.hold_for(MissingSegment("an order needs PID", where="PID"))
    groups = list(order_groups(message))
    if not groups:
        desk.hold_for(MissingSegment("an order needs ORC", where="ORC"))
    made = [_request(Scope(group, desk), mapping) for group in groups]
    found = tuple(one for one in made if one)
    numbers = Counter(one.order.placer.value for one in found if one.order.placer)
    if any(count > 1 for count in numbers.values()):
        desk.hold("ORC-2", "several tests have one order number", Hold.REPORT_ORDER)
    return found


def order_groups(message: Message) -> Iterator[Message]:
    """Yield the message once per test: the header segments, its ORC, its OBR and what follows.

    An OBR without an ORC of its own shares the one before it.
    """
    header: list[Segment] = []
    groups: list[list[Segment]] = []
    for segment in message.segments:
        if segment.name == "ORC":
            groups.append([segment])
        elif segment.name == "OBR" and groups and any(one.name == "OBR" for one in groups[-1]):
            groups.append([one for one in groups[-1][:1] if one.name == "ORC"] + [segment])
        elif segment.name == "OBR" and not groups:
            groups.append([segment])
        elif groups:
            groups[-1].append(segment)
        else:
            header.append(segment)
    for group in groups:
        yield message.only((*header, *group))


def _request(scope: Scope, mapping: SenderMapping) -> Request | None:
    desk = scope.desk
    order = scope.fill(mapping.rules["order"])
    rules = mapping.rules["request"]
    values = scope.fill(rule for rule in rules if rule.field != "status")
    if "placer" not in order:
        desk.hold_for(MissingField("this order has no number", where="ORC-2"))
    if not scope.message.value("ORC-1"):
        desk.hold_for(MissingField("what is asked is not said (order control)", where="ORC-1"))
    action = values.setdefault("action", NEW)
    if action == NEW and "test" not in order:
        desk.hold_for(MissingField("this order names no test", where="OBR-4"))
    if action == STATUS:
        # Beside another order control, ORC-5 tells of the past, not of what is asked.
        values |= scope.fill(rule for rule in rules if rule.field == "status")
        if "status" not in values:
            desk.hold_for(MissingField("a change of status without one", where="ORC-5"))
    else:
        values["status"] = _STATUS.get(action, "active")
    if "placer" not in order:
        return None
    return _built(scope, mapping, order, values)


def _built(
    scope: Scope, mapping: SenderMapping, order: dict[str, Any], values: dict[str, Any]
) -> Request:
    patient, tested, words = subject(read_patient(scope, mapping, "patient", "name"))
    more, answers = _answers(scope, mapping)
    reasons = (*order.pop("reasons", ()), *values.pop("reasons", ()), *more)
    for segment in scope.segments("NTE"):
        if segment.raw(3):
            scope.desk.used(f"{segment.place}-3", "request.notes")
    notes = (*values.pop("notes", ()), *((words,) if words else ()))
    return Request(
        order=Order(**order),
        patient=patient,
        reasons=tuple(dict.fromkeys(reasons)),
        specimens=tuple(replace(one, tested_subject=tested) for one in _specimens(scope, mapping)),
        answers=answers,
        notes=notes,
        mother=read_mother(scope, mapping),
        tested_subject=tested,
        record_class=mapping.sender.record_class,
        **values,
    )


def read_patient(scope: Scope, mapping: SenderMapping, section: str, name: str) -> Patient:
    """Read a patient; the first name stands alone, the others beside it."""
    values = scope.fill(mapping.rules[section])
    main = PersonName(**scope.fill(mapping.rules[name]))
    plain = replace(main, prefix="")
    others = tuple(one for one in values.pop("other_names", ()) if one != plain)
    return Patient(name=main, other_names=others, **values)


def read_mother(scope: Scope, mapping: SenderMapping) -> Patient | None:
    """Read the next of kin that is named as the mother, if any."""
    mother = read_patient(scope, mapping, "mother", "mother_name")
    return mother if mother != Patient() else None


def subject(patient: Patient) -> tuple[Patient, str, str]:
    """Say whose material is tested: a fetus only where the name says `fetus of` (safety.md 10).

    Returns the patient named after these words, who is the mother, and which fetus it is.
    """
    name = patient.name
    found = _FETUS.match(name.family) or next(filter(None, map(_FETUS.match, name.given)), None)
    if not found:
        return patient, "self", ""
    plain = PersonName(
        _FETUS.sub("", name.family),
        tuple(word for given in name.given if (word := _FETUS.sub("", given).strip())),
        name.prefix,
    )
    which = f"This is fetus {found[1].upper()} of the patient." if found[1] else ""
    return replace(patient, name=plain), "fetus", which


def _specimens(scope: Scope, mapping: SenderMapping) -> Iterator[Specimen]:
    """Yield a specimen for each SPM; without SPM, what OBR says of one."""
    segments = scope.message.segments
    others = tuple(one for one in segments if one.name != "SPM")
    for sent in [[one] for one in scope.segments("SPM")] or [[]]:
        alone = (*others, *sent)
        values = Scope(scope.message.only(alone), scope.desk).fill(mapping.rules["specimen"])
        if values.get("identifier") or values.get("type"):
            yield Specimen(**values)


def _answers(scope: Scope, mapping: SenderMapping) -> tuple[list[Code], tuple[Result, ...]]:
    """Read every OBX: a reason for the test, or a question and its answer."""
    reasons: list[Code] = []
    answers: list[Result] = []
    for segment in scope.segments("OBX"):
        found = _reasons(segment, scope, mapping)
        if found:
            reasons += found
        elif segment.raw(5) and (answer := _answer(segment, scope, len(answers))):
            answers.append(answer)
    return reasons, tuple(answers)


def _reasons(segment: Segment, scope: Scope, mapping: SenderMapping) -> list[Code]:
    code = scope.message.piece(segment.raw(3), 1).strip()
    found = [
        value
        for rule in mapping.by_code.get(code, ())
        if rule.label == "order.reasons" and scope.holds(rule, segment)
        for path in rule.paths
        for value in scope.values(rule, segment, path)
    ]
    if found:
        scope.desk.used(f"{segment.place}-5", "request.reasons")
    return found


def _answer(segment: Segment, scope: Scope, number: int) -> Result | None:
    desk, place = scope.desk, f"{segment.place}-5"
    if find_document(scope.message, segment):
        desk.warn(place, "a document sent with an order stays in the message")
        desk.left(place, "a document sent with an order")
        return None
    question = read_name(segment, scope)
    key = f"{question.code or question.text}|{segment.raw(4).strip() or number}"
    answer = read_result(segment, scope, key, "final", Code())
    if answer is None:
        desk.warn(place, "an answer without a question")
        desk.left(place, "no question in OBX-3")
        return None
    desk.used(place, "request.answers")
    return answer
