"""Dynamic registration (RFC 7591), where the policy allows it and never beyond its allowance."""

from __future__ import annotations

from typing import Any

import orjson
from authlib.oauth2.rfc6749 import OAuth2Error
from authlib.oauth2.rfc7591.errors import InvalidClientMetadataError, InvalidRedirectURIError

from gateway.access.scopes import REGISTER_CLIENT
from gateway.errors import Forbidden, InvalidRequest
from gateway.oauth.authenticate import METHODS
from gateway.oauth.bearer import Bearer
from gateway.oauth.clients import CODE_GRANTS, Registration, register_client
from gateway.oauth.issuer import MICROS, Issuer, Reply, answer, refusal
from gateway.oauth.scopes import for_person
from gateway.store.clients import Client

_KINDS = {method: kind for kind, method in METHODS.items()}
_OFF = "off"
OPEN = "open"


class RegisterEndpoint:
    """Registers apps for people; what speaks for itself, an administrator adds."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer

    @property
    def policy(self) -> str:
        """off, token or open."""
        return self._issuer.settings.registration

    @property
    def offered(self) -> bool:
        """Whether anybody may register at all."""
        return self.policy != _OFF

    def answer(self, bearer: Bearer | None, body: bytes) -> Reply:
        """Register an app; raises Forbidden without the scope that the policy asks for."""
        by = OPEN
        if self.policy != OPEN:
            if bearer is None:
                raise Forbidden("registration needs an initial access token")
            bearer.access.require_scope(REGISTER_CLIENT)
            by = bearer.caller.client
        try:
            asked = self._read(body, by)
            now, inside = self._issuer.clock(), self._issuer.settings.development
            made, secret = register_client(self._issuer.database, asked, now, inside=inside)
        except InvalidRequest as error:
            kind = InvalidClientMetadataError
            if error.where == "redirect_uri":
                kind = InvalidRedirectURIError
            return refusal(kind(), client=by)
        except OAuth2Error as error:
            return refusal(error, client=by)
        return answer(_metadata(made, secret), 201, client=by, detail=made.id)

    def _read(self, body: bytes, by: str) -> Registration:
        try:
            given = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise InvalidClientMetadataError from error
        if not isinstance(given, dict):
            raise InvalidClientMetadataError
        method = _text(given, "token_endpoint_auth_method", METHODS["symmetric"])
        grants, types = given.get("grant_types"), given.get("response_types")
        if method not in _KINDS or not _among(grants, CODE_GRANTS) or not _among(types, ("code",)):
            raise InvalidClientMetadataError
        allowance = self._issuer.settings.registration_scope
        jwks = given.get("jwks")
        if jwks is not None and not isinstance(jwks, dict):
            raise InvalidClientMetadataError
        return Registration(
            name=_text(given, "client_name", "unnamed app"),
            scope=for_person(_text(given, "scope", allowance), allowance),
            kind=_KINDS[method],
            jwks=jwks,
            jwks_uri=_text(given, "jwks_uri"),
            redirect_uris=_texts(given, "redirect_uris"),
            launch_url=_text(given, "initiate_login_uri"),
            owner=_text(given, "client_uri"),
            dpop=given.get("dpop_bound_access_tokens") is True,
            registered_by=by,
        )


def _metadata(client: Client, secret: str) -> dict[str, Any]:
    told: dict[str, Any] = {
        "client_id": client.id,
        "client_id_issued_at": client.created_at // MICROS,
        "client_name": client.name,
        "scope": client.scope,
        "grant_types": client.grant_types,
        "response_types": ["code"],
        "redirect_uris": client.redirect_uris,
        "token_endpoint_auth_method": METHODS[client.kind],
        "dpop_bound_access_tokens": client.dpop,
    }
    if client.jwks:
        told["jwks"] = orjson.loads(client.jwks)
    if client.jwks_uri:
        told["jwks_uri"] = client.jwks_uri
    if client.launch_url:
        told["initiate_login_uri"] = client.launch_url
    if secret:
        told |= {"client_secret": secret, "client_secret_expires_at": 0}
    return told


def _text(given: dict[str, Any], name: str, default: str = "") -> str:
    found = given.get(name, default)
    if not isinstance(found, str) or len(found) > 2000:
        raise InvalidClientMetadataError
    return found


def _texts(given: dict[str, Any], name: str) -> tuple[str, ...]:
    found = given.get(name, [])
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise InvalidRedirectURIError
    if not 0 < len(found) <= 20:
        raise InvalidRedirectURIError
    return tuple(found)


def _among(found: Any, allowed: tuple[str, ...]) -> bool:
    return found is None or (isinstance(found, list) and all(one in allowed for one in found))
