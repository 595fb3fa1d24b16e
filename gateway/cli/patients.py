"""Commands on the patient index: which merges there were, and taking one back."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime

import click

from gateway.app import open_parts
from gateway.cli.environment import database, settings
from gateway.pipeline.decide import decision_by, undo_merge
from gateway.store import merges


@click.group()
def patients() -> None:
    """The patient index."""


@patients.command("merges")
@click.option("--after", default=0, metavar="MERGE", help="Go on where the page before ended.")
@click.option("--limit", default=50, show_default=True)
def patients_merges(after: int, limit: int) -> None:
    """List merges of patients, the newest first."""
    with closing(database()) as opened, opened.read() as connection:
        found = merges.links(connection, after, limit)
    click.echo("merge\tat\tmessage\tended\tinto\tstate")
    for one in found:
        at = datetime.fromtimestamp(one.merged_at // 1_000_000, UTC).isoformat()
        state = "undone" if one.undone else "stands"
        cells = (
            one.key, at, one.message_key, f"Patient/{one.subsumed}", f"Patient/{one.survivor}",
            state,
        )  # fmt: skip
        click.echo("\t".join(str(cell) for cell in cells))
    if len(found) == limit:
        click.echo(f"more: --after {found[-1].key}", err=True)


@patients.command("unmerge")
@click.argument("merge", type=int)
@click.option("--who", required=True, help="Your name.")
@click.option("--why", required=True, help="The reason, without patient data.")
def patients_unmerge(merge: int, who: str, why: str) -> None:
    """Take a merge back: each report returns to the patient that its message asserted.

    What was filed while the merge stood stays where it is, flagged, and is listed.
    """
    decision = decision_by(who, why)
    parts = open_parts(settings())
    with closing(parts.database):
        review = undo_merge(parts.office(), merge, decision)
    click.echo(f"merge {merge} is undone")
    for reference in review:
        click.echo(f"filed meanwhile, whose is it? {reference}")
