"""What the environment gives every command: settings, a database, names for places."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

import click

from gateway.app import start_logging
from gateway.config import Settings, load_settings
from gateway.errors import GatewayError
from gateway.oauth.keyring import AUDIT, Keyring
from gateway.parse.er7 import field_name
from gateway.report import Accounted
from gateway.store.database import Database
from gateway.store.schema import check_current


def settings() -> Settings:
    """Read the settings and begin to log by them."""
    found = load_settings(os.environ)
    start_logging(found)
    return found


def audit_key(given: Settings) -> bytes:
    """Return the key under which the audit is sealed."""
    return Keyring(given.key_folder).derive(AUDIT)


def any_database() -> Database:
    """Open the database of the settings, whatever its schema, and make its folder."""
    found = settings()
    found.data.mkdir(parents=True, exist_ok=True)
    return Database(found.database_url)


def database() -> Database:
    """Open the database of the settings; raises InvalidSetting where it must be upgraded first."""
    found = any_database()
    check_current(found)
    return found


def named_place(place: str) -> str:
    """Name the field as the standard does, for people who do not know its number by heart."""
    try:
        name = field_name(place)
    except GatewayError:  # a place in something other than ER7
        name = ""
    return f"{place} ({name})" if name else place


def printable(text: str) -> str:
    """Make text one line; senders choose words, and none may move the cursor of a terminal."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", " ", text)


def show_account(account: Sequence[Accounted]) -> None:
    """Print where each value of a message went or why not, and how many there were."""
    for entry in account:
        click.echo(f"{entry.place}\t{entry.target or f'not translated: {entry.reason}'}")
    used = sum(1 for entry in account if entry.target)
    click.echo(f"accounted: {len(account)} of {len(account)} ({used} translated)")
