"""Commands for those who keep the gateway: schema, tokens for trying things."""

from __future__ import annotations

import secrets
import sys

import click

from gateway.cli.environment import any_database, database, settings
from gateway.errors import InvalidSetting
from gateway.store import schema
from gateway.store.clients import (
    Token,
    create_client,
    find_client,
    save_token,
    token_digest,
)
from gateway.store.database import now_micros
from gateway.store.files import Files
from gateway.store.integrity import count_orphans, problems

_DEVELOPER = "development"


@click.group()
def db() -> None:
    """Schema of the database."""


@db.command("upgrade")
def db_upgrade() -> None:
    """Bring the schema up to date."""
    schema.upgrade(any_database())
    click.echo("the schema is current")


@db.command("check")
def db_check() -> None:
    """Say whether the schema is what this release needs, and whether the store is sound."""
    given = settings()
    opened = any_database()
    found = [] if schema.current(opened) else ["not at the newest migration"]
    found += schema.differences(opened)
    found = found or list(problems(opened, Files(given.data / "files")))
    click.echo("\n".join(found) or "the schema is current, the store is sound")
    if not found and (orphans := count_orphans(opened, Files(given.data / "files"))):
        click.echo(f"{orphans} files that no row names, which is harmless", err=True)
    sys.exit(1 if found else 0)


@click.command()
@click.option("--scope", default="system/*.rs", show_default=True)
def token(scope: str) -> None:
    """Print an access token for trying things; only where GATEWAY_DEVELOPMENT is true."""
    given = settings()
    if not given.development:
        raise InvalidSetting("tokens are given out only in development", where="development")
    opened = database()
    now, value = now_micros(), secrets.token_urlsafe(32)
    with opened.write() as connection:
        if find_client(connection, _DEVELOPER) is None:
            create_client(connection, client_id=_DEVELOPER, name="development", scope="system/*.rs",
                          jwks="", now=now)  # fmt: skip
        expires = now + given.token_seconds * 1_000_000
        save_token(connection, token_digest(value), Token(_DEVELOPER, scope, now, expires))
    click.echo(value)
