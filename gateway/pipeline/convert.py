"""Convert: one message to a FHIR transaction Bundle, with no database and no settings."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

from gateway.config import CHI_SYSTEM
from gateway.errors import GatewayError, IdentityHold
from gateway.fhir import people
from gateway.fhir.bundle import stable_ids, to_json, transaction
from gateway.fhir.composed import SHARED, Composed, Context, Ids
from gateway.fhir.conformance import check_all
from gateway.fhir.genomics import compose
from gateway.fhir.merged import compose_merge, compose_patient
from gateway.fhir.order import compose_request
from gateway.identify.numbers import Issuers, trusted
from gateway.identify.referral import subject_of
from gateway.parse.er7 import header_of, split
from gateway.pipeline.read import read
from gateway.report import Notice, Patient, Translation
from gateway.request import Link, Request
from gateway.translate.mapping import Mappings, SenderMapping

_EPOCH = "1970-01-01T00:00:00+00:00"


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
    digest = hashlib.sha256(raw).hexdigest()
    ids = stable_ids(digest)
    try:
        composed = _composed(digest, ids, translation, mapping)
        check_all({"resourceType": one.type, "id": "new", **one.resource} for one in composed)
    except GatewayError as error:
        reason = error.reason if isinstance(error, IdentityHold) else error.hold
        return Converted(b"", translation, (Notice(error.where, error.text, reason),))
    return Converted(to_json(transaction(composed, ids)), translation)


def _composed(
    digest: str, ids: Ids, translation: Translation, mapping: SenderMapping
) -> list[Composed]:
    made: list[Composed] = []
    for number, report in enumerate(translation.reports):
        context = Context(
            received=_instant(report.sent) or _EPOCH,
            message_id=digest, sender=mapping.sender.name, inline=True,
        )  # fmt: skip
        known = replace(report, patient=_resolved(report.patient))
        for one in compose(known, _numbered(ids, number, SHARED), context):
            alike = one.shared or not number
            made.append(one if alike else replace(one, role=_role(number, one.role)))
    for update in translation.patients:
        context = Context(received="", message_id=digest)
        made.append(
            Composed("Patient", "Patient", people.patient(_resolved(update.patient), context))
        )
    for number, link in enumerate(translation.links):
        made += _link(digest, _numbered(ids, number, frozenset()), link)
    made += _merges(digest, ids, translation, mapping)
    made += _requests(digest, ids, translation, mapping)
    return made


def _link(digest: str, ids: Ids, link: Link) -> Iterator[Composed]:
    """Compose both patients of a link, each with a reference to the other."""
    roles = ("Patient", "Patient:other")
    for role, other, given in zip(roles, reversed(roles), (link.one, link.other), strict=True):
        see_also = () if link.ends else (ids("Patient", other),)
        known = replace(_resolved(given), see_also=see_also)
        yield Composed(role, "Patient", people.patient(known, Context("", digest)))


def _merges(
    digest: str, ids: Ids, translation: Translation, mapping: SenderMapping
) -> Iterator[Composed]:
    for number, merge in enumerate(translation.merges):
        context = Context(_instant(merge.clock) or _EPOCH, digest, mapping.sender.name)
        survivor, subsumed = _resolved(merge.survivor), _resolved(merge.subsumed)
        own = _numbered(ids, number, frozenset())
        if merge.renumbered:
            made = compose_patient(survivor, own, context)
        else:
            made = compose_merge(survivor, subsumed, own, context)
        yield from (replace(one, role=_role(number, one.role)) for one in made)


def _requests(
    digest: str, ids: Ids, translation: Translation, mapping: SenderMapping
) -> Iterator[Composed]:
    for number, request in enumerate(translation.requests):
        context = Context(_instant(request.sent) or _EPOCH, digest, mapping.sender.name)
        asked = replace(request, patient=_subject(request))
        for one in compose_request(asked, _numbered(ids, number, SHARED), context):
            yield one if one.shared else replace(one, role=_role(number, one.role))


def _numbered(ids: Ids, number: int, shared: frozenset[str]) -> Ids:
    """Tell what one message holds several of apart; `shared` types are the same for all."""

    def give(type: str, role: str) -> str:
        return ids(type, role if type in shared else _role(number, role))

    return give


def _role(number: int, role: str) -> str:
    return f"{number + 1}:{role}" if number else role


def _subject(request: Request) -> Patient:
    try:
        return subject_of(request, Issuers(CHI_SYSTEM))
    except IdentityHold:
        # A number that does not count is shown as sent; but a mother is never taken for her child.
        if request.mother is not None:
            raise
        return request.patient


def _instant(text: str) -> str:
    return text if len(text) > 10 else ""


def _resolved(patient: Patient) -> Patient:
    """Give identifiers of trusted issuers their system; without any, they stay as sent."""
    try:
        return replace(patient, identifiers=trusted(patient.identifiers, Issuers(CHI_SYSTEM)))
    except IdentityHold:
        return patient
