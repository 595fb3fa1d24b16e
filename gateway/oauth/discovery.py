"""What clients may rely on: three documents about one server, and nothing that does not work."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gateway.access.access import NAMED_ONLY
from gateway.access.scopes import GATEWAY_SCOPES, SESSION_SCOPES
from gateway.oauth import dpop
from gateway.oauth.authenticate import METHODS
from gateway.oauth.clients import CODE_GRANTS, SYSTEM_GRANT
from gateway.oauth.issuer import Issuer
from gateway.oauth.keyring import SIGNING
from gateway.oauth.keys import ALGORITHMS

_CAPABILITIES = (
    "launch-ehr", "launch-standalone", "authorize-post", "client-public",
    "client-confidential-symmetric", "client-confidential-asymmetric", "sso-openid-connect",
    "context-banner", "context-ehr-patient", "context-ehr-encounter",
    "context-standalone-patient", "permission-offline", "permission-online",
    "permission-patient", "permission-user", "permission-v1", "permission-v2",
)  # fmt: skip


def oauth_metadata(issuer: Issuer, types: Iterable[str], *, registers: bool) -> dict[str, Any]:
    """Return the metadata of RFC 8414 (with RFC 9207 and RFC 9449)."""
    methods, algorithms = list(METHODS.values()), list(ALGORITHMS)
    levels = ("patient", "user", "system")
    named = [
        f"{level}/{type_}.rs" for level in levels for type_ in ("*", *sorted({*types, *NAMED_ONLY}))
    ]
    found: dict[str, Any] = {
        "issuer": issuer.url,
        "authorization_endpoint": issuer.endpoint("authorize"),
        "token_endpoint": issuer.endpoint("token"),
        "jwks_uri": issuer.endpoint("jwks"),
        "introspection_endpoint": issuer.endpoint("introspect"),
        "revocation_endpoint": issuer.endpoint("revoke"),
        "scopes_supported": [*sorted(SESSION_SCOPES), *named, *sorted(GATEWAY_SCOPES)],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": [*CODE_GRANTS, SYSTEM_GRANT],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": methods,
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
        "introspection_endpoint_auth_methods_supported": methods[:-1],
        "introspection_endpoint_auth_signing_alg_values_supported": algorithms,
        "revocation_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_signing_alg_values_supported": algorithms,
        "authorization_response_iss_parameter_supported": True,
        "dpop_signing_alg_values_supported": list(dpop.ALGORITHMS),
    }
    if registers:
        found["registration_endpoint"] = issuer.endpoint("register")
    return found


def openid_configuration(metadata: dict[str, Any], issuer: Issuer) -> dict[str, Any]:
    """Return the document of OpenID Connect Discovery."""
    return metadata | {
        "userinfo_endpoint": issuer.endpoint("userinfo"),
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [SIGNING],
        "claims_supported": ["iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "amr",
                             "fhirUser"],
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
    }  # fmt: skip


def smart_configuration(metadata: dict[str, Any]) -> dict[str, Any]:
    """Return the document of SMART App Launch 2.2, "Conformance"."""
    return metadata | {"capabilities": list(_CAPABILITIES)}
