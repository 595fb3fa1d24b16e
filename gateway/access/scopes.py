"""SMART scopes: read, written, narrowed and compared by meaning.

Grammar: SMART App Launch 2.2, "Scopes for requesting FHIR Resources". v1 `.read`, `.write` and
`.*` mean `rs`, `cud` and `cruds`. v2 letters stand in the order `cruds`; a v2 scope may be
narrowed by `?category=` and `?code=`: `&` is AND, a comma is OR. Whatever else is written, an
unknown parameter or an escape included, is no scope and grants nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from gateway.access.access import NAMED_ONLY as NAMED_ONLY
from gateway.access.access import OLD_LETTERS, meant_by
from gateway.access.access import Access as Access
from gateway.access.access import Constraint as Constraint
from gateway.access.access import Right as Right
from gateway.access.access import Scope as Scope
from gateway.access.access import Shape as Shape

SEND_HL7 = "gateway/hl7.send"
"""Allows pushing HL7 messages over HTTP; it reads nothing."""

LAUNCH_WRITE = "gateway/launch.write"
"""Allows an EHR to prepare launches of apps; it reads nothing."""

REGISTER_CLIENT = "gateway/client.register"
"""Allows registering clients (RFC 7591), where the policy asks for a token."""

ETHNICITY = "gateway/ethnicity.read"
"""Shows the ethnic category of the patients that other scopes allow to read."""

OFFLINE, ONLINE = "offline_access", "online_access"
SESSION_SCOPES = frozenset({"openid", "fhirUser", "launch", "launch/patient", OFFLINE, ONLINE})
"""Scopes about the session of a person."""

GATEWAY_SCOPES = frozenset({SEND_HL7, LAUNCH_WRITE, REGISTER_CLIENT, ETHNICITY})
"""Scopes of a client for itself, about none of the resources."""

OTHER_SCOPES = SESSION_SCOPES | GATEWAY_SCOPES
"""Scopes that are not about resources."""

_LETTERS = "cruds"
_SCOPE = re.compile(
    r"(patient|user|system)/(\*|[A-Z][A-Za-z]+)\.(\*|read|write|(?=[cruds])c?r?u?d?s?)(?:\?(.+))?"
)
_CONSTRAINT = re.compile(r"(category|code)=([^&=]+)")
_TOKEN = re.compile(r"(?:[^\s|,&%\\]+\|)?[^\s|,&%\\]+")


def parse_scope(text: str) -> Scope | None:
    """Read one SMART resource scope; None for anything else, an unknown letter included."""
    found = _SCOPE.fullmatch(text)
    if not found:
        return None
    level, type_, letters, query = found.groups()
    old = letters in OLD_LETTERS
    if query is None:
        return Scope(level, type_, OLD_LETTERS.get(letters, letters), old)
    constraints = [_constraint(one) for one in query.split("&")]
    if old or None in constraints:
        return None
    return Scope(level, type_, letters, False, tuple(one for one in constraints if one))


def _constraint(text: str) -> Constraint | None:
    found = _CONSTRAINT.fullmatch(text)
    values = found[2].split(",") if found else []
    if not found or not all(_TOKEN.fullmatch(one) for one in values):
        return None
    return Constraint(found[1], tuple(values))


def access_for(client: str, scopes: Iterable[str]) -> Access:
    """Build the Access of a system client that may read all of record class nhs.

    What a caller really may is for `policy.access` to say; scopes of a person grant nothing here.
    """
    resources, others = parse_scopes(scopes)
    system = tuple(scope for scope in resources if scope.level == "system")
    return Access(client, system, others=others)


def parse_scopes(texts: Iterable[str]) -> tuple[tuple[Scope, ...], frozenset[str]]:
    """Part scopes into those about resources and the others; what is neither is left out."""
    given = tuple(texts)
    parsed = (parse_scope(text) for text in given)
    return tuple(scope for scope in parsed if scope), frozenset(given) & OTHER_SCOPES


def narrow(asked: str, allowance: str) -> str:
    """Return what is granted when `asked` is asked by one who may have `allowance`.

    By meaning, not by spelling: `system/*.rs` covers `system/Patient.r`, and asking for more
    than is allowed gives the part that is. Empty when nothing is left.
    """
    allowed, others = parse_scopes(allowance.split())
    granted: dict[str, None] = {}
    for text in asked.split():
        if text in others:
            granted[text] = None
        elif scope := parse_scope(text):
            granted.update(dict.fromkeys(part.text() for part in _parts(scope, allowed)))
    return " ".join(granted)


def covers(wider: str, narrower: str) -> bool:
    """Whether everything that `narrower` grants is granted by `wider` too (RFC 6749, 6)."""
    allowed, others = parse_scopes(wider.split())
    for text in narrower.split():
        scope = parse_scope(text)
        if scope is None:
            if text not in others:
                return False
        elif _letters(scope, allowed) != set(scope.letters):
            return False
    return True


def _letters(scope: Scope, allowed: Iterable[Scope]) -> set[str]:
    """Which letters of a scope others allow for all that it is about."""
    return {
        letter
        for one in allowed
        if one.level == scope.level and one.type in meant_by(scope.type)
        if all(_implied(it, scope.constraints) for it in one.constraints)
        for letter in one.letters
        if letter in scope.letters
    }


def _implied(wanted: Constraint, given: Iterable[Constraint]) -> bool:
    """Whether what meets all of `given` meets `wanted`."""
    return any(
        one.parameter == wanted.parameter
        and all(any(_wider(wide, value) for wide in wanted.values) for value in one.values)
        for one in given
    )


def _wider(wide: str, value: str) -> bool:
    # A code alone is that code of any system.
    return value == wide or ("|" not in wide and value.endswith(f"|{wide}"))


def _parts(asked: Scope, allowed: tuple[Scope, ...]) -> Iterator[Scope]:
    """Yield the parts of a scope that are allowed, wider ones first, none that is in another."""
    mine = [one for one in allowed if one.level == asked.level]
    types = {one.type for one in mine if asked.type in meant_by(one.type)}
    places = [asked.type, *sorted(types - {asked.type})]
    narrowings = dict.fromkeys(((), *(one.constraints for one in mine)))
    granted: list[Scope] = []
    for type_, constraints in ((one, two) for two in narrowings for one in places):
        part = replace(asked, type=type_, constraints=_both(asked.constraints, constraints))
        found = _letters(part, mine)
        if found and found != _letters(part, granted):
            letters = "".join(letter for letter in _LETTERS if letter in found)
            granted.append(replace(part, letters=letters, old=asked.old and not part.constraints))
            yield granted[-1]


def _both(one: tuple[Constraint, ...], other: tuple[Constraint, ...]) -> tuple[Constraint, ...]:
    """Return constraints that mean both, without those that follow from the others."""
    kept = tuple(it for it in one if not _implied(it, set(other) - set(one)))
    return kept + tuple(it for it in other if not _implied(it, kept))
