"""The observations of one report: each OBX to the field its mapping names, all accounted for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from gateway.errors import Hold, MissingField
from gateway.message import Segment
from gateway.report import Biomarker, Code, Range, Ratio
from gateway.translate.apply import Scope
from gateway.translate.attachment import documents
from gateway.translate.build import Findings, Group, build
from gateway.translate.groups import Kind, Observed, observations
from gateway.translate.laboratory import read_name, read_result, result_key
from gateway.translate.lines import Note, notes_after, text_blocks
from gateway.translate.mapping import Rule, SenderMapping

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
_UNDONE = frozenset({"entered-in-error", "cancelled"})
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
        self._statuses: dict[str, str] = {}
        self._panels = _panels(scope)

    def read(self) -> Findings:
        """Read every observation and note, and build the findings."""
        standing = [one for one in observations(self.scope.message) if self._stands(one)]
        documented = self._documents([one.segment for one in standing])
        rest = [
            one
            for one in standing
            if one.segment.place not in documented and not self._use_rules(one)
        ]
        plain = [one for one in rest if not self._beside_a_finding(one)]
        in_words = self._blocks([one.segment for one in plain])
        notes = dict(notes_after(self.scope.message))
        for one in plain:
            if one.segment.place not in in_words:
                self._result(one, notes)
        for note in notes.values():
            self.found.narrative.append(note.text)
            self._used(note.places, "report.narrative")
        build(self.found, self._groups, self.desk)
        return self.found

    def _stands(self, one: Observed) -> bool:
        """Note the status of an observation; False where it says that there is none."""
        status = self._read_status(one.segment)
        if status == _NO_OBSERVATION:
            self.desk.left(f"{one.segment.place}-5", "OBX-11 says that there is no result")
            return False
        self.found.statuses.append(status)
        self._statuses[one.segment.place] = "final" if status == PROMOTED else status
        # Promoted without a value: nothing to read here, the value stands in the last version.
        return status != PROMOTED or bool(one.segment.raw(5))

    def _documents(self, segments: list[Segment]) -> set[str]:
        """Take the documents out, and return the places of the OBX that hold them."""
        taken: set[str] = set()
        for document in documents(segments, self.scope.message):
            places = [f"{one.place}-5" for one in document.segments]
            taken.update(one.place for one in document.segments)
            if document.attachment:
                self.found.attachments.append(document.attachment)
                self._used(places, "report.attachments")
            else:
                self.desk.hold(document.place, document.problem, Hold.ATTACHMENT)
                for place in places:
                    self.desk.left(place, document.problem)
        return taken

    def _blocks(self, segments: list[Segment]) -> set[str]:
        """Join lines of text to narratives, and return the places of the OBX they stand in."""
        taken: set[str] = set()
        undone = set(self.found.statuses) <= _UNDONE
        for block in text_blocks(segments, self.scope.message):
            taken.update(one.place for one in block.segments)
            places = [f"{one.place}-5" for one in block.segments if one.raw(5)]
            if block.withdrawn and not undone:
                for place in places:
                    self.desk.left(place, "OBX-11 takes it back")
                continue
            if block.text:
                titled = f"{block.title}\n{block.text}" if block.title else block.text
                self.found.narrative.append(titled)
            self._used(places, "report.narrative")
        return taken

    def _result(self, one: Observed, notes: dict[str, Note]) -> None:
        segment, note = one.segment, notes.pop(one.segment.place, None)
        panel = self._panels.get(segment.place, Code())
        key = result_key(read_name(segment, self.scope), panel)
        status = self._statuses[segment.place]
        words = (note.text,) if note else ()
        result = read_result(segment, self.scope, key, status, panel, words)
        if result is None:
            self.desk.hold_for(MissingField("this result has no code", where=f"{segment.place}-3"))
            self.desk.left(f"{segment.place}-5", "no code in OBX-3")
            return
        self.found.results.append(result)
        places = [f"{segment.place}-5"] if segment.raw(5) else []
        self._used([*places, *(note.places if note else ())], "report.results")

    def _used(self, places: Iterable[str], target: str) -> None:
        for place in places:
            self.desk.used(place, target)

    def _use_rules(self, one: Observed) -> bool:
        named = self.mapping.by_code.get(one.code, ())
        rules = [
            rule for rule in (*named, *self.mapping.any_code) if self.scope.holds(rule, one.segment)
        ]
        if not rules:
            return False
        numbered = [rule for rule in rules if rule.paths[0].number]
        rules = [rule for rule in rules if not rule.paths[0].number]
        for rule in numbered:
            self._use_also(rule, one)
        if one.kind in _SECTIONS:
            own = [rule for rule in rules if rule.section in _SECTIONS[one.kind]]
            rules = own or ([] if one.kind is Kind.DRUG else _of_study(rules))
        else:
            rules = _of_study(rules) if one.kind is Kind.STUDY else []
        for rule in rules:
            if rule.section == "biomarker":
                self._biomarker(rule, one)
            else:
                self._use(rule, one)
        return bool(rules)

    def _use_also(self, rule: Rule, one: Observed) -> None:
        """Read one certain line also as a finding; it stays what it is otherwise."""
        if rule.paths[0].number != one.segment.number:
            return
        for value in self.scope.values(rule, one.segment, rule.paths[0]):
            finding = replace(one, kind=Kind.VARIANT, key=f"#{rule.label}")
            self._section(rule.section, finding)[rule.field] = value
            self.desk.used(f"{one.segment.place}-{rule.paths[0].field}", rule.label)

    def _biomarker(self, rule: Rule, one: Observed) -> None:
        """OBX-3 says which biomarker it is, and the OBX is read as any other result is."""
        segment = one.segment
        read = read_result(segment, self.scope, "", self._statuses[segment.place], Code())
        if read is None or isinstance(read.value, (Range, Ratio)):
            return
        words = read.absent.display if not read.value else ""
        notes = (*read.notes, *([f"No value: {words}"] if words else []))
        self.found.biomarkers += [
            Biomarker(segment.place, code, segment.place, read.status, read.value, notes=notes)
            for code in self.scope.values(rule, segment, rule.paths[0])
        ]
        if segment.raw(5):
            self.desk.used(f"{segment.place}-5", "report.biomarkers")

    def _use(self, rule: Rule, one: Observed) -> None:
        values: list[Any] = []
        for path in rule.paths:
            values += self.scope.values(rule, one.segment, path)
        place = f"{one.segment.place}-{rule.paths[0].field}"
        section = self._section(rule.section, one)
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

    def _section(self, name: str, one: Observed) -> dict[str, Any]:
        if name not in _SECTIONS.get(one.kind, ()):
            return self.found.fields.setdefault(name, {})
        return self._group(one).values.setdefault(name, {})

    def _group(self, one: Observed) -> Group:
        group = self._groups.get(one.key)
        if group is None:
            group = Group(one.key, one.kind, one.segment.place, one.within)
            self._groups[one.key] = group
        group.statuses.append(self._statuses[one.segment.place])
        return group

    def _beside_a_finding(self, one: Observed) -> bool:
        """Keep what no field of a finding takes, as words beside that finding."""
        if one.kind not in _SECTIONS or one.key.startswith("#"):
            return False
        names = [self.scope.message.piece(one.segment.raw(3), number).strip() for number in (2, 1)]
        name = next(filter(None, names), "")
        if name and one.segment.raw(5):
            self._note(one, name)
        return bool(name)

    def _note(self, one: Observed, name: str) -> None:
        message, segment = self.scope.message, one.segment
        value = "; ".join(
            " ".join(part.strip() for part in message.components(raw) if part.strip())
            for raw in message.repetitions(segment.raw(5))
        )
        unit = message.piece(segment.raw(6), 1).strip()
        self._group(one).notes.append(f"{name}: {value} {unit}".rstrip())
        self.desk.used(f"{segment.place}-5", f"{one.kind.name.lower()}.notes")

    def _read_status(self, segment: Segment) -> str:
        code = segment.raw(11).strip()
        table = self.mapping.tables.get("observation-status")
        row = table.find(code) if table and code else None
        if code and row is None:
            self.desk.hold(f"{segment.place}-11", "unknown result status", Hold.CODE)
        return row.target if row else ""


def _panels(scope: Scope) -> dict[str, Code]:
    """The OBR-4 that each OBX stands under."""
    found: dict[str, Code] = {}
    panel = Code()
    for segment in scope.message.segments:
        if segment.name == "OBR":
            panel = read_name(segment, scope)
        elif segment.name == "OBX":
            found[segment.place] = panel
    return found


def _of_study(rules: list[Rule]) -> list[Rule]:
    return [rule for rule in rules if rule.section not in _OF_FINDING]
