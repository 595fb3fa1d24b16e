"""Pages for people: which patient, what the app may see, yes or no.

GET and POST of /oauth/authorize come to the same: a POST is sent on as a GET, because a cookie
of ours does not come along when another site posts (SameSite). Every outcome is in the audit
journal before it leaves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from typing import Any
from urllib.parse import quote, urlencode

import orjson
from flask import Blueprint, Response, request
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import HTTPException

from gateway.access.access import Access
from gateway.config import Settings
from gateway.errors import Forbidden, GatewayError, Gone, NotFound, StoreUnavailable
from gateway.oauth.authorize import Ask, RefusedError, UnfitError
from gateway.oauth.bearer import caller_for
from gateway.oauth.issuer import Reply
from gateway.serve.oauth import words
from gateway.serve.oauth.endpoints import BODY_BYTES, record, slow_down
from gateway.serve.pages import allow_form_target, guard_pages, page
from gateway.serve.server import Server
from gateway.serve.session import SignedIn, check_csrf, signed_in
from gateway.store import resources
from gateway.store.audit import Event
from gateway.store.clients import Client
from gateway.store.search.query import parse_query
from gateway.store.search.run import search

_LOOK = ("user/Patient.rs",)
_MISSED = "There is no patient with this number whom you may see."


@dataclass(frozen=True, slots=True)
class Shown:
    """The patient as the page names them; `number` is the CHI, where there is one."""

    id: str
    name: str
    birth_date: str
    number: str


def consent_blueprint(server: Server) -> Blueprint:
    """Make the routes under /oauth/authorize."""
    blueprint = Blueprint("consent", __name__, template_folder="../templates")
    guard_pages(blueprint, server.settings)

    @blueprint.route("/oauth/authorize", methods=["GET", "POST"])
    def authorize() -> Response:
        return _outcome(server, lambda: _begin(server))

    @blueprint.post("/oauth/authorize/patient")
    def patient() -> Response:
        return _outcome(server, lambda: _choose(server))

    @blueprint.post("/oauth/authorize/decision")
    def decision() -> Response:
        return _outcome(server, lambda: _decide(server))

    return blueprint


def _begin(server: Server) -> Response:
    given: MultiDict[str, str] = MultiDict(request.args)
    given.update(request.form)
    client_id = given.get("client_id", "")[:64]
    if seconds := slow_down(server, client_id):
        return _error(server, 429, "Too many requests: wait a moment.", client_id, seconds)
    client, ask = server.oauth.authorize.judge(dict(given.lists()))
    query = urlencode(list(given.items(multi=True)))
    if request.method == "POST":
        return _go(f"{server.oauth.issuer.endpoint('authorize')}?{query}")
    session = signed_in(server)
    if session is None:
        return _go(f"/sign-in?next={quote(f'/oauth/authorize?{query}', safe='')}")
    server.oauth.authorize.check_person(ask, session.person)
    return _next_page(server, session, client, ask)


def _choose(server: Server) -> Response:
    session, client, ask = _resumed(server)
    number = request.form.get("identifier", "")
    found = _find_patient(server, _access(server, session, client), session, client, number)
    if found is None:
        return _patient_page(server, session, client, ask, _MISSED)
    context = {**ask.context, "patient": found.id, "need_patient_banner": True}
    return _next_page(server, session, client, replace(ask, context=context))


def _decide(server: Server) -> Response:
    session, client, ask = _resumed(server)
    if request.form.get("decision") != "allow":
        raise server.oauth.authorize.deny(ask)
    if ask.needs_patient:
        raise UnfitError("No patient was chosen.")
    scope = " ".join((words.kept(ask.scope), *request.form.getlist("scope")))
    decided = server.oauth.authorize.allow(
        ask, scope, session.person, session.methods, session.authenticated_at
    )
    reply = Reply(303, b"", (), client.id, session.person.id, decided.patient, "allowed")
    record(server, "authorize", reply)
    return _go(decided.location)


def _resumed(server: Server) -> tuple[SignedIn, Client, Ask]:
    session = signed_in(server)
    if session is None:
        raise UnfitError("You are not signed in any more: start again in the app.")
    check_csrf(session)
    client, ask = server.oauth.authorize.unseal(request.form.get("ask", ""), session.person.id)
    return session, client, ask


def _next_page(server: Server, session: SignedIn, client: Client, ask: Ask) -> Response:
    if ask.needs_patient:
        return _patient_page(server, session, client, ask)
    about = None
    if "patient" in ask.context:
        about = _read_patient(server, _access(server, session, client), ask)
    return _page(
        "consent", ask, client=client, patient=about, signed_in=session,
        ask=server.oauth.authorize.seal(ask, session.person.id),
        lines=words.lines(ask.scope, server.settings),
        minutes=server.settings.person_token_seconds // 60,
    )  # fmt: skip


def _patient_page(
    server: Server, session: SignedIn, client: Client, ask: Ask, problem: str = ""
) -> Response:
    sealed = server.oauth.authorize.seal(ask, session.person.id)
    return _page("patient", ask, client=client, signed_in=session, ask=sealed, problem=problem)


def _access(server: Server, session: SignedIn, client: Client) -> Access:
    caller = caller_for(session.person, client, _LOOK)
    return server.policy.access(replace(caller, methods=session.methods), server.clock())


def _read_patient(server: Server, access: Access, ask: Ask) -> Shown:
    try:
        with server.database.read() as connection:
            found = resources.read(connection, access, "Patient", ask.context["patient"])
    except (NotFound, Gone, Forbidden) as error:
        raise server.oauth.authorize.deny(ask) from error
    return _shown(found.body, server.settings)


def _find_patient(
    server: Server, access: Access, session: SignedIn, client: Client, number: str
) -> Shown | None:
    """Find by CHI whom this person may see; the look-up itself is audited as a search."""
    plain = "".join(number.split())
    pairs = [("identifier", f"{server.settings.chi_system}|{plain}")]
    found: tuple[resources.Stored, ...] = ()
    if plain.isdigit():
        query = parse_query("Patient", pairs, server.rules, strict=True)
        with server.database.read() as connection:
            found = search(connection, access, query).matches
    server.journal.record(
        Event(
            time=server.clock(), client=client.id, interaction="search-type", target="Patient",
            status=200, query=orjson.dumps(pairs).decode(),
            returned=tuple(f"Patient/{one.id}" for one in found), person=session.person.id,
        )
    )  # fmt: skip
    return _shown(found[0].body, server.settings) if len(found) == 1 else None


def _shown(body: str, settings: Settings) -> Shown:
    given = orjson.loads(body)
    name: dict[str, Any] = next(iter(given.get("name", ())), {})
    parts = [*name.get("given", ()), name.get("family", "")]
    text = name.get("text") or " ".join(part for part in parts if part)
    numbers = (
        one.get("value", "")
        for one in given.get("identifier", ())
        if one.get("system") == settings.chi_system
    )
    born = _plain_date(given.get("birthDate", ""))
    return Shown(given["id"], text or "no name known", born, next(numbers, ""))


def _plain_date(text: str) -> str:
    """Write a whole date so that nobody takes the month for the day; a part of one stays."""
    try:
        return date.fromisoformat(text).strftime("%d-%b-%Y")
    except ValueError:
        return text


def _outcome(server: Server, run: Callable[[], Response]) -> Response:
    """Answer; every refusal is a page here or, where the address is sure, goes to the app."""
    request.max_content_length = BODY_BYTES
    try:
        return run()
    except RefusedError as refused:
        record(server, "authorize", Reply(303, b"", (), refused.client_id, detail=refused.detail))
        return _go(refused.location)
    except UnfitError as error:
        client = request.values.get("client_id", "")[:64]
        return _error(server, 400, str(error), client)
    except StoreUnavailable:
        return _plain_error(503, "The gateway cannot take anything now: try again soon.")
    except GatewayError as error:
        return _error(server, error.status, "This form is not of your session.", "")
    except HTTPException as error:
        return _error(server, error.code or 400, "The request is too long, or broken.", "")


def _error(server: Server, status: int, text: str, client: str, wait: int = 0) -> Response:
    record(server, "authorize", Reply(status, b"", (), client, detail="refused"))
    response = _plain_error(status, text)
    if wait:
        response.headers["Retry-After"] = str(wait)
    return response


def _plain_error(status: int, text: str) -> Response:
    return page("oauth/refused.html", status, text=text)


def _page(name: str, goes_to: Ask, **values: Any) -> Response:
    allow_form_target(goes_to.redirect_uri)
    return page(f"oauth/{name}.html", **values)


def _go(location: str) -> Response:
    response = Response(status=303, headers={"Location": location})
    response.autocorrect_location_header = False
    return response
