"""`gateway patients review`: what is held for whom it is about, and everybody it could be about.

It prints patient data on purpose; each look is in the audit journal before anything is shown.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing

import click
import orjson

from gateway.app import open_parts
from gateway.cli.environment import named_place, printable, settings
from gateway.pipeline.decide import find_held
from gateway.pipeline.file import Office
from gateway.pipeline.review import REASONS, Review, review
from gateway.report import Patient
from gateway.store.audit import Event, Journal
from gateway.store.listing import Wanted, list_messages

_ROWS = ("numbers", "family name", "given names", "birth date", "sex", "postcode", "deceased")
_TERMINAL = "terminal"


@click.command("review")
@click.argument("message", type=int, required=False)
@click.option("--part", type=click.IntRange(1), help="Which part, if it has several.")
@click.option("--who", default="", help="Your name: needed to see patients.")
@click.option("--limit", default=50, show_default=True)
def patients_review(message: int | None, part: int | None, who: str, limit: int) -> None:
    """List what is held for whom it is about; with a MESSAGE, show whom it could be about."""
    parts = open_parts(settings())
    with closing(parts.database):
        if message is None:
            _list(parts.office(), limit)
            return
        if not who.strip():
            raise click.UsageError("to see patients, say --who you are")
        office = parts.office()
        found = review(office, find_held(office, message, part or 0))
        _audit(office, message, who, found)
        _show(found)


def _list(office: Office, limit: int) -> None:
    click.echo("message\tpart\treason\twhere\twhy")
    for reason in REASONS:
        with office.database.read() as connection:
            wanted = Wanted(state="held", reason=str(reason), oldest_first=True)
            rows = list_messages(connection, wanted, limit=limit)
        for row in rows:
            note = next(iter(orjson.loads(row["detail"] or "[]")), {"place": "", "text": ""})
            where = named_place(note["place"]) if note["place"] else ""
            cells = (row["key"], row["ordinal"] + 1, row["reason"], where, note["text"])
            click.echo("\t".join(printable(str(cell)) for cell in cells))


def _audit(office: Office, message: int, who: str, found: Review) -> None:
    journal = Journal(office.settings.data / "audit")
    returned = tuple(f"Patient/{one.id}" for one in found.candidates)
    journal.record(
        Event(office.clock(), _TERMINAL, "operation:review", f"message {message}", 200,
              returned=returned, subject=" ".join(who.split())),
        sync=True,
    )  # fmt: skip
    journal.close()


def _show(found: Review) -> None:
    for one in found.decided:
        said = ", ".join(f"{name}: {verdict}" for name, verdict in one.evidence)
        click.echo(f"{one.outcome}\t{one.reason}\t{said}")
    columns = [found.asserted, *(one.known for one in found.candidates)]
    heads = ("", "message", *(f"Patient/{one.id}" for one in found.candidates))
    lines = [heads, *zip(_ROWS, *(_values(one) for one in columns), strict=True)]
    lines.append(("likeness", "", *(f"{one.likeness.score:.2f}" for one in found.candidates)))
    for label in ("agree", "differ"):
        said_of = (", ".join(getattr(one.likeness, label)) for one in found.candidates)
        lines.append((label, "", *said_of))
    _print(lines)


def _values(one: Patient) -> tuple[str, ...]:
    numbers = " ".join(number.value for number in one.identifiers)
    given = " ".join(one.name.given)
    return (numbers, one.name.family, given, one.birth_date, one.sex, one.postcode, one.deceased)


def _print(lines: Iterable[tuple[str, ...]]) -> None:
    rows = [[printable(cell) or "-" for cell in line] for line in lines]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())
