"""Who calls, and what the policy lets them see: a Caller in, an `Access` out."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.access.scopes import Access, access_for


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: a client, and the person it acts for, if any."""

    client: str
    scopes: tuple[str, ...]
    person: str = ""
    name: str = ""
    roles: tuple[str, ...] = ()
    boards: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()
    patient: str = ""
    purpose: str = "TREAT"
    methods: tuple[str, ...] = ()


def access(caller: Caller, *, now: int = 0) -> Access:
    """Return what a caller may see."""
    return access_for(caller.client, caller.scopes)
