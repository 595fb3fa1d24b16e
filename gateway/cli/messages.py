"""Commands on the inbox: what arrived, and what became of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click
import orjson

from gateway.cli.environment import database, named_place, show_account
from gateway.report import Accounted
from gateway.store import work


@click.group()
def messages() -> None:
    """What arrived, and what became of it."""


@messages.command("list")
@click.option("--state", default="", help="received, waiting, filed, held, rejected, duplicate")
@click.option("--limit", default=50, show_default=True)
def messages_list(state: str, limit: int) -> None:
    """List the newest messages."""
    with database().read() as connection:
        _table(work.list_messages(connection, state=state, limit=limit))


@messages.command("show")
@click.argument("key", type=int)
def messages_show(key: int) -> None:
    """Show one message: where it waits and why."""
    with database().read() as connection:
        rows = work.list_messages(connection, key=key)
    if not rows:
        raise click.ClickException("there is no such message")
    _table(rows)
    for row in rows:
        for note in orjson.loads(row["detail"] or "[]"):
            click.echo(f"  {named_place(note['place'])}: {note['text']}")
        show_account([Accounted(**one) for one in orjson.loads(row["account"] or "[]")])


def _table(rows: Iterable[Any]) -> None:
    click.echo("key\tsource\tsender\ttype\tanswer\tstate\treason\tfiled as")
    for row in rows:
        state = row["state"] or row["message_state"]
        reason = row["reason"] or row["message_reason"]
        filed = " ".join(orjson.loads(row["outcome"] or "[]"))
        cells = (
            row["key"],
            row["source"],
            row["sender"],
            row["type"],
            row["answer"],
            state,
            reason,
        )
        click.echo("\t".join(str(cell) for cell in (*cells, filed)))
