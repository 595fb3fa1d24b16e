"""A person's own account: who the gateway knows, the password, the authenticator."""

from __future__ import annotations

import io

import segno
from flask import Blueprint, Response, request
from markupsafe import Markup
from werkzeug.wrappers import Response as AnyResponse

from gateway.errors import GatewayError, InvalidRequest, NotFound, SignInRefused
from gateway.oauth import totp
from gateway.oauth.passwords import LENGTH_MIN
from gateway.serve import session
from gateway.serve.pages import guard_pages, page
from gateway.serve.server import Server
from gateway.serve.session import SignedIn
from gateway.serve.sign_in import record
from gateway.store.people import LOCAL
from gateway.store.sessions import find_step, save_step, take_step

_PAIRING_MICROS = 900_000_000
_ISSUER = "Genomics gateway"


def account_blueprint(server: Server) -> Blueprint:
    """Make /account and what hangs below it; all of it for people who are signed in."""
    blueprint = Blueprint("account", __name__)
    _add_account(blueprint, server)
    _add_authenticator(blueprint, server)
    guard_pages(blueprint, server.settings)
    return blueprint


def _add_account(blueprint: Blueprint, server: Server) -> None:
    @blueprint.get("/account")
    def account() -> AnyResponse:
        return _account(server, session.require_sign_in(server), done=request.args.get("done", ""))

    @blueprint.post("/account/password")
    def change_password() -> AnyResponse:
        found = _checked(server)
        try:
            _change_password(server, found)
        except (InvalidRequest, SignInRefused) as error:
            return _account(server, found, error)
        record(server, "operation:password", found.person.id, 200)
        return session.begin_alone(server, _to("/account?done=password"), found)


def _change_password(server: Server, found: SignedIn) -> None:
    new = request.form.get("new", "")
    if new != request.form.get("again", ""):
        raise InvalidRequest("The two new passwords are not the same.")
    _prove(server, found, "operation:password")
    with server.database.write() as connection:
        server.accounts.set_password(connection, found.person, new)


def _add_authenticator(blueprint: Blueprint, server: Server) -> None:
    @blueprint.get("/account/authenticator")
    def authenticator() -> AnyResponse:
        found = _local(session.require_sign_in(server))
        return _pairing(server, found)

    @blueprint.post("/account/authenticator")
    def set_authenticator() -> AnyResponse:
        found = _checked(server)
        try:
            _set_authenticator(server, found)
        except SignInRefused as error:
            return _pairing(server, found, error)
        record(server, "operation:authenticator", found.person.id, 200)
        return session.begin_alone(server, _to("/account?done=authenticator"), found)

    @blueprint.post("/account/authenticator/remove")
    def remove_authenticator() -> AnyResponse:
        found = _checked(server)
        try:
            _prove(server, found, "operation:authenticator-removed")
        except SignInRefused as error:
            return _account(server, found, error)
        with server.database.write() as connection:
            server.accounts.drop_authenticator(connection, found.person)
        record(server, "operation:authenticator-removed", found.person.id, 200)
        return session.begin_alone(server, _to("/account?done=removed"), found)


def _set_authenticator(server: Server, found: SignedIn) -> None:
    _prove(server, found, "operation:authenticator")
    secret = _secret(server)
    if secret is None:
        raise SignInRefused("late", "That took too long. Scan the new code below.")
    with server.database.write() as connection:
        code = request.form.get("code", "")
        server.accounts.set_authenticator(connection, found.person, secret, code)
        take_step(connection, session.pairing_digest(server), server.clock())


def _account(
    server: Server, found: SignedIn, error: GatewayError | None = None, done: str = ""
) -> Response:
    local = found.person.issuer == LOCAL
    return page(
        "account.html", error.status if error else 200, signed_in=found, local=local,
        authenticator=local and server.accounts.has_authenticator(found.person), done=done,
        problem=_sentence(error) if error else "", length=LENGTH_MIN,
    )  # fmt: skip


def _sentence(error: GatewayError) -> str:
    return f"The new password {error.text}." if error.where == "password" else error.text


def _pairing(server: Server, found: SignedIn, error: SignInRefused | None = None) -> Response:
    secret = _secret(server)
    if secret is None:
        secret, now = totp.new_secret(), server.clock()
        sealed = server.keyring.seal(secret.encode())
        digest = session.pairing_digest(server)
        with server.database.write() as connection:
            save_step(connection, digest, sealed, now, now + _PAIRING_MICROS)
    uri = totp.uri(secret, found.person.subject, _ISSUER)
    spaced = " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))
    return page(
        "authenticator.html", error.status if error else 200, signed_in=found, secret=spaced,
        picture=_picture(uri), problem=error.text if error else "",
    )  # fmt: skip


def _picture(uri: str) -> Markup:
    """Draw a QR code as SVG for inside a page: attributes only, no style."""
    out = io.BytesIO()
    segno.make(uri, error="m", micro=False).save(
        out, kind="svg", xmldecl=False, svgns=False, omitsize=True, light="#fff", svgclass="qr",
        lineclass=None, nl=False, title="QR code for your authenticator app",
    )  # fmt: skip
    return Markup(out.getvalue().decode())  # noqa: S704 - made by segno, the URI is only dots


def _secret(server: Server) -> str | None:
    with server.database.read() as connection:
        sealed = find_step(connection, session.pairing_digest(server), server.clock())
    return server.keyring.unseal(sealed).decode() if sealed else None


def _checked(server: Server) -> SignedIn:
    found = session.require_sign_in(server)
    session.check_csrf(found)
    return _local(found)


def _local(found: SignedIn) -> SignedIn:
    if found.person.issuer != LOCAL:
        raise NotFound("Your organisation keeps this account: change it there.")
    return found


def _prove(server: Server, found: SignedIn, interaction: str) -> None:
    """Ask for the present password once more: a browser left open is not its owner."""
    password = request.form.get("password", "")
    try:
        server.accounts.prove(found.person.subject, password, session.address(server))
    except SignInRefused as error:
        record(server, interaction, found.person.id, error.status, error.reason)
        if error.reason == "wrong-password":
            raise SignInRefused(error.reason, "The present password is not right.") from error
        raise


def _to(path: str) -> Response:
    return Response(status=303, headers={"Location": path})
