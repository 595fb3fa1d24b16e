"""Commands for the keys of this installation."""

from __future__ import annotations

import click

from gateway.cli.environment import settings
from gateway.oauth.keyring import Keyring


@click.group()
def keys() -> None:
    """Keys that sign ID tokens; they lie in the folder of the setting `keys`."""


@keys.command("list")
def keys_list() -> None:
    """List the key ids that /oauth/jwks publishes, the one that signs first."""
    _show(Keyring(settings().key_folder))


@keys.command("rotate")
def keys_rotate() -> None:
    """Sign with the next key from now on, and publish a new next one.

    No restart is needed and nobody is signed out. Rotate at most once an hour, so that what was
    signed with the key before can still be checked.
    """
    keyring = Keyring(settings().key_folder)
    keyring.rotate()
    _show(keyring)


def _show(keyring: Keyring) -> None:
    for kid, use in zip(keyring.kids(), ("signs", "next", "before"), strict=False):
        click.echo(f"{kid}\t{use}")
