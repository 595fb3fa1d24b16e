"""Patient Demographics Query for mobile (IHE ITI-78, ITI-119) over HTTP: JSON out and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import requests

from gateway.errors import LookupUnavailable

_TYPE = "application/fhir+json"
_BYTES_MAX = 1_000_000


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose server is trusted, and with which certificate we say who we are; empty: neither."""

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


def search(base: str, pairs: Mapping[str, str], token: str, trust: Trust, seconds: float) -> Any:
    """Search Patients and return the Bundle; raises LookupUnavailable."""
    return _ask("GET", f"{base}/Patient", token, trust, seconds, params=dict(pairs))


def match(base: str, parameters: Any, token: str, trust: Trust, seconds: float) -> Any:
    """Ask `Patient/$match` and return the Bundle; raises LookupUnavailable."""
    data = orjson.dumps(parameters)
    return _ask("POST", f"{base}/Patient/$match", token, trust, seconds, data=data)


def _ask(method: str, url: str, token: str, trust: Trust, seconds: float, **more: Any) -> Any:
    headers = {"Accept": _TYPE, "Content-Type": _TYPE}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    certificate = (str(trust.certificate), str(trust.key)) if trust.certificate else None
    try:
        with requests.request(
            method, url, headers=headers, timeout=seconds, allow_redirects=False, stream=True,
            verify=str(trust.ca) if trust.ca else True, cert=certificate, **more,
        ) as reply:  # fmt: skip
            body = reply.raw.read(_BYTES_MAX, decode_content=True)
            if reply.status_code != 200:
                raise LookupUnavailable(f"it answered with the status {reply.status_code}")
            return orjson.loads(body)
    except (requests.RequestException, OSError, orjson.JSONDecodeError) as error:
        raise LookupUnavailable from error
