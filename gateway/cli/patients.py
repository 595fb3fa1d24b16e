"""Commands on the patient index: merges, quarantine, refiling."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime

import click

from gateway.app import open_parts
from gateway.cli.environment import database, settings
from gateway.cli.recorded import recorder
from gateway.cli.review import patients_review
from gateway.pipeline.decide import decision_by, undo_merge
from gateway.pipeline.person import give_number, restrict
from gateway.pipeline.refile import readers, refile, set_aside
from gateway.store import merges
from gateway.store.database import Database
from gateway.store.readings import Reading


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


_who = click.option("--who", required=True, help="Your name.")
_why = click.option("--why", required=True, help="The reason, without patient data.")


@patients.command("unmerge")
@click.argument("merge", type=int)
@_who
@_why
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


@patients.command("quarantine")
@click.argument("report")
@click.option("--lift", is_flag=True, help="Show it again: it is where it belongs.")
@_who
@_why
def patients_quarantine(report: str, lift: bool, who: str, why: str) -> None:
    """Hide a published report (its DiagnosticReport id) until it is known whose it is.

    Nothing more is filed for it meanwhile, but a withdrawal.
    """
    decision = decision_by(who, why)
    parts = open_parts(settings())
    with closing(parts.database):
        set_aside(parts.office(), _id(report), decision, hidden=not lift)
        found = [] if lift else readers(parts.office(), _id(report))
    click.echo("the report is shown again" if lift else "the report is hidden")
    _show_readers(found)


@patients.command("refile")
@click.argument("report")
@click.argument("patient")
@_who
@_why
def patients_refile(report: str, patient: str, who: str, why: str) -> None:
    """Move a report (its DiagnosticReport id) to the right patient (a Patient id).

    The wrong one keeps a stub that was entered in error; who had read it there is listed.
    """
    decision = decision_by(who, why)
    parts = open_parts(settings())
    with closing(parts.database):
        had_read = readers(parts.office(), _id(report))
        made = refile(parts.office(), _id(report), _id(patient), decision)
    click.echo(f"filed anew as DiagnosticReport/{made}")
    _show_readers(had_read)


@patients.command("number")
@click.argument("patient")
@click.argument("number")
@_who
@_why
def patients_number(patient: str, number: str, who: str, why: str) -> None:
    """Give a patient (a Patient id) the national number that it did not have yet."""
    decision = decision_by(who, why)
    parts = open_parts(settings())
    with closing(parts.database):
        give_number(parts.office(), _id(patient), number, decision)
    click.echo("the patient has this number")


@patients.command("restrict")
@click.argument("patient")
@_who
@_why
def patients_restrict(patient: str, who: str, why: str) -> None:
    """Hide the earlier numbers and records of a patient, as after a change of CHI by law."""
    decision = decision_by(who, why)
    parts = open_parts(settings())
    with closing(parts.database):
        restrict(parts.office(), _id(patient), decision)
    click.echo("earlier numbers and records are hidden")


def _id(text: str) -> str:
    return text.rpartition("/")[2]


def _show_readers(found: list[Reading]) -> None:
    click.echo("client\tperson\tfirst read\tlast read\ttimes" if found else "nobody had read it")
    for one in found:
        first, last = (
            datetime.fromtimestamp(at // 1_000_000, UTC).isoformat() for at in (one.first, one.last)
        )
        click.echo("\t".join((one.client, one.person or "-", first, last, str(one.times))))


patients.add_command(patients_review)
