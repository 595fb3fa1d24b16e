"""An EHR prepares a launch: who and what it is about, in; a handle for the app, out.

SMART App Launch 2.2, "EHR launch". The handle is good once, for five minutes, for one app.
"""

from __future__ import annotations

import re
import secrets
from typing import Any
from urllib.parse import urlencode

import orjson

from gateway.access.scopes import LAUNCH_WRITE
from gateway.errors import InvalidRequest
from gateway.oauth.bearer import Bearer
from gateway.oauth.issuer import MICROS, Issuer, Reply, answer
from gateway.store.authorizations import Launch, add_launch
from gateway.store.clients import Client, find_client, token_digest
from gateway.store.search.extraction import is_id

_SECONDS = 300
_CONTEXT_MAX = 20
_TEXT_MAX = 500
_INTENT = re.compile(r"[A-Za-z0-9_.:/-]{1,100}")
_KNOWN = {"client_id", "person", "patient", "encounter", "intent", "need_patient_banner",
          "fhirContext"}  # fmt: skip
_ABOUT = {"reference", "canonical", "identifier", "type", "role"}


class LaunchEndpoint:
    """Takes what an EHR says and gives handles."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer

    def answer(self, bearer: Bearer, body: bytes) -> Reply:
        """Make a launch for an EHR; raises Forbidden without its scope, and InvalidRequest."""
        bearer.access.require_scope(LAUNCH_WRITE)
        given = _object(body)
        context = _context(given)
        with self._issuer.database.read() as connection:
            app = find_client(connection, str(given.get("client_id", "")))
        if app is None or not app.redirect_uris:
            raise InvalidRequest("there is no such app", where="client_id")
        person = given.get("person", "")
        if person and not (isinstance(person, str) and is_id(person)):
            raise InvalidRequest("not the id of a person", where="person")
        handle, expires_at = secrets.token_urlsafe(32), self._issuer.clock() + _SECONDS * MICROS
        with self._issuer.database.write() as connection:
            made = Launch(app.id, person, context, expires_at)
            add_launch(connection, token_digest(handle), made)
        return answer(
            {"launch": handle, "expires_in": _SECONDS, **self._where(app, handle)}, 201,
            client=bearer.caller.client, person=person, patient=context.get("patient", ""),
            detail=app.id,
        )  # fmt: skip

    def _where(self, app: Client, handle: str) -> dict[str, str]:
        if not app.launch_url:
            return {}
        query = urlencode({"iss": self._issuer.settings.fhir_base, "launch": handle})
        return {"url": app.launch_url + ("&" if "?" in app.launch_url else "?") + query}


def _object(body: bytes) -> dict[str, Any]:
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest("not JSON") from error
    if not isinstance(given, dict):
        raise InvalidRequest("not a JSON object")
    if unknown := sorted(given.keys() - _KNOWN):
        raise InvalidRequest("there is no such field", where=unknown[0][:40])
    return given


def _context(given: dict[str, Any]) -> dict[str, Any]:
    """Return the launch context, as it will stand in the token answer."""
    context = {name: given[name] for name in _KNOWN - {"client_id", "person"} if name in given}
    for name in ("patient", "encounter"):
        if name in context and not (isinstance(context[name], str) and is_id(context[name])):
            raise InvalidRequest("not the id of a resource", where=name)
    intent = context.get("intent", "open")
    if not isinstance(intent, str) or not _INTENT.fullmatch(intent):
        raise InvalidRequest("not a word", where="intent")
    if not isinstance(context.setdefault("need_patient_banner", True), bool):
        raise InvalidRequest("must be true or false", where="need_patient_banner")
    about = context.get("fhirContext", [])
    if not isinstance(about, list) or len(about) > _CONTEXT_MAX or not all(map(_fits, about)):
        raise InvalidRequest("must be objects that refer to something", where="fhirContext")
    return context


def _fits(one: Any) -> bool:
    """Say whether this is an object of fhirContext (2.2): no longer a string, as in 2.0."""
    if not isinstance(one, dict) or one.keys() - _ABOUT:
        return False
    texts = [one[name] for name in one.keys() - {"identifier"}]
    sound = all(isinstance(text, str) and 0 < len(text) <= _TEXT_MAX for text in texts)
    identifier = one.get("identifier", {})
    return sound and isinstance(identifier, dict) and bool(one.keys() - {"type", "role"})
