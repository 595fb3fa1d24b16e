"""Clients: register one here, or be one elsewhere."""

from __future__ import annotations

import re
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import orjson

from gateway.access.scopes import OTHER_SCOPES, parse_scope
from gateway.errors import InvalidRequest, Unauthorized
from gateway.oauth.authenticate import ASSERTION_TYPE as ASSERTION_TYPE
from gateway.oauth.keys import check_keys, client_assertion
from gateway.store.clients import (
    ASYMMETRIC,
    PUBLIC,
    SYMMETRIC,
    Client,
    add_client,
    change_credentials,
    find_client,
    token_digest,
)
from gateway.store.database import Database
from gateway.wire.http import post_form

CODE_GRANTS = ("authorization_code", "refresh_token")
SYSTEM_GRANT = "client_credentials"
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_PRIVATE_SCHEME = re.compile(r"[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+")
_NAME_MAX = 200
_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Registration:
    """What is to be registered; `jwks` or `jwks_uri` makes a client asymmetric."""

    name: str
    scope: str
    kind: str = PUBLIC
    jwks: Mapping[str, Any] | None = None
    jwks_uri: str = ""
    redirect_uris: tuple[str, ...] = ()
    launch_url: str = ""
    boards: tuple[str, ...] = ()
    owner: str = ""
    dpop: bool = False
    registered_by: str = ""


def register_client(
    database: Database, asked: Registration, now: int, *, inside: bool = False
) -> tuple[Client, str]:
    """Add a client; return it and, for a symmetric one, its secret, which is shown only now.

    Raises InvalidRequest for scopes nobody knows, addresses that could be anybody's, and keys
    that cannot be used. `inside` (development) allows http.
    """
    check_registration(asked, inside=inside)
    secret = secrets.token_urlsafe(_SECRET_BYTES) if asked.kind == SYMMETRIC else ""
    client = Client(
        id=str(uuid.uuid4()),
        name=asked.name,
        scope=asked.scope,
        jwks=orjson.dumps(dict(asked.jwks)).decode() if asked.jwks else "",
        active=True,
        created_at=now,
        kind=asked.kind,
        jwks_uri=asked.jwks_uri,
        secret_digest=token_digest(secret) if secret else "",
        grant_types=_grant_types(asked),
        redirect_uris=asked.redirect_uris,
        launch_url=asked.launch_url,
        boards=asked.boards,
        owner=asked.owner,
        dpop=asked.dpop,
        registered_by=asked.registered_by,
    )
    with database.write() as connection:
        add_client(connection, client)
    return client, secret


def register(
    database: Database, name: str, scope: str, jwks: Mapping[str, Any], now: int
) -> Client:
    """Add a client that signs with its own key; raises InvalidRequest."""
    asked = Registration(name, scope, ASYMMETRIC, jwks)
    return register_client(database, asked, now)[0]


def rotate(
    database: Database, client_id: str, jwks: Mapping[str, Any] | None, jwks_uri: str = "",
    *, inside: bool = False,
) -> str:  # fmt: skip
    """Give a client new keys, or a new secret, which is returned; the old is no good from now on.

    Raises InvalidRequest when what is given does not fit the client.
    """
    with database.write() as connection:
        client = find_client(connection, client_id)
        if client is None:
            raise InvalidRequest("there is no such active client", where="client")
        if client.kind == PUBLIC:
            raise InvalidRequest("a public client has neither keys nor a secret", where="client")
        if client.kind == SYMMETRIC:
            secret = secrets.token_urlsafe(_SECRET_BYTES)
            change_credentials(connection, client_id, secret_digest=token_digest(secret))
            return secret
        asked = Registration(client.name, client.scope, ASYMMETRIC, jwks, jwks_uri)
        _check_credentials(asked, inside=inside)
        keys = orjson.dumps(dict(jwks)).decode() if jwks else ""
        change_credentials(connection, client_id, jwks=keys, jwks_uri=jwks_uri)
        return ""


