"""Commands on who may see whom: grants, break-glass, relationships."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime

import click

from gateway.access.policy import MEANINGS
from gateway.cli.environment import database, printable, settings
from gateway.store import grants, patients, relationships
from gateway.store.audit import Event, Journal
from gateway.store.database import now_micros
from gateway.store.grants import Grant
from gateway.store.relationships import Party

_HOUR = 3_600_000_000
_who = click.option("--who", required=True, help="Your name.")
_why = click.option("--why", required=True, help="The reason, without patient data.")


@click.group()
def grant() -> None:
    """Who may see whom, beyond what the policy says."""


@grant.command("add")
@click.option("--to", "grantee", required=True, metavar="person:ID|team:CODE|client:ID")
@click.option("--patient", default="", metavar="ID", help="All of this patient.")
@click.option("--report", default="", metavar="ID", help="One DiagnosticReport and its parts.")
@click.option("--hours", type=click.FloatRange(min=0, min_open=True), required=True)
@_who
@_why
def grant_add(grantee: str, patient: str, report: str, hours: float, who: str, why: str) -> None:
    """Let a person, team or client see a patient or one report for some hours."""
    if bool(patient) == bool(report):
        raise click.UsageError("name either --patient or --report")
    now = now_micros()
    asked = Grant(grantee, patient, report, why, who, now, now + int(hours * _HOUR))
    target = f"Patient/{patient}" if patient else f"DiagnosticReport/{report}"
    with closing(database()) as opened, opened.write() as connection:
        key = grants.add_grant(connection, asked)
        _record("grant", target, who)
    click.echo(f"grant {key} until {_at(asked.expires_at)}")


@grant.command("list")
@click.option("--after", default=0, metavar="GRANT", help="Go on where the page before ended.")
@click.option("--limit", default=50, show_default=True)
@click.option("--unreviewed", is_flag=True, help="Only break-glass nobody has looked into yet.")
def grant_list(after: int, limit: int, unreviewed: bool) -> None:
    """List grants and break-glass, the newest first."""
    with closing(database()) as opened, opened.read() as connection:
        found = (
            grants.unreviewed(connection)
            if unreviewed
            else grants.list_grants(connection, after=after, limit=limit)
        )
    click.echo("grant\tkind\tto\twhat\tfrom\tuntil\tby\tended by\treviewed by\treason")
    for one in found:
        what = f"DiagnosticReport/{one.report}" if one.report else f"Patient/{one.patient}"
        cells = (
            one.key, one.kind, one.grantee, what, _at(one.given_at), _at(one.expires_at),
            one.given_by, one.ended_by, one.reviewed_by, one.reason,
        )  # fmt: skip
        click.echo("\t".join(printable(str(cell)) for cell in cells))
    if len(found) == limit and not unreviewed:
        click.echo(f"more: --after {found[-1].key}", err=True)


@grant.command("revoke")
@click.argument("key", type=int, metavar="GRANT")
@_who
@_why
def grant_revoke(key: int, who: str, why: str) -> None:
    """End a grant or a break-glass now."""
    with closing(database()) as opened, opened.write() as connection:
        grants.revoke_grant(connection, key, who, why, now_micros())
        _record("grant", f"grant/{key}", who)
    click.echo(f"grant {key} has ended")


@grant.command("review")
@click.argument("key", type=int, metavar="GRANT")
@_who
def grant_review(key: int, who: str) -> None:
    """Note that you have looked into a break-glass."""
    with closing(database()) as opened, opened.write() as connection:
        grants.review_grant(connection, key, who)
        _record("grant", f"grant/{key}", who)
    click.echo(f"break-glass {key} is reviewed")


@grant.command("relate")
@click.argument("patient")
@click.option("--party", required=True, metavar="CODE", help="A board, team or organisation.")
@click.option("--as", "meaning", type=click.Choice(MEANINGS), default="treating",
              show_default=True)  # fmt: skip
@click.option("--end", is_flag=True, help="It holds no longer.")
@_who
def grant_relate(patient: str, party: str, meaning: str, end: bool, who: str) -> None:
    """Say that a board or team has to do with a patient, such as by treating them."""
    it, now = Party(meaning, party), now_micros()
    with closing(database()) as opened, opened.write() as connection:
        key = patients.key_of(connection, patient)
        if end and not relationships.end(connection, key, [it], now):
            raise click.ClickException("there is no such relationship")
        if not end:
            relationships.relate(connection, key, [it], now)
        _record("grant", f"Patient/{patient}", who)
    click.echo("the relationship has ended" if end else "the relationship holds")


def _record(interaction: str, target: str, who: str) -> None:
    journal = Journal(settings().data / "audit")
    event = Event(now_micros(), "cli", interaction, target, 200, subject=who)
    journal.record(event, sync=True)
    journal.close()


def _at(micros: int) -> str:
    return datetime.fromtimestamp(micros // 1_000_000, UTC).isoformat()
