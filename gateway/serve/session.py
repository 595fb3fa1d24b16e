"""Who is signed in: nobody yet."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Any

from flask import request

from gateway.errors import Forbidden
from gateway.store.people import Person


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A person with a session; `csrf` must come back with every form."""

    person: Person
    methods: tuple[str, ...]
    authenticated_at: int
    csrf: str


def signed_in(server: Any) -> SignedIn | None:
    """Return who is signed in."""
    return None


def check_csrf(session: SignedIn) -> None:
    """Raise Forbidden unless the form came from a page of this session."""
    if not hmac.compare_digest(request.form.get("csrf", ""), session.csrf):
        raise Forbidden("the form is not of this session")