def check_registration(asked: Registration, *, inside: bool = False) -> None:
    """Raise InvalidRequest, with the place, for what cannot be registered."""
    if not asked.name.strip() or len(asked.name) > _NAME_MAX or not asked.name.isprintable():
        raise InvalidRequest("a client needs a name of 200 characters at most", where="name")
    for text in asked.scope.split():
        if text not in OTHER_SCOPES and parse_scope(text) is None:
            raise InvalidRequest("not a scope", where=text)
    if not asked.scope.strip():
        raise InvalidRequest("a client needs a scope", where="scope")
    for uri in asked.redirect_uris:
        _check_redirect(uri)
    if asked.launch_url:
        _check_web(asked.launch_url, "launch_url", inside=inside)
    _check_credentials(asked, inside=inside)
    if not _grant_types(asked):
        text = "without a redirect URI a client needs keys and a system or gateway scope"
        raise InvalidRequest(text, where="redirect_uri")


def _grant_types(asked: Registration) -> tuple[str, ...]:
    grants = list(CODE_GRANTS) if asked.redirect_uris else []
    itself = any(text.startswith(("system/", "gateway/")) for text in asked.scope.split())
    if asked.kind == ASYMMETRIC and itself and not asked.registered_by:
        grants.append(SYSTEM_GRANT)
    return tuple(grants)


def _check_credentials(asked: Registration, *, inside: bool) -> None:
    given = [one for one in (asked.jwks, asked.jwks_uri) if one is not None and one != ""]
    if asked.kind == ASYMMETRIC:
        if len(given) != 1:
            raise InvalidRequest("needs either keys or the address of keys", where="jwks")
        if asked.jwks is not None:
            check_keys(asked.jwks)
        else:
            _check_web(asked.jwks_uri, "jwks_uri", inside=inside)
    elif asked.kind not in (PUBLIC, SYMMETRIC) or given:
        raise InvalidRequest("only an asymmetric client has keys", where="kind")


def _check_redirect(uri: str) -> None:
    """Refuse an address that could be anybody's (RFC 8252 section 7, RFC 9700 section 2.1)."""
    parts = _split(uri, "redirect_uri")
    web = parts.scheme == "https" and parts.hostname
    loopback = parts.scheme == "http" and parts.hostname in _LOOPBACK
    private = _PRIVATE_SCHEME.fullmatch(parts.scheme) and not parts.netloc
    if not (web or loopback or private):
        text = "must be https, http on loopback, or a private scheme such as scot.example.app:/back"
        raise InvalidRequest(text, where="redirect_uri")


def _check_web(uri: str, where: str, *, inside: bool) -> None:
    parts = _split(uri, where)
    if not parts.hostname or parts.scheme not in (("https", "http") if inside else ("https",)):
        raise InvalidRequest("must be an https address", where=where)


def _split(uri: str, where: str) -> Any:
    try:
        parts = urlsplit(uri)
        fine = uri.isascii() and uri.isprintable() and not set(uri) & set(' "<>\\^`{|}*#')
        fine = fine and parts.username is None and (parts.port or 1) > 0
    except ValueError:
        fine = False
    if not fine:
        raise InvalidRequest("not an absolute address without fragment", where=where)
    return parts


def fetch_token(
    token_url: str, private_jwk: Mapping[str, Any], client_id: str, scope: str, now: int
) -> dict[str, Any]:
    """Ask a token endpoint for an access token; `now` in seconds. Raises Unauthorized."""
    assertion = client_assertion(private_jwk, client_id, token_url, now, uuid.uuid4().hex)
    status, body = post_form(
        token_url,
        {
            "grant_type": SYSTEM_GRANT,
            "scope": scope,
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion,
        },
    )
    if status != 200:
        raise Unauthorized("the token endpoint refused the client")
    answer: dict[str, Any] = orjson.loads(body)
    return answer
