"""Sign-in at an OpenID provider: the relying party (OpenID Connect Core 3.1, RFC 9700).

Code flow with PKCE, state and nonce; discovery and keys are fetched when first needed, kept for
an hour, and fetched again for a key id that is not known. No token leaves this module.
"""

from __future__ import annotations

import secrets
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hmac import compare_digest
from typing import Any
from urllib.parse import urlencode, urlsplit

import orjson
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from authlib.oidc.discovery import get_well_known_url
from joserfc import jwk, jws, jwt
from joserfc.errors import JoseError

from gateway.config import Settings
from gateway.errors import GatewayError, InvalidSetting, SignInRefused
from gateway.oauth.authenticate import ASSERTION_TYPE
from gateway.oauth.identity import Identity, Mapped, identity_of, mapped_roles
from gateway.wire.http import get, post_form

_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"]
_LEEWAY = 60
_MICROS = 1_000_000
_KEEP = 3600 * _MICROS
_AGAIN = 60 * _MICROS
_TEXT_MAX = 4000
_FAILED = "Signing in at your organisation did not work. Start again."


@dataclass(frozen=True, slots=True)
class Asked:
    """What one sign-in has sent away, kept for its return."""

    state: str
    nonce: str
    verifier: str


@dataclass(frozen=True, slots=True)
class _Kept:
    content: dict[str, Any]
    fetched_at: int


