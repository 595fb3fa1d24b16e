"""The lookup of the settings: which driver, how it says who we are, and how long it remembers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import orjson

from gateway.config import Settings
from gateway.errors import GatewayError, InvalidSetting, LookupUnavailable
from gateway.identify.lookup import Remembered
from gateway.identify.numbers import issuers_of
from gateway.oauth.clients import fetch_token
from gateway.pipeline.lookup import Driver, Lookup, pdq_driver, pdqm_driver
from gateway.translate.mapping import SenderMapping
from gateway.wire.mllp import client_context
from gateway.wire.pdqm import Trust

_SCOPE = "system/Patient.rs"
# A token is not used in its last seconds.
_MARGIN = 10


def open_lookup(
    settings: Settings, standard: SenderMapping, clock: Callable[[], int]
) -> Lookup | None:
    """Return the lookup of the settings, or None; raises InvalidSetting."""
    if not settings.lookup:
        return None
    remembered = Remembered(int(settings.lookup_remember_seconds * 1e6))
    driver = _driver(settings, standard, clock)
    return Lookup(driver, issuers_of(settings), clock, remembered)


def _driver(settings: Settings, standard: SenderMapping, clock: Callable[[], int]) -> Driver:
    ca, certificate, key = settings.lookup_ca, settings.lookup_certificate, settings.lookup_key
    if settings.lookup.startswith("mllp"):
        secure = settings.lookup.startswith("mllps")
        tls = client_context(ca, certificate, key) if secure else None
        return pdq_driver(settings.lookup, settings.lookup_seconds, standard, clock, tls)
    trust = Trust(ca, certificate, key)
    token = _Token(settings, clock) if settings.lookup_token_url else str
    base = settings.lookup.rstrip("/")
    return pdqm_driver(base, settings.lookup_seconds, trust, token, matching=settings.lookup_match)


class _Token:
    """An access token for the other index, fetched when needed and kept while it lives."""

    def __init__(self, settings: Settings, clock: Callable[[], int]) -> None:
        self._settings, self._clock = settings, clock
        self._lock = threading.Lock()
        self._token, self._until = "", 0
        self._key = self._read_key()

    def __call__(self) -> str:
        """Return a token that lives; raises LookupUnavailable when there is none to be had."""
        now = self._clock() // 1_000_000
        with self._lock:
            if now >= self._until:
                answer = self._fetch(now)
                self._token = str(answer["access_token"])
                self._until = now + max(0, int(answer.get("expires_in", 0)) - _MARGIN)
            return self._token

    def _fetch(self, now: int) -> dict[str, Any]:
        settings = self._settings
        try:
            return fetch_token(
                settings.lookup_token_url, self._key, settings.lookup_client, _SCOPE, now
            )
        except GatewayError as error:
            raise LookupUnavailable("no token for it") from error

    def _read_key(self) -> dict[str, Any]:
        file = self._settings.lookup_client_key
        try:
            key: dict[str, Any] = orjson.loads(file.read_bytes()) if file else {}
        except (OSError, orjson.JSONDecodeError) as error:
            raise InvalidSetting("the file is no JWK", where="lookup_client_key") from error
        if not key:
            raise InvalidSetting("a token needs a key", where="lookup_client_key")
        return key
