"""What every endpoint of the authorization server shares: what it is asked, what it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from authlib.oauth2.rfc6749 import InvalidRequestError, OAuth2Error

from gateway.config import Settings
from gateway.oauth.keyring import Keyring
from gateway.store.database import Database

MICROS = 1_000_000
NO_STORE = (("Cache-Control", "no-store"), ("Pragma", "no-cache"))
_JSON = ("Content-Type", "application/json")


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: its absolute URL without the query, its form, the headers that matter."""

    method: str
    url: str
    form: Mapping[str, Sequence[str]]
    authorization: str = ""
    proofs: tuple[str, ...] = ()

    def parameters(self) -> dict[str, str]:
        """Return each parameter once; raises InvalidRequestError where one stands twice."""
        if any(len(values) > 1 for values in self.form.values()):
            raise InvalidRequestError("A parameter stands twice in the request.")
        return {name: values[0] for name, values in self.form.items() if values}


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer, and what the audit journal is to say about it."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...]
    client: str = ""
    person: str = ""
    patient: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Issuer:
    """The authorization server as such; `clock` gives microseconds since 1970."""

    settings: Settings
    database: Database
    keyring: Keyring
    clock: Callable[[], int]

    @property
    def url(self) -> str:
        """The issuer identifier; never taken from a Host header."""
        return self.settings.base_url.rstrip("/")

    def endpoint(self, name: str) -> str:
        """Return the absolute URL of an endpoint of ours."""
        return f"{self.url}/oauth/{name}"

    @property
    def seconds(self) -> int:
        """The present instant in seconds, as JWTs say it."""
        return self.clock() // MICROS


def answer(content: Any, status: int = 200, **about: str) -> Reply:
    """Write an answer in JSON that no cache keeps."""
    return Reply(status, orjson.dumps(content), (_JSON, *NO_STORE), **about)


def refusal(error: OAuth2Error, **about: str) -> Reply:
    """Write the body of RFC 6749 section 5.2 for an error."""
    status, body, headers = error()
    about = {"detail": str(body["error"]), **about}
    return Reply(status, orjson.dumps(body), tuple(headers), **about)
