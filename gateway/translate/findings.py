"""The observations of one report: each OBX to the field its mapping names, all accounted for."""

from __future__ import annotations

from typing import Any

from gateway.errors import Hold, InvalidAttachment, MissingField
from gateway.message import Segment
from gateway.translate.apply import Scope
from gateway.translate.attachment import find_document
from gateway.translate.build import Findings, Group, build
from gateway.translate.groups import Kind, Observed, observations
from gateway.translate.mapping import Rule, SenderMapping

_LINES = frozenset({"TX", "FT", "ST"})
_VARIANT_SECTIONS = frozenset(
    ("variant", "implication", "therapy", "consequence", "phase", "medication_recommendation")
)
_SECTIONS = {
    Kind.VARIANT: _VARIANT_SECTIONS,
    Kind.COMPLEX: frozenset(("haplotype", "genotype", "implication", "therapy")),
    Kind.DRUG: frozenset(("haplotype", "genotype", "therapy", "medication_recommendation")),
}
_OF_FINDING = frozenset().union(*_SECTIONS.values()) - {"medication_recommendation"}
_NO_OBSERVATION = "none"
# OBX-11 = U: what was preliminary is final now, and the value is not sent again.
PROMOTED = "promoted"


class FindingsReader:
    """Reads the OBX and NTE segments of one report, in order."""

    def __init__(self, scope: Scope, mapping: SenderMapping) -> None:
        self.scope = scope
        self.desk = scope.desk
        self.mapping = mapping
        self.found = Findings()
        self._groups: dict[str, Group] = {}

    def read(self) -> Findings:
        """Read every observation and note, and build the findings."""
        by_segment = {id(one.segment): one for one in observations(self.scope.message)}
        for segment in self.scope.message.segments:
            if segment.name == "OBX":
                self._observation(by_segment[id(segment)])
            elif segment.name == "NTE" and segment.raw(3):
                self._line(segment, 3)
        build(self.found, self._groups, self.desk)
        return self.found

    def _observation(self, one: Observed) -> None:
        segment, place = one.segment, f"{one.segment.place}-5"
        status = self._status(segment)
        if status == _NO_OBSERVATION:
            self.desk.left(place, "OBX-11 says that there is no result")
            return
        self.found.statuses.append(status)
        status = "final" if status == PROMOTED else status
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
            self._otherwise(one, status)

    def _use_rules(self, one: Observed, status: str) -> bool:
        rules = [*self.mapping.by_code.get(one.code, ()), *self.mapping.any_code]
        rules = [rule for rule in rules if self.scope.holds(rule, one.segment)]
        if one.kind in _SECTIONS:
            own = [rule for rule in rules if rule.section in _SECTIONS[one.kind]]
            rules = own or ([] if one.kind is Kind.DRUG else _of_study(rules))
        else:
            rules = _of_study(rules) if one.kind is Kind.STUDY else []
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
        if name not in _SECTIONS.get(one.kind, ()):
            return self.found.fields.setdefault(name, {})
        return self._group(one, status).values.setdefault(name, {})

    def _group(self, one: Observed, status: str) -> Group:
        group = self._groups.setdefault(
            one.key, Group(one.key, one.kind, one.segment.place, one.within)
        )
        group.statuses.append(status)
        return group

    def _otherwise(self, one: Observed, status: str) -> None:
        segment, place = one.segment, f"{one.segment.place}-5"
        if not one.code and not self.scope.message.piece(segment.raw(3), 2).strip():
            self.desk.hold_for(MissingField("this result has no code", where=f"{segment.place}-3"))
            self.desk.left(place, "no code in OBX-3")
        elif one.kind in _SECTIONS and not one.key.startswith("#"):
            self._note(one, status)
        elif segment.raw(2) in _LINES and one.kind is not Kind.UNKNOWN:
            self._line(segment, 5)
        elif segment.raw(5):
            self.desk.left(place, f"no mapping for an observation of a {one.kind}")

    def _note(self, one: Observed, status: str) -> None:
        """Keep what no field of a finding takes, as words beside that finding."""
        message, segment = self.scope.message, one.segment
        if not segment.raw(5):
            return
        names = [message.piece(segment.raw(3), number).strip() for number in (2, 1)]
        value = "; ".join(
            " ".join(part.strip() for part in message.components(raw) if part.strip())
            for raw in message.repetitions(segment.raw(5))
        )
        unit = message.piece(segment.raw(6), 1).strip()
        name = next(filter(None, names))
        self._group(one, status).notes.append(f"{name}: {value} {unit}".rstrip())
        self.desk.used(f"{segment.place}-5", f"{one.kind.name.lower()}.notes")

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


def _of_study(rules: list[Rule]) -> list[Rule]:
    return [rule for rule in rules if rule.section not in _OF_FINDING]
