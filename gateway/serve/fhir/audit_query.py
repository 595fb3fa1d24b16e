"""A search for AuditEvents as asked, in; what the index is asked, out (R4 auditevent.html)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from gateway.errors import InvalidSearch, InvalidValue
from gateway.fhir.audit_event import interactions
from gateway.store.audit.entries import Wanted, merged_with, patient_by, patient_of
from gateway.store.database import Connection
from gateway.store.dates import interval
from gateway.store.search.asked import Query, Rules

PARAMETERS = {
    "date": "date", "entity": "reference", "agent": "reference", "patient": "reference",
    "action": "token", "type": "token", "subtype": "token", "outcome": "token",
}  # fmt: skip
_SILENT = ("_format", "_pretty")
_PREFIX = re.compile(r"(eq|lt|gt|le|ge|sa|eb)?(\d.*)", re.ASCII)
_STATUSES = {"0": (0, 400), "4": (400, 500), "8": (500, 600)}
_NONE = (0, 0)


@dataclass(slots=True)
class _Reading:
    connection: Connection
    rules: Rules
    wanted: Wanted = field(default_factory=Wanted)
    count: int = 0
    cursor: str = ""
    pairs: list[tuple[str, str]] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)

    def take(self, name: str, value: str) -> bool:
        takers: dict[str, Callable[[str], None]] = {
            "date": self.date, "entity": self.entity, "agent": self.agent,
            "agent.identifier": self.agent, "agent:identifier": self.agent,
            "patient": self.patient, "patient.identifier": self.patient_identifier,
            "patient:identifier": self.patient_identifier,
            "action": lambda text: self.among(name, interactions(action=_code(text))),
            "type": lambda text: self.among(name, interactions(type_=_code(text))),
            "subtype": lambda text: self.among(name, interactions(subtype=_code(text))),
            "outcome": self.outcome, "_count": self.counted, "_cursor": self.at,
            "_sort": self.sort,
        }  # fmt: skip
        if name in takers:
            takers[name](value)
        return name in takers or name in _SILENT

    def date(self, text: str) -> None:
        found = _PREFIX.fullmatch(text.replace(" ", "+"))
        if not found:
            raise InvalidSearch("must be a date, with a prefix or without", where="date")
        try:
            low, high = interval(found[2])
        except InvalidValue as error:
            raise InvalidSearch(error.text, where="date") from error
        prefix = found[1] or "eq"
        if prefix in ("eq", "ge", "gt", "sa"):
            since = low if prefix in ("eq", "ge") else high
            self.wanted = replace(self.wanted, since=max(since, self.wanted.since or since))
        if prefix in ("eq", "lt", "le", "eb"):
            until = high if prefix in ("eq", "le") else low
            self.wanted = replace(self.wanted, until=min(until, self.wanted.until or until))

    def entity(self, text: str) -> None:
        local = text.removeprefix(self.rules.base + "/")
        self.once("entity", bool(self.wanted.resource))
        self.wanted = replace(self.wanted, resource=local)

    def agent(self, text: str) -> None:
        self.once("agent", bool(self.wanted.agents))
        names = tuple(one.rpartition("|")[2] for one in text.split(","))
        self.wanted = replace(self.wanted, agents=names)

    def patient(self, text: str) -> None:
        ids = [one.removeprefix(self.rules.base + "/").removeprefix("Patient/")
               for one in text.split(",")]  # fmt: skip
        self.of([key for id_ in ids for key in patient_of(self.connection, id_)])

    def patient_identifier(self, text: str) -> None:
        system, bar, value = text.rpartition("|")
        if not bar or not system:
            raise InvalidSearch("must say system|value", where="patient.identifier")
        system = self.rules.aliases.get(system, system)
        self.of(patient_by(self.connection, system, value))

    def of(self, keys: Iterable[int]) -> None:
        self.once("patient", self.wanted.patients is not None)
        self.wanted = replace(self.wanted, patients=merged_with(self.connection, keys))

    def among(self, name: str, found: tuple[str, ...]) -> None:
        before = self.wanted.interactions
        both = found if before is None else tuple(one for one in before if one in found)
        self.wanted = replace(self.wanted, interactions=both)

    def outcome(self, text: str) -> None:
        self.once("outcome", bool(self.wanted.statuses))
        codes = [_code(one) for one in text.split(",")]
        statuses = tuple(_STATUSES.get(one, _NONE) for one in codes)
        self.wanted = replace(self.wanted, statuses=statuses)

    def counted(self, text: str) -> None:
        if not text.isascii() or not text.isdigit() or len(text) > 9 or not int(text):
            raise InvalidSearch("must be a number greater than zero", where="_count")
        self.count = int(text)

    def at(self, text: str) -> None:
        self.cursor = text

    def sort(self, text: str) -> None:
        if text != "-date":
            raise InvalidSearch("audit events are sorted by -date only", where="_sort")

    def once(self, name: str, given: bool) -> None:
        if given:
            raise InvalidSearch("this parameter can be given once", where=name)


def read_search(
    connection: Connection, pairs: Iterable[tuple[str, str]], rules: Rules, *, strict: bool
) -> tuple[Query, Wanted]:
    """Read the parameters of a search for AuditEvents; merges of patients are followed.

    Raises InvalidSearch that names the parameter, also an unknown one where `strict`.
    """
    reading = _Reading(connection, rules)
    for name, value in pairs:
        if "\0" in value or "\0" in name:
            raise InvalidSearch("contains a NUL character")
        shown = name if name.replace(".", "").replace(":", "").isidentifier() else "?"
        if reading.take(name, value):
            if name not in (*_SILENT, "_cursor"):
                reading.pairs.append((name, value))
        elif strict:
            raise InvalidSearch("not a supported search parameter", where=shown)
        else:
            reading.ignored.append(shown)
    count = min(reading.count or rules.page_size, rules.page_size_max)
    query = Query(
        "AuditEvent", rules, count=count, cursor=reading.cursor, pairs=tuple(reading.pairs),
        ignored=tuple(reading.ignored),
    )  # fmt: skip
    return query, reading.wanted


def _code(text: str) -> str:
    return text.rpartition("|")[2]