class Provider:
    """The provider of the settings; `clock` gives microseconds since 1970."""

    def __init__(self, settings: Settings, clock: Callable[[], int]) -> None:
        self._settings, self._clock = settings, clock
        self._roles: Mapped = mapped_roles(settings.sign_in_roles)
        self._secret = _secret(settings)
        self._redirect_uri = settings.base_url.rstrip("/") + "/sign-in/callback"
        self._lock = threading.Lock()
        self._metadata: _Kept | None = None
        self._keys: _Kept | None = None
        _check_url(settings.sign_in_issuer, "sign_in_issuer")

    @property
    def issuer(self) -> str:
        """The issuer that vouches for people who sign in here."""
        return self._settings.sign_in_issuer

    def begin(self) -> tuple[str, Asked]:
        """Return where to send the browser; raises SignInRefused when discovery fails."""
        asked = Asked(*(secrets.token_urlsafe(32) for _ in range(3)))
        url = prepare_grant_uri(
            self._endpoint("authorization_endpoint"), self._settings.sign_in_client_id, "code",
            redirect_uri=self._redirect_uri, scope="openid profile", state=asked.state,
            nonce=asked.nonce, code_challenge=create_s256_code_challenge(asked.verifier),
            code_challenge_method="S256", response_mode="query",
        )  # fmt: skip
        return str(url), asked

    def finish(self, answer: Mapping[str, str], asked: Asked) -> Identity:
        """Redeem what the browser brought back; raises SignInRefused with a reason."""
        if not compare_digest(answer.get("state", "").encode(), asked.state.encode()):
            raise SignInRefused("wrong-state", _FAILED)
        self._check_issuer(answer)
        if "error" in answer or not answer.get("code"):
            raise SignInRefused("refused-upstream", _FAILED)
        if len(answer["code"]) > _TEXT_MAX:
            raise SignInRefused("wrong-code", _FAILED)
        claims = self._claims(self._redeem(answer["code"], asked.verifier), asked.nonce)
        return identity_of(claims, self._settings, self._roles)

    def sign_out_url(self) -> str | None:
        """Return where a browser ends its session at the provider (RP-Initiated Logout 1.0).

        With `client_id` and without `id_token_hint`: no token stands in a URL.
        """
        try:
            endpoint = self._endpoint("end_session_endpoint")
        except SignInRefused:
            return None
        back = self._settings.base_url.rstrip("/") + "/sign-in"
        values = {
            "client_id": self._settings.sign_in_client_id,
            "post_logout_redirect_uri": back,
        }
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(values)}"

    def _check_issuer(self, answer: Mapping[str, str]) -> None:
        """Refuse the answer of another provider (RFC 9207: mix-up)."""
        promised = self._described().get("authorization_response_iss_parameter_supported") is True
        if answer.get("iss", "" if promised else self.issuer) != self.issuer:
            raise SignInRefused("wrong-issuer", _FAILED)

    def _redeem(self, code: str, verifier: str) -> str:
        endpoint = self._endpoint("token_endpoint")
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "code_verifier": verifier,
            "client_id": self._settings.sign_in_client_id,
        }
        status, body = _fetched(lambda: post_form(endpoint, form | self._proof(endpoint)))
        token = _object(body).get("id_token") if status == 200 else None
        if not isinstance(token, str):
            raise SignInRefused("code-refused", _FAILED)
        return token

    def _proof(self, endpoint: str) -> dict[str, str]:
        """Return how the gateway proves who it is: its secret, or an assertion it signs."""
        if isinstance(self._secret, str):
            return {"client_secret": self._secret} if self._secret else {}
        now, client = self._clock() // _MICROS, self._settings.sign_in_client_id
        claims = {
            "iss": client, "sub": client, "aud": endpoint, "iat": now, "nbf": now,
            "exp": now + 300, "jti": str(uuid.uuid4()),
        }  # fmt: skip
        algorithm = str(self._secret.get("alg") or "RS256")
        header = {"alg": algorithm, "typ": "JWT", "kid": self._secret.kid}
        assertion = jwt.encode(header, claims, self._secret, algorithms=_ALGORITHMS)
        return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}

    def _claims(self, token: str, nonce: str) -> Mapping[str, Any]:
        """Return the claims of an ID token that is signed, for us, fresh and for this sign-in."""
        settings = self._settings
        try:
            kid = jws.extract_compact(token.encode()).headers().get("kid")
            decoded = jwt.decode(token, self._key(kid), algorithms=_ALGORITHMS)
            claims = CodeIDToken(
                decoded.claims, decoded.header,
                options={
                    "iss": {"essential": True, "value": self.issuer},
                    "aud": {"essential": True, "value": settings.sign_in_client_id},
                },
                params={"nonce": nonce, "client_id": settings.sign_in_client_id},
            )  # fmt: skip
            claims.validate(now=self._clock() // _MICROS, leeway=_LEEWAY)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise SignInRefused("wrong-token", _FAILED) from error
        result: Mapping[str, Any] = claims
        return result

    def _key(self, kid: Any) -> jwk.Key:
        """Return a signing key; one that is not known is looked for again, once a minute."""
        for since in (self._clock() - _KEEP, self._clock() - _AGAIN):
            found = [
                one for one in self._published(since)
                if one.get("use", "sig") == "sig" and one.get("kty") in ("RSA", "EC")
                and (kid is None or one.get("kid") == kid)
            ]  # fmt: skip
            if len(found) == 1:
                return jwk.import_key(found[0])
        raise SignInRefused("unknown-key", _FAILED)

    def _published(self, since: int) -> list[dict[str, Any]]:
        endpoint = self._endpoint("jwks_uri")
        with self._lock:
            if self._keys is None or self._keys.fetched_at < since:
                self._keys = _Kept(_document(endpoint), self._clock())
            keys = self._keys.content.get("keys")
        return [one for one in keys if isinstance(one, dict)] if isinstance(keys, list) else []

    def _described(self) -> dict[str, Any]:
        with self._lock:
            if self._metadata is None or self._metadata.fetched_at < self._clock() - _KEEP:
                found = _document(get_well_known_url(self.issuer, external=True))
                if found.get("issuer") != self.issuer:
                    raise SignInRefused("wrong-issuer", _FAILED)
                self._metadata = _Kept(found, self._clock())
            return self._metadata.content

    def _endpoint(self, name: str) -> str:
        url = self._described().get(name)
        try:
            return _check_url(url if isinstance(url, str) else "", name)
        except InvalidSetting as error:
            raise SignInRefused("no-endpoint", _FAILED) from error


def _secret(settings: Settings) -> str | jwk.Key:
    """Read the client secret, or the private key where the file holds a JWK."""
    if settings.sign_in_client_secret_file is None:
        return ""
    try:
        text = settings.sign_in_client_secret_file.read_text(encoding="utf-8").strip()
        if not text.startswith("{"):
            return text
        key = jwk.import_key(orjson.loads(text))
    except (OSError, ValueError, KeyError, JoseError) as error:
        raise InvalidSetting("cannot be read", where="sign_in_client_secret_file") from error
    if not key.is_private:
        raise InvalidSetting("is no private key", where="sign_in_client_secret_file")
    return key


def _check_url(url: str, where: str) -> str:
    """Return an https URL, or an http one of this machine; raises InvalidSetting."""
    parts = urlsplit(url)
    local = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1", "localhost")
    if not parts.hostname or parts.fragment or not (parts.scheme == "https" or local):
        raise InvalidSetting("must be an https URL", where=where)
    return url


def _fetched(fetch: Callable[[], tuple[int, bytes]]) -> tuple[int, bytes]:
    try:
        return fetch()
    except GatewayError as error:
        raise SignInRefused("unreachable", _FAILED) from error


def _document(url: str) -> dict[str, Any]:
    status, body = _fetched(lambda: get(url))
    if status != 200:
        raise SignInRefused("unreachable", _FAILED)
    return _object(body)


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise SignInRefused("unreadable", _FAILED) from error
    if not isinstance(found, dict):
        raise SignInRefused("unreadable", _FAILED)
    return found
