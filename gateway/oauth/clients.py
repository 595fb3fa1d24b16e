"""Clients: register one here, or be one elsewhere."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import orjson

from gateway.access.scopes import OTHER_SCOPES, parse_scope
from gateway.errors import InvalidRequest, Unauthorized
from gateway.oauth.keys import check_keys, client_assertion
from gateway.store.clients import Client, create_client
from gateway.store.database import Database
from gateway.wire.http import post_form

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def register(
    database: Database, name: str, scope: str, jwks: Mapping[str, Any], now: int
) -> Client:
    """Add a client with its public keys and the most it may ask for.

    Raises InvalidRequest for a scope nobody knows and for keys that cannot be used.
    """
    for text in scope.split():
        if text not in OTHER_SCOPES and parse_scope(text) is None:
            raise InvalidRequest("not a scope", where=text)
    if not scope.strip():
        raise InvalidRequest("a client needs a scope")
    check_keys(jwks)
    keys = orjson.dumps(dict(jwks)).decode()
    with database.write() as connection:
        return create_client(
            connection, client_id=str(uuid.uuid4()), name=name, scope=scope, jwks=keys, now=now
        )


def fetch_token(
    token_url: str, private_jwk: Mapping[str, Any], client_id: str, scope: str, now: int
) -> dict[str, Any]:
    """Ask a token endpoint for an access token; `now` in seconds. Raises Unauthorized."""
    assertion = client_assertion(private_jwk, client_id, token_url, now, uuid.uuid4().hex)
    status, body = post_form(
        token_url,
        {
            "grant_type": "client_credentials",
            "scope": scope,
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion,
        },
    )
    if status != 200:
        raise Unauthorized("the token endpoint refused the client")
    answer: dict[str, Any] = orjson.loads(body)
    return answer
