"""Convert: one message to a FHIR transaction Bundle, with no database and no settings."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from gateway.config import CHI_SYSTEM
from gateway.errors import GatewayError, IdentityHold
from gateway.fhir import people
from gateway.fhir.bundle import stable_ids, to_json, transaction
from gateway.fhir.composed import Composed, Context
from gateway.fhir.conformance import check
from gateway.fhir.genomics import compose
from gateway.identify.match import Issuers, trusted
from gateway.parse.er7 import header_of, split
from gateway.pipeline.read import read
from gateway.report import Notice, Patient, Translation
from gateway.translate.mapping import Mappings, SenderMapping


@dataclass(frozen=True, slots=True)
class Converted:
    """One message: its Bundle (empty when refused), what was noticed, and the account."""

    bundle: bytes
    translation: Translation
    refused: tuple[Notice, ...] = ()


def convert(raw: bytes, mappings: Mappings, sender: str = "") -> list[Converted]:
    """Convert each message of a file; the sender is named, or known by MSH, or the standard one.

    Raises GatewayError only when the file as a whole cannot be read.
    """
    header = header_of(raw)
    found = mappings.senders.find(header.first(3), header.first(4))
    name = sender or (found.name if found else "")
    if name and name not in mappings.by_name:
        raise GatewayError("there is no such sender", where="--sender")
    mapping = mappings.by_name[name] if name else mappings.standard
    return [_one(part, mapping) for part in split(raw)]


def _one(raw: bytes, mapping: SenderMapping) -> Converted:
    translation = read(raw, mapping)
    if translation.holds:
        return Converted(b"", translation, translation.holds)
    ids = stable_ids(hashlib.sha256(raw).hexdigest())
    try:
        composed = _composed(raw, translation, mapping)
        for one in composed:
            check({"resourceType": one.type, "id": "new", **one.resource})
    except GatewayError as error:
        return Converted(b"", translation, (Notice(error.where, error.text, error.hold),))
    return Converted(to_json(transaction(composed, ids)), translation)


def _composed(raw: bytes, translation: Translation, mapping: SenderMapping) -> list[Composed]:
    digest = hashlib.sha256(raw).hexdigest()
    made: list[Composed] = []
    for report in translation.reports:
        context = Context(
            received=_instant(report.sent) or "1970-01-01T00:00:00+00:00",
            message_id=digest, sender=mapping.sender.name, inline=True,
        )  # fmt: skip
        ids = stable_ids(digest)
        made += compose(replace(report, patient=_resolved(report.patient)), ids, context)
    for update in translation.patients:
        context = Context(received="", message_id=digest)
        made.append(
            Composed("Patient", "Patient", people.patient(_resolved(update.patient), context))
        )
    return made


def _instant(text: str) -> str:
    return text if len(text) > 10 else ""


def _resolved(patient: Patient) -> Patient:
    """Give identifiers of trusted issuers their system; without any, they stay as sent."""
    try:
        return replace(patient, identifiers=trusted(patient.identifiers, Issuers(CHI_SYSTEM)))
    except IdentityHold:
        return patient
