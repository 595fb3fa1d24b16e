"""Signing in and out with a browser: a local account, or the provider of the organisation.

Every outcome is in the audit journal before the answer leaves, with a reason, never with what
was typed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
from flask import Blueprint, Response, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from gateway.errors import SignInRefused
from gateway.oauth.identity import admit
from gateway.oauth.upstream import Asked, Provider
from gateway.serve import session
from gateway.serve.pages import guard_pages, guard_unrouted, page
from gateway.serve.server import Server
from gateway.store.audit import Event
from gateway.store.people import LOCAL, Person, find_person
from gateway.store.sessions import find_step, save_step, take_step

_STEP_MICROS = 600_000_000
_LATE = "That took too long, or was begun in another window. Start again."
_PASSWORD, _CODE = ("pwd",), ("pwd", "otp", "mfa")


def web_blueprint(server: Server) -> Blueprint:
    """Make /sign-in, /sign-in/code, /sign-in/upstream, /sign-in/callback, /sign-out, /static."""
    here = Path(__file__).parent
    blueprint = Blueprint(
        "web", __name__, template_folder=here / "templates", static_folder=here / "static",
        static_url_path="/static",
    )  # fmt: skip
    _add_local(blueprint, server)
    _add_code(blueprint, server)
    if server.provider:
        _add_upstream(blueprint, server, server.provider)
    _add_sign_out(blueprint, server)
    guard_pages(blueprint, server.settings)
    guard_unrouted(blueprint, server.settings)
    return blueprint


def record(server: Server, interaction: str, person: str, status: int, detail: str = "") -> None:
    """Write to the audit journal what somebody did to sign in, or to an account."""
    event = Event(
        time=server.clock(), client="web", interaction=interaction, target="", status=status,
        person=person, address=session.address(server), detail=detail,
    )  # fmt: skip
    server.journal.record(event)


def _add_local(blueprint: Blueprint, server: Server) -> None:
    @blueprint.get("/sign-in")
    def sign_in() -> AnyResponse:
        target = session.local_target(request.args.get("next", ""))
        if session.signed_in(server):
            return redirect(target, 303)
        return _form(server, target)

    @blueprint.post("/sign-in")
    def sign_in_with_password() -> AnyResponse:
        session.check_visit_csrf(server)
        target = session.local_target(request.form.get("next", ""))
        try:
            return _with_password(server, target)
        except SignInRefused as error:
            _refuse(server, error)
            return _form(server, target, error)


def _with_password(server: Server, target: str) -> AnyResponse:
    if not server.settings.sign_in_local:
        raise SignInRefused("no-local-accounts")
    name, password = request.form.get("name", ""), request.form.get("password", "")
    proved = server.accounts.prove(name, password, session.address(server))
    if not proved.needs_code:
        return _welcome(server, proved.person, _PASSWORD, target)
    _keep_step(server, {"person": proved.person.id, "next": target})
    return redirect("/sign-in/code", 303)


def _add_code(blueprint: Blueprint, server: Server) -> None:
    @blueprint.get("/sign-in/code")
    def sign_in_code() -> AnyResponse:
        if _step(server, "person") is None:
            return redirect("/sign-in", 303)
        return page("sign_in_code.html", csrf=session.visit_csrf(server))

    @blueprint.post("/sign-in/code")
    def sign_in_with_code() -> AnyResponse:
        session.check_visit_csrf(server)
        try:
            return _with_code(server)
        except SignInRefused as error:
            _refuse(server, error)
            csrf = session.visit_csrf(server)
            return page("sign_in_code.html", error.status, csrf=csrf, problem=error.text)


def _with_code(server: Server) -> AnyResponse:
    step = _step(server, "person")
    with server.database.read() as connection:
        person = find_person(connection, step["person"]) if step else None
    if step is None or person is None or not person.active:
        raise SignInRefused("late", _LATE, person=person.id if person else "")
    code = request.form.get("code", "")
    server.accounts.prove_code(person, code, session.address(server))
    with server.database.write() as connection:
        take_step(connection, session.step_digest(server), server.clock())
    return _welcome(server, person, _CODE, step["next"])


def _add_upstream(blueprint: Blueprint, server: Server, provider: Provider) -> None:
    @blueprint.get("/sign-in/upstream")
    def sign_in_upstream() -> AnyResponse:
        target = session.local_target(request.args.get("next", ""))
        try:
            return _go_upstream(server, provider, target)
        except SignInRefused as error:
            _refuse(server, error)
            return _form(server, target, error)

    @blueprint.get("/sign-in/callback")
    def sign_in_callback() -> AnyResponse:
        try:
            return _come_back(server, provider)
        except SignInRefused as error:
            _refuse(server, error)
            return _form(server, session.local_target(""), error)


def _go_upstream(server: Server, provider: Provider, target: str) -> AnyResponse:
    url, asked = provider.begin()
    sent = {"state": asked.state, "nonce": asked.nonce, "verifier": asked.verifier}
    _keep_step(server, sent | {"next": target})
    return session.keep_visit(server, Response(status=303, headers={"Location": url}))


def _come_back(server: Server, provider: Provider) -> AnyResponse:
    with server.database.write() as connection:
        sealed = take_step(connection, session.step_digest(server), server.clock())
    step = _opened(server, sealed)
    if step is None or "state" not in step:
        raise SignInRefused("late", _LATE)
    asked = Asked(step["state"], step["nonce"], step["verifier"])
    identity = provider.finish(request.args, asked)
    with server.database.write() as connection:
        person = admit(connection, identity, server.clock())
    return _welcome(server, person, identity.methods, step["next"])


def _add_sign_out(blueprint: Blueprint, server: Server) -> None:
    @blueprint.post("/sign-out")
    def sign_out() -> AnyResponse:
        found = session.require_sign_in(server)
        session.check_csrf(found)
        record(server, "sign-out", found.person.id, 200)
        upstream = server.provider if found.person.issuer != LOCAL else None
        elsewhere = upstream.sign_out_url() if upstream else None
        response = session.end(server, page("signed_out.html", elsewhere=elsewhere))
        if elsewhere:
            response.headers["Refresh"] = f"0; url={elsewhere}"
        return response


def _form(server: Server, target: str, error: SignInRefused | None = None) -> Response:
    response = page(
        "sign_in.html", error.status if error else 200, csrf=session.visit_csrf(server),
        next=target, local=server.settings.sign_in_local, upstream=server.provider is not None,
        problem=error.text if error else "", name=request.form.get("name", "")[:100],
    )  # fmt: skip
    return session.keep_visit(server, response)


def _welcome(server: Server, person: Person, methods: tuple[str, ...], target: str) -> AnyResponse:
    response = Response(status=303, headers={"Location": target})
    response = session.begin(server, response, person, methods)
    record(server, "sign-in", person.id, 200, "+".join(methods))
    return response


def _refuse(server: Server, error: SignInRefused) -> None:
    record(server, "sign-in", error.person, error.status, error.reason)


def _keep_step(server: Server, content: dict[str, Any]) -> None:
    now = server.clock()
    sealed = server.keyring.seal(orjson.dumps(content))
    with server.database.write() as connection:
        save_step(connection, session.step_digest(server), sealed, now, now + _STEP_MICROS)


def _step(server: Server, kind: str) -> dict[str, Any] | None:
    with server.database.read() as connection:
        sealed = find_step(connection, session.step_digest(server), server.clock())
    found = _opened(server, sealed)
    return found if found and kind in found else None


def _opened(server: Server, sealed: bytes | None) -> dict[str, Any] | None:
    if sealed is None:
        return None
    found: dict[str, Any] = orjson.loads(server.keyring.unseal(sealed))
    return found
