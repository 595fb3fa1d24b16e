"""Resources that clients write: checked, given a Provenance, filed in the caller's transaction.

What messages keep stays as the messages say: a client changes only what was made over FHIR, and
the Patient by the rules of `written_patients`. A resource never changes whose it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl
from uuid import uuid4

from gateway.access.scopes import Access
from gateway.errors import (
    Forbidden,
    NotAllowed,
    NotConformant,
    NotFound,
    PreconditionFailed,
)
from gateway.fhir import terms
from gateway.pipeline.references import literals, renamed
from gateway.pipeline.written_patients import IndexKeeper, require_own_number
from gateway.store import made
from gateway.store.database import Connection
from gateway.store.dates import instant_text
from gateway.store.referred import read_many
from gateway.store.resources import NewVersion, Stored, read, save
from gateway.store.search.asked import Rules
from gateway.store.search.query import parse_query
from gateway.store.search.run import search

Json = dict[str, Any]

WRITABLE = frozenset({"DocumentReference", "Patient", "ServiceRequest", "Task"})
"""The types that a client may make and change; all others are written by messages."""

_SUBJECT = {"DocumentReference": "subject", "ServiceRequest": "subject", "Task": "for"}
_ACTIVITY = "http://terminology.hl7.org/CodeSystem/v3-DataOperation"
_FOUND_MAX = 2


@dataclass(frozen=True, slots=True)
class Plan:
    """One resource to be saved; `known` is what stood already and stays untouched."""

    type: str
    id: str
    created: bool = False
    version: NewVersion | None = None
    known: Stored | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """What became of one write."""

    stored: Stored
    created: bool


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes for one caller in one transaction; `check` raises NotConformant.

    `made` are the places of resources that the same transaction will save.
    """

    connection: Connection
    access: Access
    rules: Rules
    keeper: IndexKeeper
    check: Callable[[Json], None]
    now: int
    made: set[str] = field(default_factory=set)

    # -- what stands ------------------------------------------------------------------------

    def matching(self, type_: str, condition: str) -> Stored | None:
        """Return the one resource that a condition finds, or None.

        Raises PreconditionFailed when there are several, Forbidden, InvalidSearch.
        """
        made.one_at_a_time(self.connection, f"{type_}?{condition}")
        pairs = parse_qsl(condition.partition("?")[2] or condition, keep_blank_values=True)
        query = parse_query(type_, pairs, self.rules, strict=True)
        if not query.conditions:
            raise PreconditionFailed("the condition selects nothing", where=type_)
        found = search(self.connection, self.access, replace(query, count=_FOUND_MAX, cursor=""))
        if len(found.matches) > 1:
            raise PreconditionFailed("the condition finds more than one resource", where=type_)
        return found.matches[0] if found.matches else None

    def _found(self, type_: str, condition: str, content: Json) -> Stored | None:
        if type_ == "Patient":
            require_own_number(condition, content, self.rules.aliases)
        return self.matching(type_, condition)

    # -- plans ------------------------------------------------------------------------------

    def create(self, type_: str, content: Json, id_: str = "", condition: str = "") -> Plan:
        """Plan a new resource; with a condition that finds one, that one stays instead."""
        _own_type(type_, content)
        self.access.require(type_, "c")
        if condition and (found := self._found(type_, condition, content)):
            return Plan(type_, found.id, known=found)
        id_ = id_ or str(uuid4())
        if type_ == "Patient":
            self.check({**content, "id": id_})
            version = self.keeper.write_patient(content, None)
            return Plan(type_, version.id, created=True, version=version)
        key, record_class = self._subject(type_, content)
        return Plan(type_, id_, True, self._version(type_, id_, content, key, record_class))

    def update(self, type_: str, id_: str, content: Json, if_match: str = "") -> Plan:
        """Plan a new version of a resource that this server knows and a client may change.

        Raises NotAllowed for an id that is not known, and for what messages keep;
        PreconditionFailed when another version stands than the one named.
        """
        _own_type(type_, content)
        self.access.require(type_, "u")
        if content.get("id") != id_:
            raise NotConformant("must be the id of the request", where=f"{type_}.id")
        stands = made.standing(self.connection, self.access, type_, id_, "u")
        if stands is None:
            raise NotAllowed("there is no such resource, and ids are given by this server")
        if if_match and if_match != f'W/"{stands.version}"':
            raise PreconditionFailed("another version stands", where="If-Match")
        if type_ == "Patient":
            self.check(content)
            return Plan(type_, id_, version=self.keeper.write_patient(content, stands.patient_key))
        if not stands.client:
            raise NotAllowed("this resource is kept by messages, and changed by them only")
        key, _ = self._subject(type_, content)
        if key != stands.patient_key:
            raise NotConformant(
                "a resource cannot move to another patient", where=f"{type_}.{_SUBJECT[type_]}"
            )
        return Plan(type_, id_, False, self._version(type_, id_, content, key, stands.record_class))

    def update_matching(
        self, type_: str, condition: str, content: Json, if_match: str = ""
    ) -> Plan:
        """Plan a new version of the one resource that a condition finds, or a new resource."""
        _own_type(type_, content)
        found = self._found(type_, condition, content)
        if found is None:
            if "id" in content:
                raise NotAllowed("nothing is found, and ids are given by this server")
            return self.create(type_, content)
        if content.setdefault("id", found.id) != found.id:
            raise NotConformant("is not the id of what the condition finds", where=f"{type_}.id")
        return self.update(type_, found.id, content, if_match)

    # -- save -------------------------------------------------------------------------------

    def save(self, plans: Sequence[Plan]) -> list[Written]:
        """Save all plans at once, each that says something new with its Provenance."""
        versions = [plan.version for plan in plans if plan.version]
        done = {(one.type, one.id): one for one in save(self.connection, versions, self.now)}
        created = {(plan.type, plan.id) for plan in plans if plan.created}
        changed = [one for one in versions if done[one.type, one.id].changed]
        provenances = [self._provenance(one, (one.type, one.id) in created) for one in changed]
        save(self.connection, provenances, self.now)
        new = [done[place] for place in sorted(created) if place in done]
        made.note_written(self.connection, new, self.access.client, self.now)
        return [
            Written(
                plan.known or made.saved_text(self.connection, done[plan.type, plan.id]),
                plan.created,
            )
            for plan in plans
        ]

    # -- parts ------------------------------------------------------------------------------

    def _subject(self, type_: str, content: Json) -> tuple[int, str]:
        where = f"{type_}.{_SUBJECT[type_]}"
        reference = content.get(_SUBJECT[type_], {}).get("reference", "")
        type_, _, id_ = reference.removeprefix(f"{self.rules.base}/").rpartition("/")
        if type_ != "Patient":
            raise NotConformant("must be a Patient of this server", where=where)
        try:
            if reference not in self.made:
                read(self.connection, self.access, "Patient", id_)
        except (Forbidden, NotFound) as error:
            raise NotConformant("names no patient that is here", where=where) from error
        return made.whose(self.connection, id_)

    def _version(
        self, type_: str, id_: str, content: Json, key: int, record_class: str
    ) -> NewVersion:
        base = f"{self.rules.base}/"
        content = renamed(content, lambda text: text.removeprefix(base))
        meta = {
            name: value
            for name, value in content.get("meta", {}).items()
            if name not in ("versionId", "lastUpdated", "source")
        }
        content = {name: value for name, value in content.items() if name not in ("id", "meta")}
        if meta:
            content["meta"] = meta
        self.check({**content, "id": id_})
        self._resolve(type_, content)
        return NewVersion(type_, id_, content, key, record_class)

    def _resolve(self, type_: str, content: Mapping[str, Any]) -> None:
        """Refuse a reference to what is not here, or may not be read: the two look the same."""
        named = {
            reference: where
            for where, reference in literals(content, type_)
            if not reference.startswith(("#", "http://", "https://"))
        }
        places = {reference: tuple(reference.split("/")[:2]) for reference in named}
        wanted = {place for place in places.values() if "/".join(place) not in self.made}
        pairs = [(place[0], place[1]) for place in wanted if len(place) == 2]
        found = {(one.type, one.id) for one in read_many(self.connection, self.access, pairs)}
        for reference, place in places.items():
            if place in wanted and place not in found:
                raise NotConformant("refers to nothing that is here", where=named[reference])

    def _provenance(self, one: NewVersion, created: bool) -> NewVersion:
        client = {"type": "Device", "identifier": {"value": self.access.client}}
        content = {
            "resourceType": "Provenance",
            "target": [{"reference": f"{one.type}/{one.id}"}],
            "recorded": instant_text(self.now),
            "activity": terms.concept(_ACTIVITY, "CREATE" if created else "UPDATE"),
            "agent": [{"type": terms.concept(terms.PARTICIPANT, "author"), "who": client}],
        }
        self.check({**content, "id": "new"})
        return NewVersion("Provenance", str(uuid4()), content, one.patient_key, one.record_class)


def _own_type(type_: str, content: Json) -> None:
    if type_ not in WRITABLE:
        raise NotAllowed(f"{type_} is written by messages, not over FHIR")
    if content.get("resourceType") != type_:
        raise NotConformant("is not the type of the request", where="resourceType")


def conditions_in(references: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Return the references that are searches, such as `Patient?identifier=…`, taken apart."""
    found = {}
    for reference in references:
        type_, mark, condition = reference.partition("?")
        if mark and type_.isalpha():
            found[reference] = (type_, condition)
    return found
