"""Apply the rules of a mapping to a message: paths to values, with the place of each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gateway.errors import InvalidContent
from gateway.message import Message, Path, Segment
from gateway.translate.desk import Desk
from gateway.translate.found import Found
from gateway.translate.mapping import Rule

_REPEATING = frozenset({"OBX", "NTE", "OBR", "ORC", "SPM", "NK1", "DG1", "TXA"})


class Scope:
    """The part of a message that one report is made of, its segments found by name at once."""

    def __init__(self, message: Message, desk: Desk) -> None:
        self.message = message
        self.desk = desk
        self._by_name: dict[str, list[Segment]] = {}
        for segment in message.segments:
            self._by_name.setdefault(segment.name, []).append(segment)

    def segments(self, name: str) -> list[Segment]:
        """Return the segments of one name, in order."""
        return self._by_name.get(name, [])

    def fill(self, rules: Iterable[Rule]) -> dict[str, Any]:
        """Read every rule that does not read OBX: field name to value, or tuple of values."""
        values: dict[str, Any] = {}
        for rule in rules:
            if not rule.on_observation:
                found = self.read(rule)
                if found:
                    values[rule.field] = tuple(found) if rule.many else found[0]
        return values

    def read(self, rule: Rule) -> list[Any]:
        """Return the values of one rule: of the first path that has any, or of all when many."""
        found: list[Any] = []
        for path in rule.paths:
            for segment in self._by_name.get(path.segment, ()):
                if path.number in (0, segment.number) and self.holds(rule, segment):
                    found += self.values(rule, segment, path)
            if found and not rule.many:
                return found
        if not found and rule.default:
            found += self._value(rule, rule.default, f"default of {rule.label}")
        return found

    def holds(self, rule: Rule, segment: Segment) -> bool:
        """Whether the `where` of a rule is met: on this segment, or anywhere for others."""
        says = self.message.says
        for path, wanted in rule.where:
            if path.segment == segment.name:
                if not says(segment, path, wanted):
                    return False
            elif not any(says(one, path, wanted) for one in self.segments(path.segment)):
                return False
        return True

    def values(self, rule: Rule, segment: Segment, path: Path) -> list[Any]:
        """Return each readable repetition of one segment's field."""
        raw = segment.raw(path.field)
        if not raw:
            return []
        place, message = place_of(segment, path), self.message
        single = segment.name == "MSH" and path.field <= 2
        found: list[Any] = []
        for repetition in (raw,) if single else message.repetitions(raw):
            part = repetition
            if path.component or path.subcomponent:
                part = message.part(repetition, path.component, path.subcomponent)
            found += self._value(rule, part, place)
        return found

    def _value(self, rule: Rule, raw: str, place: str) -> tuple[Any, ...]:
        if not raw or raw == '""' or raw.isspace():
            return ()
        found = Found(raw, place, self.desk, rule.table, rule.critical, rule.system)
        try:
            value = rule.reader(found)
        except InvalidContent as error:
            self.desk.hold(error.where or place, error.text, error.hold)
            return ()
        return (value,) if value else ()


def place_of(segment: Segment, path: Path) -> str:
    """Name one field for people: `OBX[2]-5`, `PID-3.1`."""
    return f"{segment.place if segment.name in _REPEATING else segment.name}{path.tail}"
