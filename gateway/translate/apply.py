"""Apply the rules of a mapping to a message: paths to values, with the place of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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
                found = list(self.read(rule))
                if found:
                    values[rule.field] = tuple(found) if rule.many else found[0]
        return values

    def read(self, rule: Rule) -> Iterator[Any]:
        """Yield the values of one rule: of the first path that has any, or of all when many."""
        some = False
        for path in rule.paths:
            for segment in self.segments(path.segment):
                if path.number in (0, segment.number) and self.holds(rule, segment):
                    for value in self.values(rule, segment, path):
                        some = True
                        yield value
            if some and not rule.many:
                return
        if not some and rule.default:
            yield from self._value(rule, rule.default, f"default of {rule.label}")

    def holds(self, rule: Rule, segment: Segment) -> bool:
        """Whether the `where` of a rule is met: on this segment, or anywhere for others."""
        for path, wanted in rule.where:
            candidates = [segment] if path.segment == segment.name else self.segments(path.segment)
            if not any(
                value in wanted for one in candidates for value in self.message.read(one, path)
            ):
                return False
        return True

    def values(self, rule: Rule, segment: Segment, path: Path) -> Iterator[Any]:
        """Yield each readable repetition of one segment's field."""
        raw = segment.raw(path.field)
        if not raw:
            return
        place = place_of(segment, path)
        single = segment.name == "MSH" and path.field <= 2
        for repetition in [raw] if single else self.message.repetitions(raw):
            yield from self._value(rule, self._piece(repetition, path), place)

    def _piece(self, raw: str, path: Path) -> str:
        if path.component:
            parts = raw.split(self.message.delimiters.component)
            raw = parts[path.component - 1] if path.component <= len(parts) else ""
        if path.subcomponent:
            parts = raw.split(self.message.delimiters.subcomponent)
            raw = parts[path.subcomponent - 1] if path.subcomponent <= len(parts) else ""
        return raw

    def _value(self, rule: Rule, raw: str, place: str) -> Iterator[Any]:
        if not raw.strip() or raw == '""':
            return
        found = Found(raw, place, self.desk, rule.table, rule.critical, rule.system)
        try:
            value = rule.reader(found)
        except InvalidContent as error:
            self.desk.hold(error.where or place, error.text, error.hold)
            return
        if value:
            yield value


def place_of(segment: Segment, path: Path) -> str:
    """Name one field for people: `OBX[2]-5`, `PID-3.1`."""
    name = segment.place if segment.name in _REPEATING else segment.name
    tail = "".join(f".{number}" for number in (path.component, path.subcomponent) if number)
    return f"{name}-{path.field}{tail}"
