"""Who calls: what a token, a sign-in or a launch says about one caller."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Caller:
    """A client, alone or with a person.

    `scopes` are scope texts; `person` is a random id, empty for a client alone; `roles` are
    clinician, laboratory, operator, privacy, administrator; `boards` and `teams` are codes;
    `patient` is the FHIR id of the launch context; `purpose` is a v3 PurposeOfUse; `methods` say
    how the person signed in (amr).
    """

    client: str
    scopes: tuple[str, ...] = ()
    person: str = ""
    name: str = ""
    roles: tuple[str, ...] = ()
    boards: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()
    patient: str = ""
    purpose: str = "TREAT"
    methods: tuple[str, ...] = ()
