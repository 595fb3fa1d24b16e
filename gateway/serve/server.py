"""What every view needs, opened once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from gateway.config import Settings
from gateway.oauth.bearer import Bearers
from gateway.oauth.issuer import Issuer
from gateway.oauth.keyring import Keyring
from gateway.oauth.server import OAuthServer, open_oauth
from gateway.store.audit import Journal
from gateway.store.database import Database, now_micros
from gateway.store.files import Files
from gateway.store.query import Rules


@dataclass(frozen=True, slots=True)
class Server:
    """The open parts of one serving process; `clock` gives microseconds since 1970."""

    settings: Settings
    database: Database
    files: Files
    journal: Journal
    bearers: Bearers
    keyring: Keyring
    oauth: OAuthServer
    rules: Rules
    clock: Callable[[], int]


def open_server(
    settings: Settings,
    database: Database,
    chi_aliases: Iterable[str],
    clock: Callable[[], int] = now_micros,
) -> Server:
    """Open what serving needs on a database whose schema is current."""
    keyring, bearers = Keyring(settings.key_folder), Bearers(database, clock)
    rules = Rules(
        base=settings.fhir_base,
        secret=keyring.derive("search-cursor"),
        aliases=dict.fromkeys(chi_aliases, settings.chi_system),
        page_size=settings.page_size,
        page_size_max=settings.page_size_max,
    )
    return Server(
        settings=settings,
        database=database,
        files=Files(settings.data / "files"),
        journal=Journal(settings.data / "audit"),
        bearers=bearers,
        keyring=keyring,
        oauth=open_oauth(Issuer(settings, database, keyring, clock), bearers),
        rules=rules,
        clock=clock,
    )
