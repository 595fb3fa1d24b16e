"""Publish one report inside the transaction of its part; or apply one patient update."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from gateway.errors import Hold, IdentityHold, InvalidContent
from gateway.fhir import people
from gateway.fhir.bundle import to_json
from gateway.fhir.composed import Composed, Context
from gateway.fhir.genomics import compose
from gateway.identify.match import Issuers, Known, decide, trusted
from gateway.identify.version import Edition, Step, step
from gateway.report import Identifier, Organization, Patient, PatientUpdate, Report
from gateway.store import patients, reports
from gateway.store.database import Connection
from gateway.store.patients import Indexed
from gateway.store.reports import Identities, Standing
from gateway.store.resources import NewVersion, Saved, save
from gateway.store.work import Part
from gateway.translate.mapping import SenderMapping
from gateway.translate.times import micros

FLAG = {
    "system": "urn:x-genomics-gateway:report-flag",
    "code": "newer-message-held",
    "display": "A newer message about this report waits for a decision",
}
_WITHDRAWABLE = frozenset({"Observation", "Task", "Procedure"})


@dataclass(frozen=True, slots=True)
class Publisher:
    """Publishes the reports of one part; `digests` are of documents by their place."""

    connection: Connection
    part: Part
    mapping: SenderMapping
    issuers: Issuers
    digests: Mapping[str, str]
    now: int
    check: Callable[[Any], None]

    def publish(self, report: Report) -> list[str]:
        """File a report and return references; raises IdentityHold or InvalidContent to hold it."""
        known = self._patient(report)
        standing = reports.lock(self.connection, laboratory_key(report.laboratory),
                                report.number.value)  # fmt: skip
        if standing.patient_key not in (None, known.key):
            raise IdentityHold(
                Hold.REPORT_PATIENT, "this report number belongs to another patient",
                where=report.number.place,
            )  # fmt: skip
        report = replace(report, patient=known.demographics)
        ids = Identities(self.connection, standing.key)
        made = self._compose(report, known, ids)
        edition = Edition(
            report.status, micros(report.clock) if report.clock else self.part.received_at,
            micros(report.sent) if report.sent else self.part.received_at, _digest(made),
        )  # fmt: skip
        decision = step(_edition(standing), edition)
        target = f"DiagnosticReport/{ids.of_report('DiagnosticReport', 'DiagnosticReport')}"
        if decision in (Step.SAME, Step.LATE):
            return [target]
        if decision is Step.AMEND:
            report = replace(report, status="amended")
            made = self._compose(report, known, ids)
        self._write(report, known, standing, ids, made, edition)
        return [target]

    def _patient(self, report: Report) -> Indexed:
        counted = trusted(report.patient.identifiers, self.issuers)
        candidates = patients.find(self.connection, counted)
        asserted = replace(report.patient, identifiers=counted)
        decided = decide(asserted, [_known(one) for one in candidates])
        return next(one for one in candidates if one.key == decided.key)

    def _compose(self, report: Report, known: Indexed, ids: Identities) -> tuple[Composed, ...]:
        fresh = str(uuid4())

        def reference(type: str, role: str) -> str:
            if type == "Patient":
                return f"Patient/{known.id}"
            if type == "Provenance":
                return f"Provenance/{fresh}"
            shared = type in ("Organization", "Practitioner", "PractitionerRole")
            return f"{type}/{ids.shared(type, role) if shared else ids.of_report(type, role)}"

        received = datetime.fromtimestamp(self.part.received_at / 1e6, UTC)
        context = Context(
            received=received.isoformat(timespec="milliseconds"),
            message_id=str(self.part.message_key), sender=self.mapping.sender.name,
            chi_system=self.issuers.chi_system,
        )  # fmt: skip
        made = compose(report, reference, context)
        for one in made:
            self.check({"resourceType": one.type, "id": "new", **one.resource})
        return tuple(
            replace(
                one, resource={**one.resource, "id": reference(one.type, one.role).split("/")[1]}
            )
            for one in made
        )

    def _write(
        self,
        report: Report,
        known: Indexed,
        standing: Standing,
        ids: Identities,
        made: tuple[Composed, ...],
        edition: Edition,
    ) -> None:
        versions = [self._version(one, known) for one in made]
        versions += self._withdrawn(report, known, ids, {one.role for one in made})
        saved = save(self.connection, versions, self.now)
        reports.replace_occurrences(
            self.connection, standing.key,
            _occurrences(report, known, standing, made, saved, self.now),
        )  # fmt: skip
        reports.change(self.connection, standing.key, {
            "patient_key": known.key, "status": report.status, "clock": edition.clock,
            "sent_at": edition.sent, "content_digest": edition.digest, "flagged": False,
            "record_class": report.record_class, "tested_subject": report.tested_subject,
            **_milestones(report), "published_at": self.now,
        })  # fmt: skip

    def _version(self, one: Composed, known: Indexed) -> NewVersion:
        content = dict(one.resource)
        id_ = content.pop("id")
        digest = None
        if one.attachment:
            digest = self.digests[one.attachment.place]
            size = len(one.attachment.content)
            reports.add_file(self.connection, digest, size, one.attachment.media_type, self.now)
        owner = None if one.shared and one.type != "Patient" else known.key
        record_class = "nhs" if one.shared else self.mapping.sender.record_class
        return NewVersion(one.type, id_, content, owner, record_class, digest)

    def _withdrawn(
        self, report: Report, known: Indexed, ids: Identities, roles: set[str]
    ) -> list[NewVersion]:
        """Mark what the newer snapshot no longer says as entered in error (safety.md 3)."""
        versions = []
        for role, (type_, id_) in ids.known.items():
            if role in roles or type_ not in _WITHDRAWABLE:
                continue
            content = reports.current(self.connection, type_, id_)
            if content is None or content.get("status") == "entered-in-error":
                continue
            if report.snapshot is not True and type_ == "Observation":
                raise IdentityHold(
                    Hold.REPORT_FINDINGS, "findings of the earlier version are missing",
                    where=report.number.place,
                )  # fmt: skip
            content["status"] = "entered-in-error"
            if type_ != "Observation":
                # These profiles fix the status, so a withdrawn one cannot claim them.
                content.get("meta", {}).pop("profile", None)
            versions.append(NewVersion(type_, id_, content, known.key, report.record_class))
        return versions


def laboratory_key(laboratory: Organization) -> str:
    """Name the reporting laboratory: by its code, else by its words."""
    one = laboratory.identifier
    return f"{one.system}|{one.value}" if one else laboratory.name


def _known(one: Indexed) -> Known:
    return Known(one.key, one.demographics.name, one.demographics.birth_date)


def _edition(standing: Standing) -> Edition:
    return Edition(standing.status, standing.clock, standing.sent_at, standing.content_digest)


def _digest(made: tuple[Composed, ...]) -> str:
    """Digest what the report says; who the patient is and how it came are not part of it."""
    digest = hashlib.sha256()
    for one in sorted(made, key=lambda one: (one.type, one.role)):
        if one.type not in ("Patient", "Provenance"):
            digest.update(to_json(one.resource))
    return digest.hexdigest()


def _milestones(report: Report) -> dict[str, int | None]:
    specimen = report.specimens[0] if report.specimens else None
    times = {
        "requested_at": report.order.requested,
        "collected_at": specimen.collected if specimen else "",
        "received_at": report.received or (specimen.received if specimen else ""),
        "reported_at": report.issued,
    }
    return {name: micros(text) if text else None for name, text in times.items()}


def _occurrences(
    report: Report,
    known: Indexed,
    standing: Standing,
    made: tuple[Composed, ...],
    saved: list[Saved],
    now: int,
) -> list[dict[str, Any]]:
    keys = {f"{one.type}/{one.id}": one.key for one in saved}
    composed = [one for one in made if one.role.startswith("variant:")]
    significance = {
        key: one.significance.text for one in report.implications for key in one.derived_from
    }
    rows = []
    for variant, one in zip(report.variants, composed, strict=True):
        names = (variant.coding_hgvs, variant.genomic_hgvs, variant.iscn, variant.protein_hgvs)
        classification = significance.get(variant.key, "")
        rows.append({
            "report_key": standing.key, "patient_key": known.key,
            "resource_key": keys[f"{one.type}/{one.resource['id']}"],
            "laboratory": laboratory_key(report.laboratory),
            "gene": variant.genes[0].text if variant.genes else "",
            "name": next((name.text for name in names if name), ""),
            "assembly": variant.assembly.text, "presence": variant.presence.code,
            "classification": classification,
            "classified_at": now if classification else None,
        })  # fmt: skip
    return rows


def flag(connection: Connection, report: Report, now: int) -> None:
    """Flag the published version of a report whose newer message is held."""
    standing = reports.find(connection, laboratory_key(report.laboratory), report.number.value)
    if standing is None or not standing.status or standing.patient_key is None:
        return
    reports.change(connection, standing.key, {"flagged": True})
    id_ = Identities(connection, standing.key).of_report("DiagnosticReport", "DiagnosticReport")
    content = reports.current(connection, "DiagnosticReport", id_)
    if content is None:
        return
    tags = content.setdefault("meta", {}).setdefault("tag", [])
    if FLAG not in tags:
        tags.append(FLAG)
        version = NewVersion("DiagnosticReport", id_, content, standing.patient_key,
                             report.record_class)  # fmt: skip
        save(connection, [version], now)


def update_patient(
    connection: Connection,
    update: PatientUpdate,
    part: Part,
    mapping: SenderMapping,
    issuers: Issuers,
    now: int,
) -> list[str]:
    """Apply demographics from a trusted feed; raises IdentityHold or InvalidContent to hold it."""
    if not mapping.sender.trusted_patients:
        raise InvalidContent("this sender does not keep the patient index", where="MSH-3")
    counted = trusted(update.patient.identifiers, issuers)
    given = replace(update.patient, identifiers=counted)
    clock = micros(update.clock) if update.clock else part.received_at
    found = {one.key: one for one in patients.find(connection, counted)}
    if len(found) > 1:
        raise IdentityHold(
            Hold.PATIENT_MISMATCH, "the identifiers belong to different patients", where="PID-3"
        )
    if not found:
        if not (given.birth_date and given.name.family):
            raise InvalidContent("a new patient needs a name and a birth date", where="PID")
        record_class = mapping.sender.record_class
        known = patients.create(connection, given, part.sender, clock, now, record_class)
    else:
        known = next(iter(found.values()))
        if clock < known.clock:
            return [f"Patient/{known.id}"]
        merged = _merged(known.demographics, given, update.cleared)
        known = patients.change(connection, known, merged, part.sender, clock, now)
    context = Context(received="", message_id="", chi_system=issuers.chi_system)
    content = people.patient(known.demographics, context)
    save(connection, [NewVersion("Patient", known.id, content, known.key)], now)
    return [f"Patient/{known.id}"]


def _merged(old: Patient, new: Patient, cleared: frozenset[str]) -> Patient:
    """Empty is no change; what was set to null goes (ingest 2.4)."""
    name = replace(
        old.name,
        **{
            field: value
            for field in ("family", "given", "prefix")
            if (value := getattr(new.name, field))
        },
    )
    changed = {
        field: getattr(new, field)
        for field in ("birth_date", "sex", "postcode", "deceased")
        if getattr(new, field) or field in cleared
    }
    identifiers: tuple[Identifier, ...] = new.identifiers
    return replace(old, name=name, identifiers=identifiers, **changed)
