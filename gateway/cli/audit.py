"""Commands on the audit: is it sound, who read what, and taking it elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, replace
from datetime import UTC, datetime

import click
import orjson

from gateway.app import open_parts
from gateway.cli.environment import audit_key, database, printable, settings
from gateway.cli.recorded import recorder
from gateway.errors import InvalidRequest, InvalidValue, NotFound
from gateway.fhir.audit_event import Recorded, audit_event
from gateway.store.audit.check import Anchor, check
from gateway.store.audit.entries import Entry, Wanted, find_all, patient_by, patient_of, references
from gateway.store.audit.event import Event
from gateway.store.audit.reading import read_events
from gateway.store.audit.sealer import Sealer
from gateway.store.audit.segments import newest
from gateway.store.database import Database, now_micros
from gateway.store.dates import interval

_HEADS = ("time", "client", "person", "interaction", "target", "status", "patients", "id")
_EVERYTHING = 1 << 62


@click.group()
def audit() -> None:
    """Who read what."""


@audit.command("verify")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON document for programs.")
@click.option("--head", default="", metavar="N:SEAL", help="A head that was kept elsewhere.")
def audit_verify(as_json: bool, head: str) -> None:
    """Check every line, every seal and every file; exit 1 when anything is not as written.

    A last line that is torn (a process was killed) is told, and is no fault.
    """
    given = settings()
    with closing(database()) as opened:
        found = list(check(opened, given.data / "audit", audit_key(given), anchor=_anchor(head)))
        with opened.read() as connection:
            last = newest(connection)
    sound = not any(one.tampering for one in found)
    if as_json:
        document = {"sound": sound, "faults": [asdict(one) for one in found],
                    "head": asdict(last) if last else None}  # fmt: skip
        click.echo(orjson.dumps(document))
    else:
        for one in found:
            place = f"{one.file}:{one.line}" if one.line else one.file
            click.echo(f"{one.what}\t{printable(place)}\t{one.text}")
        click.echo("the audit is sound" if sound else "the audit is NOT as it was written")
    sys.exit(0 if sound else 1)


def _anchor(text: str) -> Anchor | None:
    if not text:
        return None
    number, colon, seal = text.partition(":")
    if not colon or not number.isdigit():
        raise InvalidRequest("must be as `gateway audit head` prints it", where="--head")
    return Anchor(int(number), seal.strip().split()[0] if seal.strip() else "")


@audit.command("head")
@click.option("--json", "as_json", is_flag=True)
def audit_head(as_json: bool) -> None:
    """Print the newest seal; keep it elsewhere, and give it to `verify --head` later."""
    with closing(database()) as opened, opened.read() as connection:
        last = newest(connection)
    if last is None:
        raise NotFound("nothing is sealed yet")
    if as_json:
        click.echo(orjson.dumps(asdict(last)))
    else:
        click.echo(f"{last.number}:{last.seal} {_instant(last.at)}")


@audit.command("seal")
@click.option("--adopt", is_flag=True, help="Also files that no process announced.")
def audit_seal(adopt: bool) -> None:
    """Seal what the journals say now; workers do it every few seconds."""
    given = settings()
    with closing(open_parts(given).database) as opened:
        sealer = Sealer(opened, given.data / "audit", now_micros, audit_key(given))
        if adopt:
            count = sealer.adopt()
            with recorder(given, opened) as kept:
                kept.record("adopt", "audit", detail=f"{count} files")
            click.echo(f"{count} files adopted")
        click.echo(f"{sealer.seal()} lines sealed")


def _finding(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--until", default="", help="Before this date."),
        click.option("--client", default="", help="Client id."),
        click.option("--person", default="", help="Person id."),
        click.option("--chi", is_flag=True, help="Asks for a CHI number, which is not shown."),
        click.option("--patient", default="", help="Patient id; merges are followed."),
    ):
        command = option(command)
    return command


@audit.command("search")
@_finding
@click.option("--since", default="", help="From this date on, e.g. 2026-03-31.")
@click.option("--limit", default=100, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def audit_search(
    patient: str, chi: bool, person: str, client: str, since: str, until: str, limit: int,
    as_json: bool,
) -> None:  # fmt: skip
    """Say who read what, the newest first. This is recorded too."""
    wanted = _between(Wanted(client=client, person=person), since, until)
    lines = [0]

    def show(entry: Entry, event: Event) -> None:
        lines[0] += 1
        click.echo(_raw(entry, event) if as_json else "\t".join(map(printable, _row(entry, event))))

    if not as_json:
        click.echo("\t".join(_HEADS))
    _each("audit-search", wanted, patient, chi, limit, show)
    if lines[0] == limit:
        click.echo("there may be more: --limit, --until", err=True)


@audit.command("export")
@_finding
@click.option("--since", required=True, help="From this date on, e.g. 2026-03-31.")
@click.option("--raw", is_flag=True, help="As the journal has it, instead of AuditEvents.")
def audit_export(
    patient: str, chi: bool, person: str, client: str, since: str, until: str, raw: bool
) -> None:
    """Write what is recorded as JSON lines, the oldest first. This is recorded too."""
    wanted = _between(Wanted(client=client, person=person, oldest_first=True), since, until)
    base = settings().fhir_base

    def show(entry: Entry, event: Event) -> None:
        resource = Recorded(entry.id, event, entry.patients, base)
        click.echo(_raw(entry, event) if raw else orjson.dumps(audit_event(resource)))

    _each("audit-export", wanted, patient, chi, _EVERYTHING, show)


def _each(
    interaction: str, wanted: Wanted, patient: str, chi: bool, limit: int,
    show: Callable[[Entry, Event], None],
) -> None:  # fmt: skip
    given = settings()
    number = click.prompt("CHI", hide_input=True, err=True) if chi else ""
    folder = given.data / "audit"
    with closing(open_parts(given).database) as opened:
        Sealer(opened, folder, now_micros, audit_key(given)).seal()
        criteria = orjson.dumps({k: v for k, v in asdict(wanted).items() if v}).decode()
        # Before anything is shown.
        with (
            recorder(given, opened) as kept,
            kept.acting(interaction, "AuditEvent", criteria) as of,
        ):
            if patient or chi:
                keys, named = _patient(opened, patient, number, given.chi_system)
                wanted = replace(wanted, patients=keys)
                of += named
        for entry, event in read_events(folder, find_all(opened, wanted, limit)):
            show(entry, event)


def _patient(
    opened: Database, patient: str, number: str, system: str
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Return keys and references of a patient and of all merged with it."""
    with opened.read() as connection:
        if number:
            found = patient_by(connection, system, number.replace(" ", ""))
        else:
            found = patient_of(connection, patient.removeprefix("Patient/"))
        if not found:
            raise NotFound("there is no such patient")
        return found, references(connection, found)


def _between(wanted: Wanted, since: str, until: str) -> Wanted:
    try:
        begin = interval(since)[0] if since else None
        return replace(wanted, since=begin, until=interval(until)[0] if until else None)
    except InvalidValue as error:
        raise InvalidRequest("a date such as 2026-03-31", where="--since, --until") from error


def _row(entry: Entry, event: Event) -> tuple[str, ...]:
    patients = " ".join(f"Patient/{id_}" for id_ in entry.patients)
    return (_instant(event.time), event.client, event.person or event.subject, event.interaction,
            event.target, str(event.status), patients, entry.id)  # fmt: skip


def _raw(entry: Entry, event: Event) -> bytes:
    said = {name: value for name, value in asdict(event).items() if value}
    return orjson.dumps({"id": entry.id, "patients": entry.patients, **said})


def _instant(micros: int) -> str:
    return datetime.fromtimestamp(micros // 1_000_000, UTC).isoformat()
