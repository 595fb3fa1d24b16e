"""Who is signed in with this browser: a cookie that means nothing but a row in the store.

Two cookies, both `__Host-` over https: one for a session, one for a visitor who is not signed in
yet, which binds forms and half-done sign-ins to this browser. CSRF tokens are derived from them.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from flask import Response, abort, g, redirect, request

from gateway.errors import Forbidden
from gateway.serve.server import Server
from gateway.store.people import Person, find_person
from gateway.store.sessions import (
    end_session,
    end_sessions,
    find_session,
    see_session,
    start_session,
)
from gateway.wire.address import client_address

_MINUTE = 60_000_000
_SEEN_EVERY = _MINUTE
_NEXT_MAX = 4000
_SESSION, _VISIT = "gateway-session", "gateway-visit"


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A person at a browser; `methods` as in amr, `csrf` goes into every form."""

    person: Person
    methods: tuple[str, ...]
    authenticated_at: int
    csrf: str


def signed_in(server: Server) -> SignedIn | None:
    """Return who is signed in; a session that is idle or old is none."""
    if "signed_in" not in g:
        g.signed_in = _find(server)
    found: SignedIn | None = g.signed_in
    return found


def require_sign_in(server: Server) -> SignedIn:
    """Return who is signed in; else send the browser to sign in and back here."""
    found = signed_in(server)
    if found is None:
        back = request.full_path.rstrip("?") if request.method == "GET" else request.path
        abort(redirect(f"/sign-in?{urlencode({'next': back})}", 303))
    return found


def check_csrf(found: SignedIn) -> None:
    """Raise Forbidden unless the form came from a page of this session."""
    _check_token(found.csrf)


def visit_csrf(server: Server) -> str:
    """Return the token for forms of somebody who is not signed in; `keep_visit` sets the cookie."""
    return _derived("csrf", visit(server))


def check_visit_csrf(server: Server) -> None:
    """Raise Forbidden unless the form came from a page of this visit."""
    _check_token(visit_csrf(server))


def visit(server: Server) -> str:
    """Return what the cookie of this visit holds, or what it is to hold."""
    if "visit" not in g:
        given = request.cookies.get(_name(server, _VISIT), "")
        g.visit = given if len(given) == 43 else secrets.token_urlsafe(32)
    held: str = g.visit
    return held


def step_digest(server: Server) -> str:
    """Return under which digest a half-done sign-in of this visit is kept."""
    return _derived("step", visit(server))


def pairing_digest(server: Server) -> str:
    """Return under which digest this session keeps an authenticator that is being set up."""
    return _derived("pairing", request.cookies.get(_name(server, _SESSION), ""))


def keep_visit(server: Server, response: Response) -> Response:
    """Set the cookie of this visit."""
    _set(server, response, _VISIT, visit(server))
    return response


def begin(server: Server, response: Response, person: Person, methods: tuple[str, ...]) -> Response:
    """Sign a person in under a new session id; the old session of this browser ends."""
    now, token = server.clock(), secrets.token_urlsafe(32)
    expires_at = now + server.settings.session_minutes * _MINUTE
    with server.database.write() as connection:
        end_session(connection, _digest(request.cookies.get(_name(server, _SESSION), "")))
        start_session(connection, _digest(token), person.key, methods, now, expires_at)
    _set(server, response, _SESSION, token)
    _drop(server, response, _VISIT)
    return response


def begin_alone(server: Server, response: Response, found: SignedIn) -> Response:
    """Go on under a new session id, and end every other session of this person."""
    with server.database.write() as connection:
        end_sessions(connection, found.person.key)
    return begin(server, response, found.person, found.methods)


def end(server: Server, response: Response) -> Response:
    """Sign this browser out."""
    with server.database.write() as connection:
        end_session(connection, _digest(request.cookies.get(_name(server, _SESSION), "")))
    _drop(server, response, _SESSION)
    g.signed_in = None
    return response


def local_target(text: str, otherwise: str = "/account") -> str:
    """Return a path of this gateway, and nothing that a browser may read as another place."""
    plain = text.isascii() and text.isprintable() and len(text) <= _NEXT_MAX
    if not plain or not text.startswith("/") or text.startswith("//") or "\\" in text:
        return otherwise
    parts = urlsplit(text)
    return otherwise if parts.scheme or parts.netloc else text


def address(server: Server) -> str:
    """Return the address whose attempts are counted."""
    forwarded = ",".join(request.headers.getlist("X-Forwarded-For"))
    return client_address(request.remote_addr or "", forwarded, server.settings.trusted_proxies)


def _find(server: Server) -> SignedIn | None:
    token = request.cookies.get(_name(server, _SESSION), "")
    if not token:
        return None
    now, digest = server.clock(), _digest(token)
    idle_since = now - server.settings.session_idle_minutes * _MINUTE
    with server.database.read() as connection:
        session = find_session(connection, digest, now, idle_since)
        person = find_person(connection, session.person_id) if session else None
    if session is None or person is None:
        return None
    if session.seen_at < now - _SEEN_EVERY:
        with server.database.write() as connection:
            see_session(connection, digest, now)
    csrf = _derived("csrf", token)
    return SignedIn(person, session.methods, session.authenticated_at, csrf)


def _check_token(expected: str) -> None:
    if not hmac.compare_digest(request.form.get("csrf", "").encode(), expected.encode()):
        raise Forbidden("This page is out of date. Go back, load it again, and then send it.")


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _derived(purpose: str, token: str) -> str:
    return hmac.new(token.encode(), purpose.encode(), "sha256").hexdigest()


def _name(server: Server, name: str) -> str:
    return f"__Host-{name}" if server.settings.https else name


def _set(server: Server, response: Response, name: str, value: str) -> None:
    response.set_cookie(
        _name(server, name), value, secure=server.settings.https, httponly=True, samesite="Lax"
    )


def _drop(server: Server, response: Response, name: str) -> None:
    response.delete_cookie(
        _name(server, name), secure=server.settings.https, httponly=True, samesite="Lax"
    )
