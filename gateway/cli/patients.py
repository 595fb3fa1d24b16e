"""Commands on the patient index: which merges there were, and taking one back."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime

import click

from gateway.app import open_parts
from gateway.cli.environment import database, settings
from gateway.cli.recorded import recorder
from gateway.pipeline.decide import decision_by, undo_merge
from gateway.store import merges
from gateway.store.database import Database


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
    given = settings()
    parts = open_parts(given)
    with (
        closing(parts.database),
        recorder(given, parts.database, decision.who) as kept,
        kept.acting("unmerge", f"merge/{merge}", decision.why) as touched,
    ):
        touched += _patients(parts.database, merge)
        review = undo_merge(parts.office(), merge, decision)
        touched += review
    click.echo(f"merge {merge} is undone")
    for reference in review:
        click.echo(f"filed meanwhile, whose is it? {reference}")


def _patients(opened: Database, merge: int) -> list[str]:
    """Name the two patients of a merge; empty when there is no such merge."""
    with opened.read() as connection:
        found = [one for one in merges.links(connection, merge + 1, 1) if one.key == merge]
    return [f"Patient/{id_}" for one in found for id_ in (one.subsumed, one.survivor)]
