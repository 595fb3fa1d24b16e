"""What every view needs, opened once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from gateway.config import Settings
from gateway.oauth.bearer import Bearers
from gateway.oauth.token import TokenEndpoint
from gateway.serve.terminology import Terminology
from gateway.store.asked import Rules
from gateway.store.audit import Journal
from gateway.store.clients import shared_secret
from gateway.store.database import Database, now_micros
from gateway.store.files import Files
from gateway.translate.mapping import Mappings


@dataclass(frozen=True, slots=True)
class Server:
    """The open parts of one serving process; `clock` gives microseconds since 1970."""

    settings: Settings
    database: Database
    files: Files
    journal: Journal
    bearers: Bearers
    tokens: TokenEndpoint
    rules: Rules
    terminology: Terminology
    clock: Callable[[], int]


def token_url(settings: Settings) -> str:
    """Return the absolute URL of the token endpoint; never taken from a Host header."""
    return settings.base_url.rstrip("/") + "/oauth/token"


def open_server(
    settings: Settings,
    database: Database,
    chi_aliases: Iterable[str],
    clock: Callable[[], int] = now_micros,
    mappings: Mappings | None = None,
) -> Server:
    """Open what serving needs on a database whose schema is current."""
    with database.write() as connection:
        secret = shared_secret(connection, "search-cursor")
    terminology = Terminology(settings.fhir_base, mappings, settings.data / "profiles")
    rules = Rules(
        base=settings.fhir_base,
        secret=secret,
        aliases=dict.fromkeys(chi_aliases, settings.chi_system),
        page_size=settings.page_size,
        page_size_max=settings.page_size_max,
        expand=terminology.codes,
    )
    return Server(
        settings=settings,
        database=database,
        files=Files(settings.data / "files"),
        journal=Journal(settings.data / "audit"),
        bearers=Bearers(database, clock),
        tokens=TokenEndpoint(database, token_url(settings), settings.token_seconds, clock),
        rules=rules,
        terminology=terminology,
        clock=clock,
    )
