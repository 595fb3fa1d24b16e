"""What every view needs, opened once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from gateway.access.policy import Policy, load_policy
from gateway.config import Settings
from gateway.oauth.accounts import Accounts
from gateway.oauth.bearer import Bearers
from gateway.oauth.keyring import Keyring
from gateway.oauth.token import TokenEndpoint
from gateway.oauth.upstream import Provider
from gateway.store.audit import Journal
from gateway.store.audit.refusals import Refusals
from gateway.store.clients import shared_secret
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
    refusals: Refusals
    bearers: Bearers
    tokens: TokenEndpoint
    rules: Rules
    policy: Policy
    keyring: Keyring
    accounts: Accounts
    provider: Provider | None
    clock: Callable[[], int]


def token_url(settings: Settings) -> str:
    """Return the absolute URL of the token endpoint; never taken from a Host header."""
    return settings.base_url.rstrip("/") + "/oauth/token"


def open_server(
    settings: Settings,
    database: Database,
    chi_aliases: Iterable[str],
    clock: Callable[[], int] = now_micros,
) -> Server:
    """Open what serving needs on a database whose schema is current."""
    with database.write() as connection:
        secret = shared_secret(connection, "search-cursor")
    rules = Rules(
        base=settings.fhir_base,
        secret=secret,
        aliases=dict.fromkeys(chi_aliases, settings.chi_system),
        page_size=settings.page_size,
        page_size_max=settings.page_size_max,
    )
    policy = load_policy(settings.policy)
    keyring = Keyring(settings.key_folder)
    journal = Journal(settings.data / "audit", database)
    return Server(
        settings=settings,
        database=database,
        files=Files(settings.data / "files"),
        journal=journal,
        refusals=Refusals(journal),
        bearers=Bearers(database, clock, policy),
        tokens=TokenEndpoint(database, token_url(settings), settings.token_seconds, clock),
        rules=rules,
        policy=policy,
        keyring=keyring,
        accounts=Accounts(database, keyring, clock),
        provider=Provider(settings, clock) if settings.sign_in_issuer else None,
        clock=clock,
    )
