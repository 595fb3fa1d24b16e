"""What a provider's ID token says about a person: key, name, roles, methods; and who is refused.

Entra: people are `tid` and `oid`, never an address or UPN, which are given to others later; `sub`
differs between applications. Elsewhere people are `sub`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.config import Settings
from gateway.errors import GatewayError, InvalidSetting, SignInRefused
from gateway.store.database import Connection
from gateway.store.people import (
    Person,
    Role,
    check_role,
    create_person,
    map_roles,
    person_of,
    rename_person,
)

Mapped = Mapping[str, tuple[Role, ...]]
_NAME_MAX = 200
_SUBJECT_MAX = 255
_WRONG = "Your organisation's answer is not one that this gateway accepts."


@dataclass(frozen=True, slots=True)
class Identity:
    """Who signed in, by their issuer."""

    issuer: str
    subject: str
    name: str
    roles: tuple[Role, ...]
    methods: tuple[str, ...]


def mapped_roles(texts: Iterable[str]) -> Mapped:
    """Read `app-role=role/board/team`; raises InvalidSetting."""
    found: dict[str, tuple[Role, ...]] = {}
    for text in texts:
        theirs, _, ours = text.strip().rpartition("=")
        words = [word.strip() for word in ours.split("/")]
        role = Role(*words[:3])
        try:
            check_role(role)
        except GatewayError as error:
            raise InvalidSetting("knows no such role", where="sign_in_roles") from error
        if not theirs or len(words) > 3:
            raise InvalidSetting("must be app-role=role/board/team", where="sign_in_roles")
        found[theirs] = (*found.get(theirs, ()), role)
    return found


def identity_of(claims: Mapping[str, Any], settings: Settings, mapped: Mapped) -> Identity:
    """Read verified claims; raises SignInRefused for another tenant, guests, missing methods."""
    subject = _subject(claims, settings)
    methods = _methods(claims)
    wanted = settings.sign_in_require
    if wanted and not set(wanted) & {*methods, str(claims.get("acr", ""))}:
        raise SignInRefused(
            "methods", "Your organisation did not ask for a second factor. Sign in with one."
        )
    roles = claims.get(settings.sign_in_role_claim, ())
    theirs = [one for one in roles if isinstance(one, str)] if isinstance(roles, list) else []
    name = claims.get("name") or claims.get("preferred_username") or subject
    return Identity(
        issuer=str(claims["iss"]),
        subject=subject,
        name=str(name)[:_NAME_MAX].replace("\0", ""),
        roles=tuple(dict.fromkeys(role for one in theirs for role in mapped.get(one, ()))),
        methods=methods,
    )


def admit(connection: Connection, identity: Identity, now: int) -> Person:
    """Return the person, made at the first sign-in, with the name and roles of today.

    Raises SignInRefused for somebody who was deactivated here.
    """
    found = person_of(connection, identity.issuer, identity.subject) or create_person(
        connection, issuer=identity.issuer, subject=identity.subject, name=identity.name, now=now
    )
    if not found.active:
        raise SignInRefused(
            "deactivated", "This account is not in use here any more.", person=found.id
        )
    rename_person(connection, found.key, identity.name, now)
    map_roles(connection, found.key, identity.roles)
    return found


def _subject(claims: Mapping[str, Any], settings: Settings) -> str:
    if not settings.sign_in_tenant:
        return _text(claims, "sub")
    tenant = _text(claims, "tid")
    if tenant != settings.sign_in_tenant:
        raise SignInRefused("tenant", _WRONG)
    if _is_guest(claims, tenant) and not settings.sign_in_guests:
        raise SignInRefused("guest", "Guests of the organisation may not sign in here.")
    return f"{tenant}/{_text(claims, 'oid')}"


def _is_guest(claims: Mapping[str, Any], tenant: str) -> bool:
    """`acct` 1 is a guest; `idp` stands where another than the tenant vouched for the person."""
    home = str(claims.get("idp", tenant))
    return str(claims.get("acct", "0")) == "1" or tenant not in home.split("/")


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= _SUBJECT_MAX or "\0" in value:
        raise SignInRefused("wrong-token", _WRONG)
    return value


def _methods(claims: Mapping[str, Any]) -> tuple[str, ...]:
    given = claims.get("amr")
    words = [one for one in given if isinstance(one, str)] if isinstance(given, list) else []
    return tuple(word for word in words if word.isalnum() or word.replace("_", "").isalnum())
