"""Ask another index for patients that ours does not have, before any transaction is open.

A lookup that fails is not a "not found": `LookupUnavailable` lets the part wait. What is found is
what a trusted feed says: it updates the index, and the rules of matching then decide as ever.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from gateway.errors import GatewayError, IdentityHold, LookupUnavailable
from gateway.fhir.demographics import read_patient
from gateway.identify.lookup import Breaker, Remembered, answers
from gateway.identify.match import decide
from gateway.identify.numbers import HSC_NUMBER, NHS_NUMBER, Issuers, national, trusted
from gateway.parse.er7 import parse
from gateway.pipeline.subject import known_of
from gateway.report import Identifier, Patient, PatientUpdate, Translation
from gateway.store import identity, patients
from gateway.store.database import Connection, Database
from gateway.translate.mapping import SenderMapping
from gateway.translate.message import patient_of
from gateway.wire import pdq, pdqm

LOOKUP = "lookup"
_TRIES = 2
_PAUSE_SECONDS = 0.2
_AUTHORITIES = {NHS_NUMBER: "NHS", HSC_NUMBER: "HSC"}

Driver = Callable[[Identifier, Patient], list[Patient]]
"""Asks by one number (and, where it can use it, the person described); raises LookupUnavailable."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """Another index, with what keeps us from asking it too often."""

    driver: Driver
    issuers: Issuers
    clock: Callable[[], int]
    remembered: Remembered
    breaker: Breaker = field(default_factory=Breaker)

    def missing(self, database: Database, translation: Translation) -> tuple[PatientUpdate, ...]:
        """Ask for everybody that a translation is about and the index cannot decide on.

        Raises LookupUnavailable; returns nothing where nobody was found.
        """
        found: list[PatientUpdate] = []
        for asserted in _subjects(translation, self.issuers):
            with database.read() as connection:
                undecided = _undecided(connection, asserted)
            for one in filter(national, asserted.identifiers if undecided else ()):
                found += (PatientUpdate(who, LOOKUP) for who in self._ask(one, asserted))
        return tuple(dict.fromkeys(found))

    def _ask(self, one: Identifier, asserted: Patient) -> tuple[Patient, ...]:
        now = self.clock()
        if known := self.remembered.get(one, now):
            return known
        if not self.breaker.lets_through(now):
            raise LookupUnavailable("it failed too often and is left alone for a while")
        listed = self._try(one, asserted)
        found = answers(one, [who for given in listed if (who := self._counted(given))])
        self.remembered.put(one, found, self.clock())
        return found

    def _try(self, one: Identifier, asserted: Patient) -> list[Patient]:
        for attempt in range(_TRIES):
            if attempt:
                time.sleep(_PAUSE_SECONDS)
            try:
                listed = self.driver(one, asserted)
            except LookupUnavailable:
                self.breaker.failed(self.clock())
            else:
                self.breaker.succeeded()
                return listed
        raise LookupUnavailable

    def _counted(self, given: Patient) -> Patient | None:
        with suppress(IdentityHold):
            return replace(given, identifiers=trusted(given.identifiers, self.issuers))
        return None


def _subjects(translation: Translation, issuers: Issuers) -> Iterable[Patient]:
    described = [*(one.patient for one in translation.reports),
                 *(one.patient for one in translation.requests)]  # fmt: skip
    for patient in dict.fromkeys(described):
        with suppress(IdentityHold):
            yield replace(patient, identifiers=trusted(patient.identifiers, issuers))


def _undecided(connection: Connection, asserted: Patient) -> bool:
    """Whether the index has nobody, or not quite this person: it may be out of date."""
    keys = {patients.survivor(connection, key)
            for key in patients.owners(connection, asserted.identifiers)}  # fmt: skip
    try:
        decide(asserted, [known_of(one) for one in identity.persons(connection, keys)])
    except IdentityHold:
        return True
    return False


# -- drivers -------------------------------------------------------------------------------


def pdq_driver(
    url: str, seconds: float, mapping: SenderMapping, clock: Callable[[], int],
    tls: ssl.SSLContext | None = None,
) -> Driver:  # fmt: skip
    """Ask over MLLP (ITI-21); `mapping` says how a PID is read."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 2575

    def ask(one: Identifier, asserted: Patient) -> list[Patient]:
        control, at = uuid4().hex[:20], datetime.fromtimestamp(clock() / 1e6, UTC)
        sent = pdq.query(
            one.value, _AUTHORITIES.get(one.system, "CHI"), control, f"{at:%Y%m%d%H%M%S}"
        )
        return _read_response(pdq.exchange(host, port, sent, seconds, tls), control, mapping)

    return ask


def _read_response(raw: bytes, control: str, mapping: SenderMapping) -> list[Patient]:
    """Read RSP^K22: NF is an answer, all but OK and NF is none (ingest 2.6)."""
    try:
        message = parse(raw, mapping.sender.charset)
    except GatewayError as error:
        raise LookupUnavailable("the answer cannot be read") from error
    said = message.value("MSA-1"), message.value("MSA-2"), message.value("QAK-2")
    if said[0] not in ("AA", "CA") or said[1] != control or said[2] not in ("OK", "NF"):
        raise LookupUnavailable("the query was not answered")
    header = [one for one in message.segments if one.name == "MSH"]
    people = [one for one in message.segments if one.name == "PID"] if said[2] == "OK" else []
    return [patient_of(message.only((*header, one)), mapping) for one in people]


def pdqm_driver(
    base: str, seconds: float, trust: pdqm.Trust, token: Callable[[], str], *, matching: bool
) -> Driver:
    """Ask over FHIR: a search by identifier (ITI-78), or `$match` (ITI-119)."""

    def ask(one: Identifier, asserted: Patient) -> list[Patient]:
        given = token()
        if matching:
            bundle = pdqm.match(base, _parameters(one, asserted), given, trust, seconds)
        else:
            pairs = {"identifier": f"{one.system}|{one.value}"}
            bundle = pdqm.search(base, pairs, given, trust, seconds)
        return _read_bundle(bundle)

    return ask


def _parameters(one: Identifier, asserted: Patient) -> dict[str, Any]:
    described: dict[str, Any] = {
        "resourceType": "Patient",
        "identifier": [{"system": one.system, "value": one.value}],
        "name": [{"family": asserted.name.family, "given": list(asserted.name.given)}],
    }
    if asserted.birth_date:
        described["birthDate"] = asserted.birth_date
    listed = [{"name": "resource", "resource": described},
              {"name": "onlyCertainMatches", "valueBoolean": True}]  # fmt: skip
    return {"resourceType": "Parameters", "parameter": listed}


def _read_bundle(bundle: Any) -> list[Patient]:
    if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
        raise LookupUnavailable("the answer is no Bundle")
    entries = [one.get("resource") for one in bundle.get("entry", ()) if isinstance(one, dict)]
    try:
        return [
            read_patient(one) for one in entries
            if isinstance(one, dict) and one.get("resourceType") == "Patient"
            and one.get("active", True) is not False
        ]  # fmt: skip
    except GatewayError as error:
        raise LookupUnavailable("the answer cannot be read") from error
