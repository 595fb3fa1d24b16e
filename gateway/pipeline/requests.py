"""File one order inside the transaction of its part, and say which order a result answers.

An order is known by who placed it and under which number. Its ServiceRequest is one resource
from the first message about it, order or result: `find_order` gives a result the one there is,
`note_order` remembers the one that a result had to make for itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from gateway.access.policy import DEFAULT, Policy
from gateway.errors import Hold, IdentityHold, InvalidContent
from gateway.fhir.composed import Composed, Context
from gateway.fhir.order import ROLE, compose_request, notes
from gateway.identify.numbers import Issuers
from gateway.identify.referral import subject_of
from gateway.pipeline.boards import relate_order
from gateway.pipeline.subject import find_subject
from gateway.report import Order
from gateway.request import Request
from gateway.store import orders, reports, work
from gateway.store.database import Connection
from gateway.store.orders import Placed
from gateway.store.patients import Indexed
from gateway.store.reports import Identities
from gateway.store.resources import NewVersion, save
from gateway.store.work import Part
from gateway.translate.mapping import SenderMapping
from gateway.translate.times import micros

_CHANGING = frozenset({"new", "modify"})
_ENDED = "revoked"
_ANSWERS = frozenset({"final", "amended", "corrected", "appended"})
_SHARED = ("Organization", "Practitioner", "PractitionerRole")


def find_order(
    connection: Connection, order: Order, patient_key: int, sender: str, ids: Identities
) -> str | None:
    """Return the reference of the ServiceRequest that a report answers, or None.

    None means that the report (whose identities are `ids`) makes and keeps its own. Raises
    IdentityHold when the order is another patient's.
    """
    placed = _find(connection, order, patient_key, sender)
    own = ids.known.get(ROLE, (ROLE, ""))[1]
    if placed is None or (placed.request_id == own and not placed.ordered):
        return None
    return f"{ROLE}/{placed.request_id}"


def note_order(
    connection: Connection, order: Order, patient_key: int, sender: str, request_id: str
) -> None:
    """Remember the ServiceRequest that a result made for an order nobody has sent yet."""
    if order.placer and _find(connection, order, patient_key, sender) is None:
        organisation, number = _organisation(order, sender), order.placer.value
        orders.place(connection, organisation, number, patient_key, request_id)


def answer_order(connection: Connection, reference: str, status: str, now: int) -> None:
    """Complete an order whose report is final, and open it again when that was withdrawn."""
    placed = orders.by_request(connection, reference.partition("/")[2])
    answered = status in _ANSWERS
    content = reports.current(connection, ROLE, placed.request_id)
    if content is None or not placed.ordered or answered == placed.answered:
        return
    orders.change(connection, placed.key, {"answered": answered})
    content["status"] = _shown(placed.status, answered)
    version = NewVersion(ROLE, placed.request_id, content, placed.patient_key, placed.record_class)
    save(connection, [version], now)


def order_key(order: Order, sender: str) -> str:
    """Name an order for what waits for it."""
    number = order.placer.value if order.placer else ""
    return f"order\n{_organisation(order, sender)}\n{number}"


@dataclass(frozen=True, slots=True)
class Registrar:
    """Files the orders of one part."""

    connection: Connection
    part: Part
    mapping: SenderMapping
    issuers: Issuers
    now: int
    check: Callable[[Any], None]
    policy: Policy = DEFAULT

    def file(self, request: Request) -> list[str]:
        """File an order and return its reference; raises IdentityHold to hold it.

        An older message than the one that stands changes nothing. A cancelled order stays so.
        """
        known = self._patient(request)
        placed = self._placed(request, known)
        target = [f"ServiceRequest/{placed.request_id}"]
        clock, sent = (
            micros(text) if text else self.part.received_at
            for text in (request.clock, request.sent)
        )
        if placed.ordered:
            if (clock, sent) < (placed.clock, placed.sent_at):
                return target
            if placed.status == _ENDED != request.status:
                raise IdentityHold(
                    Hold.REPORT_ORDER, "this order was cancelled before", where="ORC-1"
                )
        request = replace(request, patient=known.demographics)
        made = self._made(request, placed, known)
        self._write(made, placed, known)
        relate_order(self.connection, self.policy, request.order, known.key, -placed.key, self.now)
        orders.change(self.connection, placed.key, {
            "ordered": True, "status": request.status, "clock": clock, "sent_at": sent,
            "organisation": self._organisation(request, placed),
            "record_class": request.record_class,
        })  # fmt: skip
        awaited = order_key(request.order, self.mapping.sender.name)
        work.wake(self.connection, awaited, self.part.key, self.now)
        return target

    def _patient(self, request: Request) -> Indexed:
        return find_subject(
            self.connection, subject_of(request, self.issuers), self.part, self.mapping,
            self.issuers, self.now,
        )  # fmt: skip

    def _placed(self, request: Request, known: Indexed) -> Placed:
        if request.order.placer is None:
            raise InvalidContent("this order has no number", where="ORC-2")
        sender = self.mapping.sender.name
        placed = _find(self.connection, request.order, known.key, sender)
        if (placed is None or not placed.ordered) and not request.order.test:
            raise IdentityHold(Hold.REPORT_UNKNOWN, "no such order is known", where="ORC-2")
        return placed or orders.place(
            self.connection, _organisation(request.order, sender), request.order.placer.value,
            known.key, str(uuid4()),
        )  # fmt: skip

    def _organisation(self, request: Request, placed: Placed) -> str:
        """What is known of who ordered only gets better: a code replaces words."""
        organisation = _organisation(request.order, self.mapping.sender.name)
        return organisation if "|" in organisation else placed.organisation

    def _made(self, request: Request, placed: Placed, known: Indexed) -> tuple[Composed, ...]:
        made = self._compose(request, placed, known)
        shown: dict[str, Any] = {"status": _shown(request.status, placed.answered)}
        earlier = reports.current(self.connection, ROLE, placed.request_id)
        if earlier and placed.ordered and "authoredOn" in earlier:
            # When it was ordered does not change with what is ordered.
            shown["authoredOn"] = earlier["authoredOn"]
        if earlier is None or not placed.ordered or request.action in _CHANGING:
            return tuple(_with(one, shown) if one.role == ROLE else one for one in made)
        # A cancellation or change of status need not say again what was ordered.
        said = [one for one in notes(request) if one not in earlier.get("note", ())]
        if said:
            shown["note"] = [*earlier.get("note", ()), *said]
        (provenance,) = (one for one in made if one.type == "Provenance")
        content = {"resourceType": ROLE, **earlier, "id": placed.request_id}
        return _with(Composed(ROLE, ROLE, content), shown), provenance

    def _compose(self, request: Request, placed: Placed, known: Indexed) -> tuple[Composed, ...]:
        ids = Identities(self.connection, -placed.key)
        named = {"Patient": known.id, ROLE: placed.request_id, "Provenance": str(uuid4())}

        def reference(type: str, role: str) -> str:
            if type in named:
                return f"{type}/{named[type]}"
            shared = type in _SHARED
            return f"{type}/{ids.shared(type, role) if shared else ids.of_report(type, role)}"

        received = datetime.fromtimestamp(self.part.received_at / 1e6, UTC)
        context = Context(
            received=received.isoformat(timespec="milliseconds"),
            message_id=str(self.part.message_key), sender=self.mapping.sender.name,
            chi_system=self.issuers.chi_system,
        )  # fmt: skip
        made = compose_request(request, reference, context)
        for one in made:
            self.check({"resourceType": one.type, "id": "new", **one.resource})
        return tuple(
            replace(one, resource={**one.resource, "id": reference(one.type, one.role)[len(one.type)
                                                                                       + 1:]})
            for one in made
        )  # fmt: skip

    def _write(self, made: tuple[Composed, ...], placed: Placed, known: Indexed) -> None:
        """Save what is new, and a Provenance only where something is."""
        said = [self._version(one, known, placed) for one in made if one.type != "Provenance"]
        if any(one.type == "Patient" for one in made):
            said += self._dropped({one.role for one in made}, placed, known)
        if not any(one.changed for one in save(self.connection, said, self.now)):
            return
        # A change of status is about the order alone.
        written = {f"{one.type}/{one.id}" for one in said}
        (provenance,) = (one for one in made if one.type == "Provenance")
        targets = [one for one in provenance.resource["target"] if one["reference"] in written]
        why = self._version(_with(provenance, {"target": targets}), known, placed)
        save(self.connection, [why], self.now)

    def _version(self, one: Composed, known: Indexed, placed: Placed) -> NewVersion:
        content = dict(one.resource)
        id_ = content.pop("id")
        owner = None if one.type in _SHARED else known.key
        record_class = "nhs" if one.shared else self.mapping.sender.record_class
        order = 0 if one.shared else -placed.key
        return NewVersion(one.type, id_, content, owner, record_class, owner=order)

    def _dropped(self, roles: set[str], placed: Placed, known: Indexed) -> list[NewVersion]:
        """An answer that a changed order does not give any more was entered in error."""
        versions = []
        for role, (type_, id_) in Identities(self.connection, -placed.key).known.items():
            if type_ != "Observation" or role in roles:
                continue
            content = reports.current(self.connection, type_, id_)
            if content is not None and content["status"] != "entered-in-error":
                content["status"] = "entered-in-error"
                record_class = self.mapping.sender.record_class
                versions.append(NewVersion(type_, id_, content, known.key, record_class))
        return versions


def _with(one: Composed, elements: dict[str, Any]) -> Composed:
    return replace(one, resource={**one.resource, **elements})


def _find(connection: Connection, order: Order, patient_key: int, sender: str) -> Placed | None:
    if order.placer is None:
        return None
    organisation = _organisation(order, sender)
    return orders.find(connection, organisation, order.placer.value, patient_key)


def _organisation(order: Order, sender: str) -> str:
    """Name who placed an order: by code, else by words, else the sender."""
    team = order.requester
    if team and team.identifier:
        return f"{team.identifier.system}|{team.identifier.value}"
    return team.name if team and team.name else f"sender:{sender}"


def _shown(status: str, answered: bool) -> str:
    """An active order that has its result is completed."""
    return "completed" if answered and status == "active" else status
