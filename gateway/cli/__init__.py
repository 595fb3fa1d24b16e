"""The `gateway` command."""

from __future__ import annotations

from typing import Any

import click

from gateway import __version__
from gateway.cli.administration import db, token
from gateway.cli.audit import audit
from gateway.cli.check import check
from gateway.cli.clients import client
from gateway.cli.conformance import profiles, validate
from gateway.cli.files import send, translate
from gateway.cli.grants import grant
from gateway.cli.keys import keys
from gateway.cli.messages import messages
from gateway.cli.patients import patients
from gateway.cli.reconcile import reconcile_command
from gateway.cli.roles import demo, listen, serve, up, work
from gateway.cli.storage import backup_command, purge_command, restore_command
from gateway.cli.user import user
from gateway.errors import GatewayError


class _Main(click.Group):
    """Turns our errors into one line and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except GatewayError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Main)
@click.version_option(__version__, prog_name="gateway")
def main() -> None:
    """HL7 v2 laboratory messages in, FHIR genomic reports out."""


for _command in (
    up, serve, listen, work, demo, translate, check, send, messages, client, user, keys, token, db,
    validate, profiles, reconcile_command, patients, backup_command,
    restore_command, purge_command, grant, audit,
):  # fmt: skip
    main.add_command(_command)
