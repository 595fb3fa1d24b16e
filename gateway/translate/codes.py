"""Code tables: a sender's local code to a standard code, from `codes/<table>.csv`.

Columns: source, text, target, display, system, comment, and where codes come and go also
valid_from and valid_to (dates, both inclusive, empty is open). A row answers to its `source` and,
where a message carries words only, to its `text`, whatever the case.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from gateway.errors import InvalidMapping
from gateway.report import Code

COLUMNS = ("source", "text", "target", "display", "system", "comment")
DATES = ("valid_from", "valid_to")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a code table."""

    source: str
    text: str
    target: str
    display: str
    system: str
    valid_from: str = ""
    valid_to: str = ""
    line: int = 0

    def in_force(self, day: str) -> bool:
        """Whether the source code stands on `day`, a date as precise as it is known."""
        begun = not self.valid_from or self.valid_from[: len(day)] <= day
        return begun and (not self.valid_to or day <= self.valid_to[: len(day)])

    def code(self, words: str) -> Code:
        """Return the standard code, with the sender's words, or ours where it sent none."""
        return Code(words or self.text or self.display, self.target, self.system, self.display)


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """One code table, found by source code or by words; it is equal to itself alone."""

    name: str
    by_source: Mapping[str, Row]
    by_text: Mapping[str, Row]

    def find(self, source: str) -> Row | None:
        """Return the row of a source code."""
        return self.by_source.get(source)

    def find_text(self, words: str) -> Row | None:
        """Return the row whose text is `words`, ignoring case and outer spaces."""
        return self.by_text.get(words.strip().casefold())


def load_table(path: Path) -> Table:
    """Read one table; raises InvalidMapping that names the file and line."""
    table, mistakes = read_table(path)
    for _, error in mistakes:
        raise error
    return table


def read_table(path: Path) -> tuple[Table, tuple[tuple[int, InvalidMapping], ...]]:
    """Read the lines of a table that are right, and say what is wrong with the others, by line."""
    by_source: dict[str, Row] = {}
    by_text: dict[str, Row] = {}
    wrong: list[tuple[int, InvalidMapping]] = []
    for line, record in _records(path):
        try:
            if isinstance(record, InvalidMapping):
                raise record
            _add(by_source, by_text, record, line, f"{path.name}:{line}")
        except InvalidMapping as error:
            wrong.append((line, error))
    return Table(path.stem, by_source, by_text), tuple(wrong)


def _records(path: Path) -> Iterator[tuple[int, Mapping[str, str | None] | InvalidMapping]]:
    """Yield the lines of a table below its first, with their numbers, up to one it cannot read."""
    line = 1
    try:
        text = path.read_bytes().decode("utf-8-sig")
        reader = csv.DictReader(io.StringIO(text, newline=""))
        if tuple(reader.fieldnames or ()) not in (COLUMNS, (*COLUMNS, *DATES)):
            columns = f"{','.join(COLUMNS)}, with or without {','.join(DATES)}"
            yield 1, InvalidMapping(f"the columns must be {columns}", where=f"{path.name}:1")
            return
        for record in reader:
            line = reader.line_num
            yield line, record
    except UnicodeDecodeError as error:
        line = bytes(error.object[: error.start]).count(b"\n") + 1
        text = "not UTF-8; save it as CSV UTF-8"
        yield line, InvalidMapping(text, where=f"{path.name}:{line}")
    except (OSError, csv.Error):
        yield line, InvalidMapping("the code table cannot be read", where=f"{path.name}:{line}")


def _add(
    by_source: dict[str, Row],
    by_text: dict[str, Row],
    record: Mapping[str, str | None],
    line: int,
    at: str,
) -> None:
    if None in record.values() or None in record:
        raise InvalidMapping("a line needs as many columns as the first", where=at)
    cells = {name: (value or "").strip() for name, value in record.items()}
    begins, ends = (_day(cells.get(name, ""), at) for name in DATES)
    source, text, target, display, system = (cells[name] for name in COLUMNS[:5])
    row = Row(source, text, target, display, system, begins, ends, line)
    if begins and ends and row.valid_to < row.valid_from:
        raise InvalidMapping("valid_to lies before valid_from", where=at)
    if not row.source and not row.text:
        raise InvalidMapping("a line needs a source or a text", where=at)
    if row.source:
        if row.source in by_source:
            raise InvalidMapping("this source stands twice", where=at)
        by_source[row.source] = row
    if row.text:
        same = by_text.setdefault(row.text.casefold(), row)
        if (same.target, same.system) != (row.target, row.system):
            raise InvalidMapping("this text stands twice with different targets", where=at)


def _day(text: str, at: str) -> str:
    try:
        return date.fromisoformat(text).isoformat() if text else ""
    except ValueError as error:
        raise InvalidMapping("a date is written as 2019-04-01", where=at) from error
