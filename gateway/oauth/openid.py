"""Who the person is, for the app: ID token, userinfo, and the Practitioner they point to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gateway.access.caller import Caller
from gateway.errors import Forbidden
from gateway.oauth.issuer import MICROS, Issuer, Reply, answer
from gateway.store.authorizations import Authorization
from gateway.store.people import Person
from gateway.store.resources import NewVersion

_SECONDS = 300


def id_token(issuer: Issuer, about: Authorization) -> str:
    """Sign an ID token (OpenID Connect Core 2) with RS256."""
    claims: dict[str, Any] = {
        "iss": issuer.url,
        "aud": about.client_id,
        "exp": issuer.seconds + _SECONDS,
        "iat": issuer.seconds,
        "auth_time": about.authenticated_at // MICROS,
        **identity(issuer, about.person, about.scope.split()),
    }
    if about.nonce:
        claims["nonce"] = about.nonce
    if about.methods:
        claims["amr"] = list(about.methods)
    return issuer.keyring.sign(claims)


def identity(issuer: Issuer, person: str, scopes: Iterable[str]) -> dict[str, str]:
    """Return who a person is: `sub`, and `fhirUser` where that was granted."""
    claims = {"sub": person}
    if "fhirUser" in scopes:
        claims["fhirUser"] = f"{issuer.settings.fhir_base}/Practitioner/{person}"
    return claims


def userinfo(issuer: Issuer, caller: Caller) -> Reply:
    """Answer the userinfo endpoint (OpenID Connect Core 5.3); raises Forbidden without openid."""
    if "openid" not in caller.scopes:
        raise Forbidden("needs the scope openid")
    claims = identity(issuer, caller.person, caller.scopes)
    return answer(claims, client=caller.client, person=caller.person)


def practitioner(person: Person) -> NewVersion:
    """Return the Practitioner that fhirUser points to: an id of its own, and the name."""
    content = {
        "resourceType": "Practitioner",
        "active": True,
        "name": [{"text": person.name}],
    }
    return NewVersion("Practitioner", person.id, content, None)
