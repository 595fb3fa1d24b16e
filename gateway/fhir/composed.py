"""What goes into composing and what comes out of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Protocol

from gateway.config import CHI_SYSTEM
from gateway.fhir.terms import Json
from gateway.report import Attachment

SHARED = frozenset({"Patient", "Organization", "Practitioner", "PractitionerRole"})
"""Types that outlive one report: many reports point to one of them."""


class Ids(Protocol):
    """Gives the reference of a resource: `Observation/…` or `urn:uuid:…`."""

    def __call__(self, type: str, role: str) -> str:
        """Return the same reference each time for the same type and role."""


@dataclass(frozen=True, slots=True)
class Context:
    """What the report does not say about itself.

    `received` is the instant the message was taken; `message_id` its opaque identifier.
    `inline` puts documents into `presentedForm` where they would else be a Binary. `extends` is
    the reference of the earlier report that this one analyses again, and `replaces` that of the
    document that this one stands in for, where they are known.
    """

    received: str
    message_id: str
    sender: str = ""
    mapping_version: str = ""
    chi_system: str = CHI_SYSTEM
    inline: bool = False
    extends: str = ""
    replaces: str = ""


@dataclass(frozen=True, slots=True)
class Composed:
    """One resource without `id`; `role` names it by content, so that a later version finds it.

    Add elements at the top or in `meta`, but change nothing deeper: parts are shared between
    resources. A Binary carries its document in `attachment`, not in the resource.
    """

    role: str
    type: str
    resource: Json
    attachment: Attachment | None = None

    @property
    def shared(self) -> bool:
        """Whether the resource is not this report's own."""
        return self.type in SHARED


class Graph:
    """The resources of one report while they are put together.

    `subject` to `study` are what most of them point to; an empty one is not there.
    """

    def __init__(self, ids: Ids, context: Context) -> None:
        self.context = context
        self.made: list[Composed] = []
        self.subject = ""
        self.laboratory: Json = {}
        self.specimens: tuple[str, ...] = ()
        self.order = ""
        self.study = ""
        self._ids = ids
        self._roles: dict[str, str] = {}
        self._occurrences: Counter[str] = Counter()

    def reference(self, type_: str, role: str) -> str:
        """Return the reference of a resource, made or still to be made."""
        return self._ids(type_, role)

    def made_as(self, one: Composed) -> str:
        """Return the reference of a resource that was made."""
        return self._roles[one.role]

    def add(
        self, type_: str, role: str, content: Json, attachment: Attachment | None = None
    ) -> str:
        """Keep a resource and return its reference; the same role again adds nothing."""
        known = self._roles.get(role)
        if known is None:
            known = self._roles[role] = self._ids(type_, role)
            self.made.append(Composed(role, type_, content, attachment))
        return known

    def numbered(self, content: str) -> str:
        """Return the role of the next finding with this content: `content|1`, `content|2` …."""
        self._occurrences[content] += 1
        return f"{content}|{self._occurrences[content]}"

    def of_type(self, *types: str) -> list[str]:
        """Return the references of the resources made so far, in order."""
        return [self._roles[one.role] for one in self.made if one.type in types]
