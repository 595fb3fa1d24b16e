"""Which scopes a client gets: what it asks for, within what it may have, by meaning.

The grammar of scopes is `gateway.access.scopes`; here is which of them are for whom.
"""

from __future__ import annotations

from collections.abc import Iterable

from authlib.oauth2.rfc6749 import InvalidScopeError

from gateway.access.scopes import GATEWAY_SCOPES, SESSION_SCOPES, narrow, parse_scope

PERSONAL = ("user", "patient")
_LEVELS = (*PERSONAL, "system")


def check_known(scope: str) -> None:
    """Raise InvalidScopeError for a resource scope that is not written as SMART writes them."""
    for text in scope.split():
        if text.partition("/")[0] in _LEVELS and parse_scope(text) is None:
            raise InvalidScopeError()


def for_system(asked: str, allowance: str) -> str:
    """Return what a client gets that speaks for itself."""
    return _within(asked, allowance, ("system",), GATEWAY_SCOPES)


def for_person(asked: str, allowance: str) -> str:
    """Return what a client may be granted by a person."""
    return _within(asked, allowance, PERSONAL, SESSION_SCOPES)


def _within(asked: str, allowance: str, levels: Iterable[str], others: Iterable[str]) -> str:
    allowed = allowance.split()
    granted: dict[str, None] = {}
    for text in asked.split():
        level, slash, _ = text.partition("/")
        if text in others:
            parts = [text] if text in allowed else []
        elif slash and level in levels:
            mine = " ".join(one for one in allowed if one.startswith(f"{level}/"))
            parts = narrow(text, mine).split()
        else:
            parts = []
        granted.update(dict.fromkeys(parts))
    return " ".join(granted)
