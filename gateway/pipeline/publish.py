"""Publish one report inside the transaction of its part."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from gateway.access.policy import DEFAULT, Policy
from gateway.errors import Hold, IdentityHold
from gateway.fhir.bundle import to_json
from gateway.fhir.composed import Composed, Context
from gateway.fhir.document_reference import TYPE as DOCUMENT
from gateway.fhir.genomics import compose
from gateway.identify.numbers import Issuers
from gateway.identify.referral import subject_of_report
from gateway.identify.version import Edition, Stands, stands
from gateway.pipeline import documents
from gateway.pipeline.boards import label_of, relate_report
from gateway.pipeline.flags import laboratory_key
from gateway.pipeline.requests import answer_order, find_order, note_order
from gateway.pipeline.subject import find_subject
from gateway.report import FINDINGS, Report
from gateway.store import patients, reports, work
from gateway.store.database import Connection
from gateway.store.patients import Indexed
from gateway.store.reports import Identities, Standing
from gateway.store.resources import NewVersion, Saved, save
from gateway.store.work import Part
from gateway.translate.mapping import SenderMapping
from gateway.translate.times import micros

log = logging.getLogger(__name__)

WITHDRAWN = "entered-in-error"
ORDER = "ServiceRequest"
_WITHDRAWABLE = frozenset({"Observation", "Task", "Procedure"})


@dataclass(frozen=True, slots=True)
class Publisher:
    """Publishes the reports of one part; `reread` translates again what an earlier part said."""

    connection: Connection
    part: Part
    mapping: SenderMapping
    issuers: Issuers
    now: int
    check: Callable[[Iterable[Any]], None]
    reread: Callable[[int, str], Report]
    policy: Policy = DEFAULT

    def publish(self, report: Report) -> list[str]:
        """File a report and return references; raises IdentityHold or InvalidContent to hold it."""
        laboratory = laboratory_key(report.laboratory)
        report = documents.belonging(self.connection, report, laboratory)
        standing = reports.lock(self.connection, laboratory, report.number.value)
        known = self._subject(report, standing)
        if standing.quarantined and report.status != WITHDRAWN:
            raise IdentityHold(
                Hold.REPORT_PATIENT, "this report is in quarantine: whose it is was not decided",
                where=report.number.place,
            )  # fmt: skip
        return self.file(report, standing, known)

    def file(self, report: Report, standing: Standing, known: Indexed) -> list[str]:
        """File a report, whose row is locked, on the patient it is about."""
        laboratory = laboratory_key(report.laboratory)
        ids = Identities(self.connection, standing.key)
        report = replace(report, patient=known.demographics)
        made = self._compose(report, known, ids)
        edition = self._keep(report, standing, _digest(made))
        received = reports.editions(self.connection, standing.key)
        stood = stands(Edition(*one) for one in received)
        if stood is None:
            raise IdentityHold(Hold.REPORT_UNKNOWN, "no result has come yet that this one makes "
                               "final", where=report.number.place)  # fmt: skip
        beside = report.document is not None and not stood.source.document
        late = stood.source.key != edition and not report.promotes and not beside
        if late and report.snapshot is False:
            raise IdentityHold(Hold.REPORT_ORDER, "an earlier part of a report in parts came late",
                               where=report.number.place)  # fmt: skip
        if late:
            log.warning("a late version is kept and not published", extra={"part": self.part.key})
        if beside:
            kept = documents.beside(made)
            label = label_of(report, standing.confidentiality)
            new = [self._version(one, known, standing.key, label) for one in kept]
            save(self.connection, new, self.now)
        elif (stood.source.digest, stood.status) != (standing.content_digest, standing.status):
            self._stand(report, known, standing, ids, stood, made)
        if report.document:
            record_class = self.mapping.sender.record_class
            documents.settle(self.connection, ids, known.key, record_class, self.now)
        for name in _awaited_names(report):
            work.wake(self.connection, f"{laboratory}\n{name}", self.part.key, self.now)
        return [f"DiagnosticReport/{ids.of_report('DiagnosticReport', 'DiagnosticReport')}"]

    def _subject(self, report: Report, standing: Standing) -> Indexed:
        """Whose report it is; a withdrawal goes by the number of its report, not by its PID."""
        where = report.number.place
        try:
            known = self._patient(report)
        except IdentityHold:
            if report.status != WITHDRAWN or standing.patient_key is None:
                raise
            return patients.by_key(self.connection, standing.patient_key)
        if standing.patient_key not in (None, known.key):
            raise IdentityHold(
                Hold.REPORT_PATIENT, "this report number belongs to another patient", where=where,
                evidence=(("report number", "differ"),),
            )  # fmt: skip
        if report.status == WITHDRAWN and not standing.status:
            raise IdentityHold(
                Hold.REPORT_UNKNOWN, "the report that is withdrawn has not come yet", where=where
            )
        return known

    def _keep(self, report: Report, standing: Standing, digest: str) -> int:
        clock, sent = (
            micros(text) if text else self.part.received_at for text in (report.clock, report.sent)
        )
        status = report.status
        if before := self._before(standing):
            key, stood = before
            if key != stood.key:
                return key  # another version stands: what this one said then stays as it was
            if stood.final and status == "final":
                status = "final" if (stood.digest, stood.status) == (digest, "final") else "amended"
        return reports.add_edition(self.connection, standing.key, {
            "part_key": self.part.key, "status": status, "clock": clock, "sent_at": sent,
            "content_digest": digest, "promotes": report.promotes,
            "document": report.document is not None, "now": self.now,
        })  # fmt: skip

    def _before(self, standing: Standing) -> tuple[int, Edition] | None:
        """The version that this part brought when it was filed before, and the one that stands."""
        if not self.part.attempts:
            return None
        key = reports.edition_of(self.connection, standing.key, self.part.key)
        stood = stands(Edition(*one) for one in reports.editions(self.connection, standing.key))
        return (key, stood.source) if key is not None and stood else None

    def _stand(
        self,
        report: Report,
        known: Indexed,
        standing: Standing,
        ids: Identities,
        stood: Stands,
        made: tuple[Composed, ...],
    ) -> None:
        part = reports.part_of(self.connection, stood.source.key)
        if part != self.part.key:
            earlier = self.reread(part, report.number.value)
            report = replace(earlier, patient=known.demographics, number=report.number)
        if part != self.part.key or stood.status != report.status:
            report = as_standing(report, stood.status)
            made = self._compose(report, known, ids)
        self._write(report, known, standing, ids, made)
        reports.change(self.connection, standing.key, {
            "clock": stood.source.clock, "sent_at": stood.source.sent,
            "content_digest": stood.source.digest,
        })  # fmt: skip

    def _patient(self, report: Report) -> Indexed:
        return find_subject(
            self.connection, subject_of_report(report), self.part, self.mapping, self.issuers,
            self.now,
        )  # fmt: skip

    def _ordered(self, report: Report, known: Indexed, ids: Identities) -> str | None:
        """The order that the report answers; None where it makes one of its own."""
        sender = self.mapping.sender.name
        return find_order(self.connection, report.order, known.key, sender, ids)

    def _compose(self, report: Report, known: Indexed, ids: Identities) -> tuple[Composed, ...]:
        fresh = str(uuid4())
        ordered = self._ordered(report, known, ids)

        def reference(type: str, role: str) -> str:
            if type == "Patient":
                return f"Patient/{known.id}"
            if type == "Provenance":
                return f"Provenance/{fresh}"
            if type == ORDER and ordered:
                return ordered
            shared = type in ("Organization", "Practitioner", "PractitionerRole")
            return f"{type}/{ids.shared(type, role) if shared else ids.of_report(type, role)}"

        received = datetime.fromtimestamp(self.part.received_at / 1e6, UTC)
        context = Context(
            received=received.isoformat(timespec="milliseconds"),
            message_id=str(self.part.message_key), sender=self.mapping.sender.name,
            chi_system=self.issuers.chi_system, extends=self._extended(report, known),
            replaces=documents.replaced(self.connection, report, ids),
        )  # fmt: skip
        made = compose(report, reference, context)
        self.check({"resourceType": one.type, "id": "new", **one.resource} for one in made)
        return tuple(
            replace(
                one, resource={**one.resource, "id": reference(one.type, one.role).split("/")[1]}
            )
            for one in made
        )

    def _extended(self, report: Report, known: Indexed) -> str:
        """The reference of the earlier report of this patient that is analysed again, if any."""
        if report.extends is None:
            return ""
        laboratory = laboratory_key(report.laboratory)
        earlier = reports.find(self.connection, laboratory, report.extends.value)
        if earlier is None or not earlier.status or earlier.patient_key != known.key:
            return ""
        ids = Identities(self.connection, earlier.key)
        return f"DiagnosticReport/{ids.of_report('DiagnosticReport', 'DiagnosticReport')}"

    def _write(
        self,
        report: Report,
        known: Indexed,
        standing: Standing,
        ids: Identities,
        made: tuple[Composed, ...],
    ) -> None:
        dropped = self._dropped(report, ids, {one.role for one in made})
        if dropped and report.snapshot is False:
            made = _with_results(made, dropped)
        ordered = self._ordered(report, known, ids)
        # The order is its own: what the laboratory says about it does not replace it.
        own = [one for one in made if one.type != ORDER or not ordered]
        label = label_of(report, standing.confidentiality)
        versions = [self._version(one, known, standing.key, label) for one in own]
        versions += self._withdrawn(report, known, dropped)
        saved = save(self.connection, versions, self.now)
        if ordered:
            answer_order(self.connection, ordered, report.status, self.now)
        elif ORDER in ids.known:
            sender = self.mapping.sender.name
            note_order(self.connection, report.order, known.key, sender, ids.known[ORDER][1])
        relate_report(
            self.connection, self.policy, report, known.key, standing.key, ordered, self.now
        )
        reports.replace_occurrences(
            self.connection, standing.key,
            _occurrences(report, known, standing, made, saved, self.now),
        )  # fmt: skip
        reports.change(self.connection, standing.key, {
            "patient_key": known.key, "status": report.status, "flagged": False,
            "record_class": report.record_class, "tested_subject": report.tested_subject,
            **_milestones(report), "published_at": self.now, "confidentiality": label,
        })  # fmt: skip

    def _version(self, one: Composed, known: Indexed, key: int, label: str) -> NewVersion:
        content = dict(one.resource)
        id_ = content.pop("id")
        digest = None
        if one.attachment:
            digest = hashlib.sha256(one.attachment.content).hexdigest()
            size = len(one.attachment.content)
            reports.add_file(self.connection, digest, size, one.attachment.media_type, self.now)
        owner = None if one.shared and one.type != "Patient" else known.key
        record_class = "nhs" if one.shared else self.mapping.sender.record_class
        if one.shared:
            return NewVersion(one.type, id_, content, owner, record_class, digest)
        return NewVersion(
            one.type, id_, content, owner, record_class, digest, owner=key, confidentiality=label
        )

    def _dropped(self, report: Report, ids: Identities, roles: set[str]) -> dict[str, NewVersion]:
        """What the report said before and does not say now, by reference."""
        # Documents of a report stay with it, and go with it.
        types = _WITHDRAWABLE | ({DOCUMENT} if report.status == WITHDRAWN else set())
        found = {}
        for role, (type_, id_) in ids.known.items():
            if role in roles or type_ not in types:
                continue
            content = reports.current(self.connection, type_, id_)
            if content is not None and content.get("status") != WITHDRAWN:
                found[f"{type_}/{id_}"] = NewVersion(type_, id_, content, None, "")
        return found

    def _withdrawn(
        self, report: Report, known: Indexed, dropped: Mapping[str, NewVersion]
    ) -> list[NewVersion]:
        """Mark what a newer snapshot no longer says as entered in error (safety.md 3).

        In a report that comes in parts (a delta) findings stay; where the sender does not say
        which it is, a person decides. A withdrawal takes everything with it.
        """
        findings = any(one.type == "Observation" for one in dropped.values())
        if findings and report.snapshot is None and report.status != WITHDRAWN:
            raise IdentityHold(
                Hold.REPORT_FINDINGS, "findings of the earlier version are missing",
                where=report.number.place,
            )  # fmt: skip
        if report.snapshot is False and report.status != WITHDRAWN:
            return []
        versions = []
        for one in dropped.values():
            content = {**one.content, "status": WITHDRAWN}
            if one.type == DOCUMENT:
                content["docStatus"] = WITHDRAWN
            if one.type != "Observation":
                # These profiles fix the status, so a withdrawn one cannot claim them.
                content.get("meta", {}).pop("profile", None)
            versions.append(NewVersion(one.type, one.id, content, known.key, report.record_class))
        return versions


def as_standing(report: Report, status: str) -> Report:
    """Give a report the status under which it stands; a promoted one is final throughout."""
    if status == report.status or status != "final":
        return replace(report, status=status)
    findings: dict[str, Any] = {
        name: tuple(
            replace(one, status="final") if one.status == "preliminary" else one
            for one in getattr(report, name)
        )
        for name in FINDINGS
    }
    return replace(report, status=status, **findings)


def _with_results(
    made: tuple[Composed, ...], kept: Mapping[str, NewVersion]
) -> tuple[Composed, ...]:
    """Name in the report also the findings of its earlier parts."""
    more = [{"reference": name} for name, one in kept.items() if one.type == "Observation"]
    return tuple(
        replace(one, resource={**one.resource, "result": [*one.resource.get("result", ()), *more]})
        if one.type == "DiagnosticReport" and more
        else one
        for one in made
    )


def _awaited_names(report: Report) -> set[str]:
    """The numbers under which others may wait for this report: its own and its document's."""
    own = report.document.identifier if report.document else None
    return {report.number.value} | ({own.value} if own else set())


def _digest(made: tuple[Composed, ...]) -> str:
    """Digest what the report says; who, when it was issued and how it came are not part of it."""
    digest = hashlib.sha256()
    for one in sorted(made, key=lambda one: (one.type, one.role)):
        if one.type not in ("Patient", "Provenance"):
            said = {name: value for name, value in one.resource.items() if name != "issued"}
            digest.update(to_json(said))
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
