"""A real OpenID provider on loopback, built with Authlib: Entra-like claims, and ways to lie."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import ClientMixin
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc9207 import IssuerParameter
from authlib.oidc.core import OpenIDCode
from flask import Flask, Response, jsonify, request
from joserfc import jwk, jwt
from werkzeug.serving import make_server

from tests.postgres import free_port

CLIENT, SECRET = "gateway-client", "an invented secret"
TENANT, OBJECT = "11111111-aaaa-4bbb-8ccc-222222222222", "33333333-dddd-4eee-8fff-444444444444"
_MISSING = object()


@dataclass
class Code:
    """An authorization code, as Authlib asks about it."""

    code: str
    redirect_uri: str
    nonce: str
    code_challenge: str
    code_challenge_method: str
    scope: str

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope


class Client(ClientMixin):
    def __init__(self, redirect_uri: str) -> None:
        self.redirect_uri = redirect_uri

    def get_client_id(self) -> str:
        return CLIENT

    def get_default_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_allowed_scope(self, scope: str) -> str:
        return scope

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri == self.redirect_uri

    def check_client_secret(self, client_secret: str) -> bool:
        return client_secret == SECRET

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == "client_secret_post"

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == "authorization_code"


def _key() -> jwk.RSAKey:
    return jwk.RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}, auto_kid=True)


@dataclass
class OpenIdProvider:
    """The provider; tests change `claims`, `forge`, `metadata`, `answer_issuer` to have it lie."""

    issuer: str
    redirect_uri: str
    key: jwk.RSAKey = field(default_factory=_key)
    published: list[jwk.RSAKey] = field(default_factory=list)
    claims: dict[str, Any] = field(default_factory=dict)
    forge: Callable[[OpenIdProvider, dict[str, Any]], str] | None = None
    answer_issuer: str = ""
    codes: dict[str, Code] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.published = [self.key]

    def without(self, *names: str) -> None:
        """Leave claims out of the ID token."""
        self.claims |= dict.fromkeys(names, _MISSING)

    def rotate(self, *, publish: bool = True) -> None:
        """Sign with a new key from now on."""
        self.key = _key()
        self.published = [*self.published, self.key] if publish else self.published

    def id_token(self, nonce: str, audience: str) -> str:
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": self.issuer, "aud": audience, "sub": "pairwise-for-this-application",
            "iat": now, "nbf": now, "exp": now + 3600, "nonce": nonce, "tid": TENANT,
            "oid": OBJECT, "name": "Dr Eilidh Example", "preferred_username": "e@nhs.example",
            "roles": ["Genomics.Clinician"], "amr": ["pwd", "mfa"],
        } | self.claims  # fmt: skip
        claims = {name: value for name, value in claims.items() if value is not _MISSING}
        if self.forge:
            return self.forge(self, claims)
        header = {"alg": "RS256", "kid": self.key.kid}
        return jwt.encode(header, claims, self.key)

    def application(self) -> Flask:
        app = Flask("provider")
        server = AuthorizationServer(
            app, query_client=lambda id_: Client(self.redirect_uri) if id_ == CLIENT else None,
            save_token=lambda token, request: None,
        )  # fmt: skip
        server.register_grant(_grant(self), [CodeChallenge(required=True), _Tokens(self)])
        server.register_extension(_Issuer(self))
        self._add_routes(app, server)
        return app

    def _add_routes(self, app: Flask, server: AuthorizationServer) -> None:
        @app.get("/v2.0/.well-known/openid-configuration")
        def configuration() -> Response:
            self.calls.append("configuration")
            return jsonify({
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                "end_session_endpoint": f"{self.issuer}/logout",
                "authorization_response_iss_parameter_supported": True,
            } | self.metadata)  # fmt: skip

        @app.get("/v2.0/keys")
        def keys() -> Response:
            self.calls.append("keys")
            return jsonify({"keys": [one.as_dict(private=False) for one in self.published]})

        @app.get("/v2.0/authorize")
        def authorize() -> Response:
            self.asked.append(request.url)
            grant = server.get_consent_grant(end_user="eilidh")
            answer: Response = server.create_authorization_response(
                grant_user="eilidh", grant=grant
            )
            return answer

        @app.post("/v2.0/token")
        def token() -> Response:
            answer: Response = server.create_token_response()
            return answer


class _Issuer(IssuerParameter):  # type: ignore[misc]
    def __init__(self, provider: OpenIdProvider) -> None:
        self.provider = provider

    def get_issuer(self) -> str:
        return self.provider.answer_issuer or self.provider.issuer


class _Tokens(OpenIDCode):  # type: ignore[misc]
    def __init__(self, provider: OpenIdProvider) -> None:
        super().__init__(require_nonce=True)
        self.provider = provider

    def exists_nonce(self, nonce: str, request: Any) -> bool:
        return any(code.nonce == nonce for code in self.provider.codes.values())

    def encode_id_token(self, token: Any, request: Any) -> str:
        nonce = request.authorization_code.nonce
        return self.provider.id_token(nonce, request.client.get_client_id())


def _grant(provider: OpenIdProvider) -> type[AuthorizationCodeGrant]:
    class Grant(AuthorizationCodeGrant):  # type: ignore[misc]
        TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_post",)

        def save_authorization_code(self, code: str, request: Any) -> None:
            data = request.payload.data
            provider.codes[code] = Code(
                code, data["redirect_uri"], data["nonce"], data["code_challenge"],
                data["code_challenge_method"], data["scope"],
            )  # fmt: skip

        def query_authorization_code(self, code: str, client: Any) -> Code | None:
            return provider.codes.get(code)

        def delete_authorization_code(self, authorization_code: Code) -> None:
            del provider.codes[authorization_code.code]

        def authenticate_user(self, authorization_code: Code) -> str:
            return "eilidh"

    return Grant


@contextmanager
def running(redirect_uri: str) -> Iterator[OpenIdProvider]:
    """Run a provider on loopback."""
    port = free_port()
    provider = OpenIdProvider(f"http://127.0.0.1:{port}/v2.0", redirect_uri)
    server = make_server("127.0.0.1", port, provider.application(), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def parameters(url: str) -> dict[str, str]:
    """Return the query of a URL."""
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
