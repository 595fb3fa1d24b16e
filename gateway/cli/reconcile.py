"""`gateway reconcile`: a laboratory's list of authorised reports against what we have."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, TextIO

import click

from gateway.cli.environment import database
from gateway.errors import InvalidRequest, InvalidValue
from gateway.store.database import now_micros
from gateway.store.dates import interval
from gateway.store.reconcile import Finding, Found, Listed, reconcile

_DELIMITERS = ",;\t|"
_NUMBER = ("reportnumber", "reportno", "reportid", "number", "report", "labnumber", "accession")
_TIME = ("authorised", "authorisedtime", "authorisedat", "authorisedon", "authoriseddate",
         "authoriseddatetime", "authorized", "authorizedtime", "authorizedat", "time")  # fmt: skip
_BAD = (Found.MISSING, Found.HELD)
_BRITISH = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})(?:[ T]+(\d\d:\d\d(?::\d\d)?))?", re.ASCII)
_HL7 = re.compile(r"(\d{4})(\d\d)(\d\d)(?:(\d\d)(\d\d)(\d\d)?)?", re.ASCII)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@click.command("reconcile")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--laboratory", required=True, help="Code or name of the reporting laboratory.")
@click.option("--since", required=True, help="Reports authorised from this date on (2026-03-31).")
@click.option("--number-column", default="", help="Header of the report number, if unusual.")
@click.option("--time-column", default="", help="Header of the authorised time, if unusual.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON document for programs.")
@click.option("--csv", "as_csv", is_flag=True, help="Write CSV for a spreadsheet.")
def reconcile_command(
    file: Path, laboratory: str, since: str, number_column: str, time_column: str,
    as_json: bool, as_csv: bool,
) -> None:  # fmt: skip
    """Hold a laboratory's CSV list of authorised reports against ours; daily, by cron or timer.

    Says which are missing, held (with message and reason), waiting, and which we have besides.
    Exit 1 when any is missing or held. Only report number and authorised time are read.
    """
    if as_json and as_csv:
        raise click.UsageError("--json or --csv, not both")
    begin = _since(since)
    unread: Counter[str] = Counter()
    with (
        file.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as lines,
        closing(database()) as opened,
        opened.read() as connection,
    ):
        listed = _listed(lines, number_column, time_column, unread)
        found = reconcile(connection, listed, laboratory, begin, now_micros())
        write = _write_json if as_json else _write_csv if as_csv else _write_text
        counts = write(found, unread)
    sys.exit(1 if any(counts[one] for one in _BAD) else 0)


def _since(text: str) -> int:
    try:
        return interval(text)[0]
    except InvalidValue as error:
        raise InvalidRequest("a date such as 2026-03-31", where="--since") from error


def _listed(
    lines: TextIO, number_column: str, time_column: str, unread: Counter[str]
) -> Iterator[Listed]:
    """Read the list line by line; nothing of it ever enters an error."""
    number_at, time_at, rows = _opened(lines, number_column, time_column)
    try:
        for row in rows:
            number = row[number_at].strip() if number_at < len(row) else ""
            if not number:
                unread["without number"] += any(cell.strip() for cell in row)
                continue
            time = row[time_at].strip() if time_at is not None and time_at < len(row) else ""
            authorised = _time(time)
            unread["time not understood"] += bool(time) and authorised is None
            yield Listed(_printable(number), authorised)
    except csv.Error as error:
        raise InvalidRequest(
            "this line cannot be read", where=f"line {rows.line_num + 1}"
        ) from error


def _opened(lines: TextIO, number_column: str, time_column: str) -> tuple[int, int | None, Any]:
    """Find the delimiter under which the first line names the columns."""
    first = lines.readline(csv.field_size_limit())
    for delimiter in _DELIMITERS:
        head = next(csv.reader([first], delimiter=delimiter), [])
        number = _column(head, number_column, _NUMBER)
        time = _column(head, time_column, _TIME)
        if number is not None and (time is not None or not time_column):
            return number, time, csv.reader(lines, delimiter=delimiter)
    raise InvalidRequest(
        "the first line names no such column (--number-column, --time-column)", where="header"
    )


def _column(head: Iterable[str], asked: str, usual: Iterable[str]) -> int | None:
    names = [re.sub(r"[^a-z0-9]", "", one.lower()) for one in head]
    if asked:
        plain = [one.strip().casefold() for one in head]
        return plain.index(asked.strip().casefold()) if asked.strip().casefold() in plain else None
    return next((names.index(one) for one in usual if one in names), None)


def _time(text: str) -> int | None:
    """Read ISO 8601, 31/03/2026 10:00 or HL7, local without a zone; None for anything else."""
    iso = text.replace(" ", "T", 1)
    if found := _BRITISH.fullmatch(text):
        day, month, year, clock = found.groups()
        iso = f"{year}-{month:0>2}-{day:0>2}" + (f"T{clock}" if clock else "")
    elif found := _HL7.fullmatch(text):
        year, month, day, hour, minute, second = found.groups()
        iso = f"{year}-{month}-{day}" + (f"T{hour}:{minute}:{second or '00'}" if hour else "")
    try:
        return interval(iso)[0]
    except InvalidValue:
        return None


def _printable(number: str) -> str:
    """Write a byte that is not UTF-8 as an escape: such a number is in no list of ours."""
    return number.encode("utf-8", "backslashreplace").decode().replace("\0", "")


def _write_text(found: Iterable[Finding], unread: Counter[str]) -> Counter[str]:
    def show(one: Finding) -> None:
        cells = (one.found, one.number, one.message_key or "", one.reason)
        click.echo("\t".join(_one_line(str(cell)) for cell in cells).rstrip())

    click.echo("found\treport\tmessage\treason")
    counts = _each(found, show)
    words = [f"{counts[one]} {one}" for one in Found]
    words += [f"{count} lines {what}" for what, count in unread.items() if count]
    click.echo(", ".join(words))
    return counts


def _write_json(found: Iterable[Finding], unread: Counter[str]) -> Counter[str]:
    between = ""

    def show(one: Finding) -> None:
        nonlocal between
        item = {"found": one.found, "report": one.number, "message": one.message_key,
                "reason": one.reason}  # fmt: skip
        click.echo(f"{between}\n  {json.dumps(item)}", nl=False)
        between = ","

    click.echo('{"findings": [', nl=False)
    counts = _each(found, show)
    totals = {one: counts[one] for one in Found}
    click.echo(f'\n], "counts": {json.dumps(totals)}, "unread": {json.dumps(dict(unread))}}}')
    return counts


def _write_csv(found: Iterable[Finding], unread: Counter[str]) -> Counter[str]:
    writer = csv.writer(sys.stdout)
    writer.writerow(("found", "report", "message", "reason"))

    def show(one: Finding) -> None:
        writer.writerow((one.found, _cell(one.number), one.message_key or "", _cell(one.reason)))

    counts = _each(found, show)
    for what, count in unread.items():
        if count:
            click.echo(f"{count} lines {what}", err=True)
    return counts


def _each(found: Iterable[Finding], show: Callable[[Finding], None]) -> Counter[str]:
    """Show what is not as it should be, and count everything."""
    counts: Counter[str] = Counter()
    for one in found:
        counts[one.found] += 1
        if one.found is not Found.MATCHED:
            show(one)
    return counts


def _cell(text: str) -> str:
    """Keep a spreadsheet from taking text for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _one_line(text: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f]", " ", text)
