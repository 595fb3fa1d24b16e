"""Merge patients that are one person, and undo it (ingest rule 3.5; safety.md 2 and 5)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from gateway.errors import Hold, IdentityHold, InvalidContent, NotFound, VersionConflict
from gateway.fhir.composed import Composed, Context, Ids
from gateway.fhir.merged import SUBSUMED, SURVIVOR, compose_merge, compose_patient
from gateway.identify.names import agreement, family_agrees, is_newborn
from gateway.identify.numbers import Issuers, trusted
from gateway.pipeline.patients import update_patient
from gateway.report import Identifier, Patient, PatientUpdate
from gateway.request import Merge
from gateway.store import merges, patients, reports
from gateway.store.database import Connection
from gateway.store.merges import Kept
from gateway.store.patients import Indexed
from gateway.store.resources import NewVersion, save
from gateway.store.work import Part
from gateway.translate.mapping import SenderMapping

UNDONE = {
    "system": "urn:x-genomics-gateway:report-flag",
    "code": "merge-undone",
    "display": "Filed while two patients were merged: whose it is must be checked",
}
Check = Callable[[Any], None]


@dataclass(frozen=True, slots=True)
class Merger:
    """Applies the merges of one part."""

    connection: Connection
    part: Part
    mapping: SenderMapping
    issuers: Issuers
    now: int
    check: Check

    def merge(self, asked: Merge) -> list[str]:
        """Apply one merge and return the survivor; raises IdentityHold to hold it.

        Refused: a merge with itself, the inverse of an earlier merge or one that closes a
        circle, a patient that was merged into somebody else, birth dates or names that differ.
        A repeat changes nothing. An unknown number becomes another number of the survivor.
        """
        if not self.mapping.sender.trusted_patients:
            raise InvalidContent("this sender does not keep the patient index", where="MSH-3")
        gone = trusted(asked.subsumed.identifiers, self.issuers)
        here = _others(trusted(asked.survivor.identifiers, self.issuers), gone)
        old, new = self._one(gone, "MRG-1"), self._one(here, "PID-3")
        if asked.renumbered:
            return self._renumber(asked, here, gone, old, new)
        if new is None:
            new = self._created(replace(asked.survivor, identifiers=here), asked)
        if old is None:
            known = patients.by_key(self.connection, new)
            _agree(asked.survivor, known.demographics)
            self._add(known, gone, "retired")
            return [f"Patient/{known.id}"]
        return self._merge(asked, old, new)

    def _one(self, identifiers: Collection[Identifier], where: str) -> int | None:
        found = patients.owners(self.connection, identifiers)
        if len(found) > 1:
            raise IdentityHold(
                Hold.PATIENT_MISMATCH, "the identifiers belong to different patients", where=where
            )
        return next(iter(found), None)

    def _created(self, given: Patient, asked: Merge) -> int:
        update = PatientUpdate(given, asked.event, asked.clock)
        update_patient(self.connection, update, self.part, self.mapping, self.issuers, self.now)
        key = self._one(given.identifiers, "PID-3")
        if key is None:
            raise VersionConflict("another worker was faster")
        return key

    def _add(self, known: Indexed, numbers: Collection[Identifier], state: str) -> None:
        source = self.part.sender
        patients.add_identifiers(self.connection, known.key, numbers, source, self.now, state)

    def _renumber(
        self,
        asked: Merge,
        here: Collection[Identifier],
        gone: Collection[Identifier],
        old: int | None,
        new: int | None,
    ) -> list[str]:
        """Give a patient a new number in place of an old one, which still leads to them."""
        living = {patients.survivor(self.connection, key) for key in (old, new) if key is not None}
        if not living:
            raise IdentityHold(Hold.PATIENT_UNKNOWN, "the index has no such patient", where="MRG-1")
        if len(living) > 1:
            text = "both numbers have a patient: that is a merge, not a change of number"
            raise IdentityHold(Hold.PATIENT_MISMATCH, text, where="MRG-1")
        known = patients.by_key(self.connection, living.pop())
        _agree(asked.survivor, known.demographics)
        self._add(known, gone, "retired")
        patients.retire(self.connection, known.key, gone)
        self._add(known, here, "current")
        whose = {SURVIVOR: patients.read(self.connection, known.key)}
        ids = _ids(whose)
        made = compose_patient(whose[SURVIVOR].demographics, ids, self._context())
        _save(self.connection, made, ids, whose, self.now, self.check)
        return [f"Patient/{known.id}"]

    def _merge(self, asked: Merge, old: int, new: int) -> list[str]:
        merges.lock(self.connection, {old, new})
        survivor, top = (patients.survivor(self.connection, key) for key in (new, old))
        if top == survivor:
            if old != new and survivor == old:
                text = "the inverse of an earlier merge, or a circle"
                raise IdentityHold(Hold.PATIENT_MISMATCH, text, where="MRG-1")
            return [f"Patient/{patients.by_key(self.connection, new).id}"]
        if top != old:
            raise IdentityHold(
                Hold.PATIENT_MISMATCH, "this patient was merged into another", where="MRG-1"
            )
        merges.lock(self.connection, {survivor})
        if patients.survivor(self.connection, survivor) != survivor:
            raise VersionConflict("another worker was faster")
        stays, ends = (patients.read(self.connection, key) for key in (survivor, old))
        _agree(asked.survivor, stays.demographics)
        _agree(ends.demographics, stays.demographics)
        merges.merge(self.connection, old, survivor, self.part.key, self.now)
        whose = {SURVIVOR: patients.read(self.connection, survivor), SUBSUMED: ends}
        ids = _ids(whose)
        made = compose_merge(stays.demographics, ends.demographics, ids, self._context())
        _save(self.connection, made, ids, whose, self.now, self.check)
        return [f"Patient/{stays.id}"]

    def _context(self) -> Context:
        received = datetime.fromtimestamp(self.part.received_at / 1e6, UTC)
        return Context(
            received=received.isoformat(timespec="milliseconds"),
            message_id=str(self.part.message_key), sender=self.mapping.sender.name,
            chi_system=self.issuers.chi_system,
        )  # fmt: skip


def unmerge(
    connection: Connection, subsumed_key: int, context: Context, now: int, check: Check
) -> list[str]:
    """Undo the merge of a patient and return the reports that a person must look at.

    Each report returns to the patient its message asserted; what was filed while the merge stood
    stays with the survivor, flagged. Raises NotFound when the patient was not merged.
    """
    top = patients.survivor(connection, subsumed_key)
    merges.lock(connection, {subsumed_key, top})
    undone = merges.undo(connection, subsumed_key, top, now)
    if undone is None:
        raise NotFound("this patient was not merged", where="Patient")
    back, stays = (patients.read(connection, key) for key in (subsumed_key, top))
    for one in (back, stays):
        ids = _ids({SURVIVOR: one})
        made = compose_patient(one.demographics, ids, context)
        _save(connection, made, ids, {SURVIVOR: one}, now, check)
    names = {f"Patient/{stays.id}": f"Patient/{back.id}"}
    save(connection, list(_renamed(connection, undone.returned, names, back.key)), now)
    save(connection, list(_flagged(connection, undone.review, stays.key)), now)
    return [f"{one.type}/{one.id}" for one in undone.review]


def _renamed(
    connection: Connection, rows: Collection[Kept], names: Mapping[str, str], key: int
) -> Iterator[NewVersion]:
    """Yield new versions of what was written for the survivor while the merge stood."""
    for one in rows:
        content = reports.current(connection, one.type, one.id)
        changed = _pointing(content, names)
        if changed != content:
            yield NewVersion(one.type, one.id, changed, key, one.record_class, one.file_digest)


def _pointing(content: Any, names: Mapping[str, str]) -> Any:
    if isinstance(content, list):
        return [_pointing(one, names) for one in content]
    if not isinstance(content, dict):
        return content
    return {
        name: names.get(value, value)
        if name == "reference" and isinstance(value, str)
        else _pointing(value, names)
        for name, value in content.items()
    }


def _flagged(connection: Connection, rows: Collection[Kept], key: int) -> Iterator[NewVersion]:
    for one in rows:
        content = reports.current(connection, one.type, one.id)
        if content is not None:
            tags = content.setdefault("meta", {}).setdefault("tag", [])
            tags += [] if UNDONE in tags else [UNDONE]
            yield NewVersion(one.type, one.id, content, key, one.record_class, one.file_digest)


def _ids(whose: Mapping[str, Indexed]) -> Ids:
    fresh = str(uuid4())

    def reference(type: str, role: str) -> str:
        return f"Patient/{whose[role].id}" if type == "Patient" else f"{type}/{fresh}"

    return reference


def _save(
    connection: Connection,
    made: Collection[Composed],
    ids: Ids,
    whose: Mapping[str, Indexed],
    now: int,
    check: Check,
) -> None:
    for one in made:
        check({"resourceType": one.type, "id": "new", **one.resource})
    versions = [
        NewVersion(
            one.type, ids(one.type, one.role).partition("/")[2], one.resource,
            whose.get(one.role, whose[SURVIVOR]).key,
        )
        for one in made
    ]  # fmt: skip
    save(connection, versions, now)


def _others(here: Collection[Identifier], gone: Collection[Identifier]) -> tuple[Identifier, ...]:
    """Return the numbers that stay; some senders still name the one that goes beside them."""
    ended = {(one.system, one.value) for one in gone}
    others = tuple(one for one in here if (one.system, one.value) not in ended)
    if not others:
        raise IdentityHold(
            Hold.PATIENT_MISMATCH, "a patient cannot be merged with itself", where="MRG-1"
        )
    if not {one.system for one in others} & {one.system for one in gone}:
        raise IdentityHold(
            Hold.PATIENT_MISMATCH, "the two numbers are of different kinds", where="MRG-1"
        )
    return others


def _agree(asserted: Patient, known: Patient) -> None:
    """Refuse what says different birth dates or names; what is not said decides nothing."""
    if asserted.birth_date and asserted.birth_date != known.birth_date:
        raise IdentityHold(Hold.PATIENT_MISMATCH, "the birth dates do not agree", where="PID-7")
    if asserted.name.family and not _same_person(asserted, known):
        raise IdentityHold(Hold.PATIENT_MISMATCH, "the names do not agree", where="PID-5")


def _same_person(asserted: Patient, known: Patient) -> bool:
    """A name of one agrees with a name of the other, or one of them was not given yet."""
    names = (asserted.name, *asserted.other_names), (known.name, *known.other_names)
    unnamed = is_newborn(asserted.name) or is_newborn(known.name)
    family = bool(family_agrees(asserted.name.family, known.name.family))
    return any(agreement(one, other) for one in names[0] for other in names[1]) or (
        unnamed and family
    )
