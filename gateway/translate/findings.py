"""The observations of one report: each OBX to the field its mapping names, all accounted for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.errors import Hold, InvalidAttachment, MissingField
from gateway.message import Segment
from gateway.report import Attachment, Code, Implication, Recommendation, Variant
from gateway.translate.apply import Scope
from gateway.translate.attachment import find_document
from gateway.translate.groups import Kind, Observed, observations
from gateway.translate.mapping import Rule, SenderMapping

_LINES = frozenset({"TX", "FT", "ST"})
_OF_FINDING = frozenset({"variant", "implication"})
PRESENT = Code("Present", "LA9633-4", "http://loinc.org", "Present")
_NO_OBSERVATION = "none"
# OBX-11 of a group where its segments differ: what needs most care wins.
_CARE = ("entered-in-error", "corrected", "amended", "preliminary", "registered", "cancelled",
         "final")  # fmt: skip


@dataclass(slots=True)
class _Group:
    first: Segment
    statuses: list[str] = field(default_factory=list)
    values: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(slots=True)
class Findings:
    """What the observations of one report say; `fields` holds report, order and analysis values."""

    fields: dict[str, dict[str, Any]] = field(default_factory=dict)
    variants: tuple[Variant, ...] = ()
    implications: tuple[Implication, ...] = ()
    recommendations: tuple[Recommendation, ...] = ()
    attachments: list[Attachment] = field(default_factory=list)
    narrative: list[str] = field(default_factory=list)
    statuses: list[str] = field(default_factory=list)


class FindingsReader:
    """Reads the OBX and NTE segments of one report, in order."""

    def __init__(self, scope: Scope, mapping: SenderMapping) -> None:
        self.scope = scope
        self.desk = scope.desk
        self.mapping = mapping
        self.found = Findings()
        self._groups: dict[str, _Group] = {}

    def read(self) -> Findings:
        """Read every observation and note, and build the findings."""
        by_segment = {id(one.segment): one for one in observations(self.scope.message)}
        for segment in self.scope.message.segments:
            if segment.name == "OBX":
                self._observation(by_segment[id(segment)])
            elif segment.name == "NTE" and segment.raw(3):
                self._line(segment, 3)
        self._build()
        return self.found

    def _observation(self, one: Observed) -> None:
        segment, place = one.segment, f"{one.segment.place}-5"
        status = self._status(segment)
        if status == _NO_OBSERVATION:
            self.desk.left(place, "OBX-11 says that there is no result")
            return
        self.found.statuses.append(status)
        try:
            document = find_document(self.scope.message, segment)
        except InvalidAttachment as error:
            self.desk.hold_for(error)
            self.desk.left(place, error.text)
            return
        if document:
            self.found.attachments.append(document)
            self.desk.used(place, "report.attachments")
        elif not self._use_rules(one, status):
            self._otherwise(one)

    def _use_rules(self, one: Observed, status: str) -> bool:
        rules = [*self.mapping.by_code.get(one.code, ()), *self.mapping.any_code]
        rules = [rule for rule in rules if self.scope.holds(rule, one.segment)]
        if one.kind is Kind.COMPLEX:
            rules = []
        if one.kind is Kind.VARIANT:
            rules = [rule for rule in rules if rule.section in _OF_FINDING] or rules
        else:
            rules = [rule for rule in rules if rule.section not in _OF_FINDING]
        for rule in rules:
            self._use(rule, one, status)
        return bool(rules)

    def _use(self, rule: Rule, one: Observed, status: str) -> None:
        values = [
            value for path in rule.paths for value in self.scope.values(rule, one.segment, path)
        ]
        place = f"{one.segment.place}-{rule.paths[0].field}"
        section = self._section(rule.section, one, status)
        if not values:
            if one.segment.raw(rule.paths[0].field):
                self.desk.left(place, f"not usable as {rule.label}")
            return
        if rule.many:
            section[rule.field] = (*section.get(rule.field, ()), *values)
        elif section.setdefault(rule.field, values[0]) != values[0] or len(values) > 1:
            self.desk.warn(place, f"{rule.label} has a value already: the first is kept")
            self.desk.left(place, f"{rule.label} has a value already")
            return
        self.desk.used(place, rule.label)

    def _section(self, name: str, one: Observed, status: str) -> dict[str, Any]:
        if name not in _OF_FINDING:
            return self.found.fields.setdefault(name, {})
        group = self._groups.setdefault(one.key, _Group(one.segment))
        group.statuses.append(status)
        return group.values.setdefault(name, {})

    def _otherwise(self, one: Observed) -> None:
        segment, place = one.segment, f"{one.segment.place}-5"
        if not one.code and not self.scope.message.piece(segment.raw(3), 2).strip():
            self.desk.hold_for(MissingField("this result has no code", where=f"{segment.place}-3"))
            self.desk.left(place, "no code in OBX-3")
        elif segment.raw(2) in _LINES and one.kind is Kind.STUDY:
            self._line(segment, 5)
        elif segment.raw(5):
            self.desk.left(place, f"no mapping for an observation of a {one.kind}")

    def _line(self, segment: Segment, number: int) -> None:
        message = self.scope.message
        text = "\n".join(message.piece(raw, 0) for raw in message.repetitions(segment.raw(number)))
        self.found.narrative.append(text.rstrip())
        if text.strip():
            self.desk.used(f"{segment.place}-{number}", "report.narrative")

    def _status(self, segment: Segment) -> str:
        code = segment.raw(11).strip()
        table = self.mapping.tables.get("observation-status")
        row = table.find(code) if table and code else None
        if code and row is None:
            self.desk.hold(f"{segment.place}-11", "unknown result status", Hold.CODE)
        return row.target if row else ""

    def _build(self) -> None:
        variants, implications = [], []
        for key, group in self._groups.items():
            values = group.values.get("variant", {})
            if "presence" not in values:
                self.desk.warn(group.first.place, f"group {key}: no 69548-6, so taken as present")
            values = {"presence": PRESENT, **values}
            status = next((one for one in _CARE if one in group.statuses), "")
            variants.append(Variant(key, group.first.place, status, **values))
            meaning = group.values.get("implication")
            if meaning:
                implications.append(
                    Implication(key, (key,), "diagnostic", group.first.place, status, **meaning)
                )
        self.found.variants = tuple(variants)
        self.found.implications = tuple(implications)
        self.found.recommendations = _recommendations(
            self.found.fields.pop("recommendation", {}), implications
        )


def _recommendations(
    values: Mapping[str, Any], implications: list[Implication]
) -> tuple[Recommendation, ...]:
    action = values.get("action")
    if not action:
        return ()
    reason = implications[0].key if len(implications) == 1 else ""
    return (Recommendation("1", action, reason),)
