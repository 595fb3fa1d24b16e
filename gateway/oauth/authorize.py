"""The authorization endpoint: what an app asks for, judged; and the code that answers it.

Nothing is kept until the person has decided: between the pages the request travels sealed, for
ten minutes and for one person. Nobody is ever sent to an address that is not registered for the
app, letter by letter (RFC 9700 section 2.1); every answer names its issuer (RFC 9207).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any
from urllib.parse import urlencode

import orjson
from authlib.oauth2.rfc6749 import (
    AccessDeniedError,
    InvalidRequestError,
    InvalidScopeError,
    OAuth2Error,
    UnauthorizedClientError,
    UnsupportedResponseTypeError,
)

from gateway.access.scopes import OFFLINE, ONLINE
from gateway.errors import InvalidSetting
from gateway.oauth.grants import CODE_SECONDS
from gateway.oauth.issuer import MICROS, Issuer
from gateway.oauth.openid import practitioner
from gateway.oauth.scopes import PERSONAL, check_known, for_person
from gateway.store.authorizations import (
    Authorization,
    Launch,
    add_authorization,
    add_code,
    find_launch,
    use_launch,
)
from gateway.store.clients import Client, find_client, token_digest
from gateway.store.database import Connection
from gateway.store.people import Person
from gateway.store.resources import save

_SEALED = "authorize"
_PAGE_MICROS = 600 * MICROS
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}|")
_TEXT_MAX = 2000
_CODE_GRANT = "authorization_code"


@dataclass(frozen=True, slots=True)
class Ask:
    """A request that may be put before a person."""

    client_id: str
    redirect_uri: str
    scope: str
    state: str
    nonce: str
    code_challenge: str
    key_thumbprint: str
    launch: str
    context: dict[str, Any]
    made_at: int
    person: str = ""

    @property
    def needs_patient(self) -> bool:
        """Whether the person must still say which patient this is about."""
        wanted = "launch/patient" in self.scope.split()
        return (wanted or "patient/" in self.scope) and "patient" not in self.context


class InteractionRequiredError(OAuth2Error):  # type: ignore[misc] # Authlib has no type hints
    """The app wants an answer without a page, and there is always one (OpenID Connect 3.1.2.6)."""

    error = "interaction_required"


class UnfitError(Exception):
    """The request names no client or address that we know: it is answered here, not there."""


class RefusedError(Exception):
    """The request is refused, and the app is told: `location` is where the browser goes."""

    def __init__(self, location: str, client_id: str, detail: str) -> None:
        super().__init__(detail)
        self.location, self.client_id, self.detail = location, client_id, detail


@dataclass(frozen=True, slots=True)
class Decided:
    """Where the browser goes after a decision."""

    location: str
    patient: str = ""


class AuthorizeEndpoint:
    """Judges requests and gives codes."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer

    def judge(self, form: Mapping[str, Sequence[str]]) -> tuple[Client, Ask]:
        """Return who asks, and for what; raises UnfitError or RefusedError."""
        client, redirect_uri = self._client_and_redirect(form)
        try:
            return client, self._ask(form, client, redirect_uri)
        except OAuth2Error as error:
            state = form.get("state", ())
            echoed = state[0] if len(state) == 1 else ""
            raise self._refused(error, client.id, redirect_uri, echoed) from error

    def check_person(self, ask: Ask, person: Person) -> None:
        """Raise RefusedError where the launch is for somebody else than who signed in."""
        if ask.person not in ("", person.id):
            raise self.deny(ask)

    def seal(self, ask: Ask, person: str) -> str:
        """Write a request so that it can travel through this person's browser."""
        content = orjson.dumps(asdict(replace(ask, person=person)))
        return self._issuer.keyring.seal(content, _SEALED).decode()

    def unseal(self, sealed: str, person: str) -> tuple[Client, Ask]:
        """Return who asked for what; raises UnfitError unless it is this person's, and recent."""
        try:
            content = self._issuer.keyring.unseal(sealed.encode(), _SEALED)
        except InvalidSetting as error:
            raise UnfitError("The form was not made here.") from error
        ask = Ask(**orjson.loads(content))
        if ask.person != person or ask.made_at + _PAGE_MICROS < self._issuer.clock():
            raise UnfitError("The page is too old, or was another person's: start again.")
        with self._issuer.database.read() as connection:
            client = find_client(connection, ask.client_id)
        if client is None or ask.redirect_uri not in client.redirect_uris:
            raise UnfitError("The app is not known any more.")
        return client, ask

    def deny(self, ask: Ask) -> RefusedError:
        """Return the refusal of a person who said no."""
        return self._refused(AccessDeniedError(), ask.client_id, ask.redirect_uri, ask.state)

    def allow(
        self, ask: Ask, scope: str, person: Person, methods: tuple[str, ...], since: int
    ) -> Decided:
        """Keep what a person allowed and return where the code goes.

        `scope` is what is left of the request. Raises RefusedError when nothing is, or when the
        launch was used in the meantime.
        """
        made = self._authorization(ask, for_person(scope, ask.scope), person, methods, since)
        if not any(text.partition("/")[0] in (*PERSONAL, "openid") for text in made.scope.split()):
            raise self.deny(ask)
        code = secrets.token_urlsafe(32)
        with self._issuer.database.write() as connection:
            if ask.launch and not self._use_launch(connection, ask, person):
                error = InvalidRequestError("The launch was used before, or is too old.")
                raise self._refused(error, ask.client_id, ask.redirect_uri, ask.state)
            add_authorization(connection, made)
            expires_at = made.created_at + CODE_SECONDS * MICROS
            add_code(connection, token_digest(code), made.id, ask.redirect_uri,
                     ask.code_challenge, expires_at)  # fmt: skip
            if "fhirUser" in made.scope.split():
                save(connection, [practitioner(person)], made.created_at)
        return Decided(self._location(ask.redirect_uri, ask.state, code=code), made.patient)

    def _use_launch(self, connection: Connection, ask: Ask, person: Person) -> bool:
        now = self._issuer.clock()
        return use_launch(connection, ask.launch, ask.client_id, person.id, now)

    def _authorization(
        self, ask: Ask, scope: str, person: Person, methods: tuple[str, ...], since: int
    ) -> Authorization:
        settings, now = self._issuer.settings, self._issuer.clock()
        seconds = CODE_SECONDS + settings.person_token_seconds
        if ONLINE in scope.split():
            seconds = settings.online_hours * 3600
        if OFFLINE in scope.split():
            seconds = settings.offline_days * 86_400
        return Authorization(
            secrets.token_urlsafe(16), ask.client_id, person.id, scope, ask.context, ask.nonce,
            methods, since, ask.key_thumbprint, now, now + seconds * MICROS,
        )  # fmt: skip

    def _client_and_redirect(self, form: Mapping[str, Sequence[str]]) -> tuple[Client, str]:
        ids, redirects = form.get("client_id", ()), form.get("redirect_uri", ())
        if len(ids) != 1 or len(redirects) != 1:
            raise UnfitError("The app must name itself and its address, each once.")
        with self._issuer.database.read() as connection:
            client = find_client(connection, ids[0])
        if client is None:
            raise UnfitError("This app is not registered here.")
        if redirects[0] not in client.redirect_uris:
            raise UnfitError("This address is not registered for the app.")
        return client, redirects[0]

    def _ask(self, form: Mapping[str, Sequence[str]], client: Client, redirect_uri: str) -> Ask:
        if any(len(values) > 1 for values in form.values()):
            raise InvalidRequestError("A parameter stands twice in the request.")
        given = {name: values[0] for name, values in form.items()}
        if any(len(value) > _TEXT_MAX or "\0" in value for value in given.values()):
            raise InvalidRequestError("A parameter is too long, or not text.")
        self._check_kind(given, client)
        _check_challenge(given)
        self._check_audience(given)
        scope = self._scope(given.get("scope", ""), client)
        thumbprint = given.get("dpop_jkt", "")
        if not _THUMBPRINT.fullmatch(thumbprint):
            raise InvalidRequestError("dpop_jkt is not a thumbprint.")
        launch = self._launch(given.get("launch", ""), scope, client)
        return Ask(
            client.id, redirect_uri, scope, given.get("state", ""), given.get("nonce", ""),
            given["code_challenge"], thumbprint,
            token_digest(given["launch"]) if launch else "",
            launch.context if launch else {}, self._issuer.clock(),
            launch.person if launch else "",
        )  # fmt: skip

    def _check_kind(self, given: Mapping[str, str], client: Client) -> None:
        if "request" in given or "request_uri" in given:
            raise InvalidRequestError("Requests are not passed by reference or as an object.")
        if given.get("response_mode", "query") != "query":
            raise InvalidRequestError("The answer goes into the query only.")
        if not given.get("response_type"):
            raise InvalidRequestError("The parameter response_type is missing.")
        if given["response_type"] != "code":
            raise UnsupportedResponseTypeError("")
        if "none" in given.get("prompt", "").split():
            raise InteractionRequiredError
        if _CODE_GRANT not in client.grant_types:
            raise UnauthorizedClientError("This app is not for people.")

    def _check_audience(self, given: Mapping[str, str]) -> None:
        if given.get("aud", "").rstrip("/") != self._issuer.settings.fhir_base:
            raise InvalidRequestError("aud must be the address of the FHIR server.")

    def _scope(self, asked: str, client: Client) -> str:
        check_known(asked)
        scope = for_person(asked, client.scope)
        if not any(text.partition("/")[0] in (*PERSONAL, "openid") for text in scope.split()):
            raise InvalidScopeError
        return scope

    def _launch(self, handle: str, scope: str, client: Client) -> Launch | None:
        if "launch" not in scope.split():
            return None
        if not handle:
            raise InvalidRequestError("The parameter launch is missing.")
        with self._issuer.database.read() as connection:
            now = self._issuer.clock()
            found = find_launch(connection, token_digest(handle), client.id, now)
        if found is None:
            raise InvalidRequestError("The launch is unknown, used or too old.")
        return found

    def _refused(
        self, error: OAuth2Error, client_id: str, redirect_uri: str, state: str
    ) -> RefusedError:
        about = dict(error.get_body())
        about.pop("state", None)
        return RefusedError(
            self._location(redirect_uri, state, **about), client_id, str(about["error"])
        )

    def _location(self, redirect_uri: str, state: str, **given: str) -> str:
        parameters = [*given.items(), ("iss", self._issuer.url)]
        if state:
            parameters.insert(0, ("state", state))
        # Appended and never taken apart: the address stays as it was registered.
        return redirect_uri + ("&" if "?" in redirect_uri else "?") + urlencode(parameters)


def _check_challenge(given: Mapping[str, str]) -> None:
    if given.get("code_challenge_method") != "S256":
        raise InvalidRequestError("PKCE with code_challenge_method S256 is required.")
    if not _CHALLENGE.fullmatch(given.get("code_challenge", "")):
        raise InvalidRequestError("The code_challenge is missing or not of S256.")
