"""What every view needs, opened once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from gateway.access.policy import Policy, load_policy
from gateway.config import Settings
from gateway.oauth.accounts import Accounts
from gateway.oauth.bearer import Bearers
from gateway.oauth.issuer import Issuer
from gateway.oauth.keyring import Keyring
from gateway.oauth.server import OAuthServer, open_oauth
from gateway.oauth.upstream import Provider
from gateway.serve.terminology import Terminology
from gateway.store.audit import Journal
from gateway.store.audit.refusals import Refusals
from gateway.store.database import Database, now_micros
from gateway.store.files import Files
from gateway.store.search.asked import Rules
from gateway.translate.mapping import Mappings


@dataclass(frozen=True, slots=True)
class Server:
    """The open parts of one serving process; `clock` gives microseconds since 1970."""

    settings: Settings
    database: Database
    files: Files
    journal: Journal
    refusals: Refusals
    bearers: Bearers
    keyring: Keyring
    oauth: OAuthServer
    rules: Rules
    policy: Policy
    accounts: Accounts
    provider: Provider | None
    terminology: Terminology
    clock: Callable[[], int]


def open_server(
    settings: Settings,
    database: Database,
    chi_aliases: Iterable[str],
    clock: Callable[[], int] = now_micros,
    mappings: Mappings | None = None,
) -> Server:
    """Open what serving needs on a database whose schema is current."""
    policy, keyring = load_policy(settings.policy), Keyring(settings.key_folder)
    bearers = Bearers(database, clock, policy)
    journal = Journal(settings.data / "audit", database)
    terminology = Terminology(settings.fhir_base, mappings, settings.data / "profiles")
    rules = Rules(
        base=settings.fhir_base,
        secret=keyring.derive("search-cursor"),
        aliases=dict.fromkeys(chi_aliases, settings.chi_system),
        page_size=settings.page_size,
        page_size_max=settings.page_size_max,
        expand=terminology.codes,
    )
    return Server(
        settings=settings,
        database=database,
        files=Files(settings.data / "files"),
        journal=journal,
        refusals=Refusals(journal),
        bearers=bearers,
        keyring=keyring,
        oauth=open_oauth(Issuer(settings, database, keyring, clock), bearers),
        rules=rules,
        policy=policy,
        accounts=Accounts(database, keyring, clock),
        provider=Provider(settings, clock) if settings.sign_in_issuer else None,
        terminology=terminology,
        clock=clock,
    )
