"""Orders, merges and links: what a message asks for, beside what `gateway.report` says it found."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.report import Code, Identifier, Order, Patient, Result, Specimen


@dataclass(frozen=True, slots=True)
class Request:
    """One test asked for, changed or cancelled.

    `action` is ORC-1 in our words: new, modify, cancel, hold, release or status; `status` is the
    FHIR request-status it leads to. `clock` orders versions (ORC-9, else MSH-7), `sent` breaks
    its ties. `answers` are those to questions asked at ordering. `mother` is the next of kin that
    is named as such. `tested_subject` is fetus only where the message says so in words
    (safety.md 10).
    """

    order: Order
    patient: Patient
    action: str = "new"
    status: str = "active"
    priority: str = ""
    group: Identifier | None = None
    reasons: tuple[Code, ...] = ()
    specimens: tuple[Specimen, ...] = ()
    answers: tuple[Result, ...] = ()
    notes: tuple[str, ...] = ()
    clock: str = ""
    sent: str = ""
    mother: Patient | None = None
    tested_subject: str = "self"
    record_class: str = "nhs"


@dataclass(frozen=True, slots=True)
class Merge:
    """Two numbers of one person: `subsumed` (MRG-1) is `survivor` (PID-3) from now on.

    `renumbered` says that the sender changed a number and merged no records (A47).
    """

    survivor: Patient
    subsumed: Patient
    event: str
    clock: str = ""
    renumbered: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    """Two records of one person that stay two (A24), or are no longer taken for that (`ends`)."""

    one: Patient
    other: Patient
    ends: bool = False
