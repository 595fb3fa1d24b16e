"""`gateway messages list --summary`: does what came add up, source by source."""

from __future__ import annotations

from collections import Counter
from contextlib import closing

import click

from gateway.cli.environment import database
from gateway.store.counts import count_messages
from gateway.store.database import Database, now_micros
from gateway.store.tally import tallied

_HEADS = ("source", "received", "positive", "negative", "open", "fragments", "stored", "")


def show_summary(database: Database) -> bool:
    """Print frames received = positive + negative + open for each source; whether all is well.

    It is not when a frame has been open for a minute, or when more was answered AA or CA than
    is stored so (`stored`). That more is stored is no fault: a reply may be lost, or the counts
    of the last seconds of a process that was killed.
    """
    with database.read() as connection:
        frames = tallied(connection, now_micros())  # before the messages: those come first
        stored: Counter[str] = Counter()
        for kind, count in count_messages(connection).items():
            stored[kind.source] += count if kind.positive else 0
    fine = True
    click.echo("\t".join(_HEADS).rstrip())
    for one in frames:
        faults = ["open too long"] if one.overdue else []
        faults += ["answered more than is stored"] if one.positive > stored[one.source] else []
        fine &= not faults
        cells = (
            one.source, one.received, one.positive, one.negative, one.open, one.fragments,
            stored[one.source], ", ".join(faults),
        )  # fmt: skip
        click.echo("\t".join(str(cell) for cell in cells).rstrip())
    for source in sorted(stored.keys() - {one.source for one in frames}):
        click.echo("\t".join((source, *"00000", str(stored[source]))))
    return fine


def _summarise(context: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if wanted:
        with closing(database()) as opened:
            fine = show_summary(opened)
        context.exit(0 if fine else 1)


summary_option = click.option(
    "--summary", is_flag=True, is_eager=True, expose_value=False, callback=_summarise,
    help="Frames received, answered and open by source; exit 1 when they do not add up.",
)  # fmt: skip
