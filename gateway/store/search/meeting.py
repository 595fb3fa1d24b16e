"""What it takes for a row to meet one condition, as SQL.

Each condition names the index rows that meet it. Where it leads, the row's key is in that set;
where it is probed, such a row exists for the row's key. A condition on another resource carries
the caller's Access for that one too, so that nothing can be learnt of what may not be read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import (
    CTE,
    BindParameter,
    Dialect,
    Select,
    and_,
    false,
    func,
    literal_column,
    or_,
    select,
    true,
    union,
)
from sqlalchemy.sql import ColumnElement
from sqlalchemy.sql.expression import FromClause, ScalarSelect

from gateway.access import scopes
from gateway.store.guard import guard
from gateway.store.prepared import among
from gateway.store.search.asked import (
    Coded,
    Dates,
    Either,
    Hop,
    Ids,
    Linked,
    Not,
    Pairs,
    PatientIdentifiers,
    PatientIds,
    Present,
    Quantities,
    References,
    Shape,
    Strings,
    Tokens,
)
from gateway.store.search.parameters import Kind, Place
from gateway.store.tables import (
    index_date,
    index_pair,
    index_quantity,
    index_reference,
    index_string,
    index_token,
    patient,
    patient_identifier,
    resource,
    token,
)


@dataclass(frozen=True, slots=True)
class Writing:
    """For whom and for what database SQL is written; `next` names the next value."""

    dialect: Dialect
    access: scopes.Shape
    next: Callable[[], BindParameter[Any]]


class Found(NamedTuple):
    """Rows of an index under conditions; `column` has what the row's column `of` must be."""

    column: ColumnElement[Any]
    where: tuple[ColumnElement[bool], ...]
    of: str = "key"


def met(item: Shape, writing: Writing, row: FromClause, *, probe: bool) -> ColumnElement[bool]:
    """Say that `row` (resource or an alias) meets the condition."""
    if item.kind is Dates and item.fixed[0] == 0:
        return _updated(item, writing, row)
    if direct := _DIRECT.get(item.kind):
        return direct(item, writing, row)
    if item.kind is Not:
        return ~met(item.inner[0], writing, row, probe=True)
    if item.kind is Either:
        return _either(item, writing, row, probe)
    found = _FOUND[item.kind](item, writing, probe)
    if not probe:
        return row.c[found.of].in_(select(found.column).where(*found.where))
    # PostgreSQL cannot know how common a token is and would start from its rows: the sum and the
    # offset let it only probe the index for a resource it has already.
    there: Select[Any] = select(literal_column("1")).where(
        *found.where, found.column == row.c[found.of] + 0
    )
    if writing.dialect.name != "sqlite":
        there = there.offset(literal_column("0"))
    return there.correlate(row).exists()


def _either(item: Shape, writing: Writing, row: FromClause, probe: bool) -> ColumnElement[bool]:
    if probe or not all(one.kind in _FOUND for one in item.inner):
        return or_(*(met(one, writing, row, probe=True) for one in item.inner))
    several = [_FOUND[one.kind](one, writing, False) for one in item.inner]
    if {found.of for found in several} != {several[0].of}:
        return or_(*(row.c[f.of].in_(select(f.column).where(*f.where)) for f in several))
    keys = union(*(select(found.column).where(*found.where) for found in several))
    return row.c[several[0].of].in_(keys)


# -- tokens ---------------------------------------------------------------------------------


def hash_of(take: Callable[[], BindParameter[Any]]) -> ScalarSelect[int]:
    """Find the hash of one literal: what collides never matches."""
    places = token.c.hash.in_((take(), take()))
    return select(token.c.hash).where(places, token.c.literal == take()).scalar_subquery()


def _tokens(item: Shape, writing: Writing, probe: bool) -> Found:
    rows = index_token.alias().c  # aliased, because the leading condition may read the same table
    if item.fixed == (True,):
        return Found(rows.resource_key, (rows.hash == hash_of(writing.next),))
    places = among(writing.dialect, token.c.hash, writing.next())
    literals = among(writing.dialect, token.c.literal, writing.next())
    return Found(rows.resource_key, (rows.hash.in_(select(token.c.hash).where(places, literals)),))


def _coded(item: Shape, writing: Writing, probe: bool) -> Found:
    beginning, place, by_system = item.fixed
    text = token.alias().c
    rows, column = _placed(place, by_system)
    where = [column == text.hash, func.substr(text.literal, 1, len(beginning)) == beginning]
    if by_system:
        ending = writing.next()
        start = func.length(text.literal) - func.length(ending) + 1
        where.append(func.substr(text.literal, start) == ending)
    return Found(rows.resource_key, tuple(where))


def _placed(place: Place, by_system: bool) -> tuple[Any, ColumnElement[int]]:
    if place is Place.ALONE:
        rows = index_token.alias().c
        return rows, rows.hash
    pairs = index_pair.alias().c
    return pairs, pairs[f"{place}_system" if by_system else str(place)]


def _codes(
    writing: Writing, flags: tuple[bool, ...], columns: tuple[ColumnElement[int], ...]
) -> list[ColumnElement[bool]]:
    """Say each column is the hash of a literal, where there is one."""
    wanted = [column for column, there in zip(columns, flags, strict=True) if there]
    return [column == hash_of(writing.next) for column in wanted]


def _pairs(item: Shape, writing: Writing, probe: bool) -> Found:
    rows = index_pair.alias().c
    columns = (rows.first, rows.first_system, rows.second, rows.second_system)
    some = [and_(*_codes(writing, flags, columns)) for flags in item.fixed]
    return Found(rows.resource_key, (or_(*some),))


# -- numbers, dates, texts ------------------------------------------------------------------


def _quantities(item: Shape, writing: Writing, probe: bool) -> Found:
    number, *each = item.fixed
    rows = index_quantity.alias().c
    columns = (rows.unit, rows.unit_system, rows.first, rows.first_system)
    some = []
    for prefix, *flags in each:
        compared = _number(rows.low, rows.high, prefix, writing.next(), writing.next())
        some.append(and_(compared, *_codes(writing, tuple(flags), columns)))
    return Found(rows.resource_key, (rows.parameter == number, or_(*some)))


def _number(
    low: ColumnElement[float],
    high: ColumnElement[float],
    prefix: str,
    first: ColumnElement[float],
    end: ColumnElement[float],
) -> ColumnElement[bool]:
    """Compare a stored quantity (R4 search.html, number and quantity)."""
    inside = and_(low >= first, high < end)
    return {
        "eq": lambda: inside,
        "ne": lambda: ~inside,
        "lt": lambda: and_(low < first, first == end),
        "gt": lambda: and_(high > first, first == end),
        "le": lambda: and_(low <= first, first == end),
        "ge": lambda: and_(high >= first, first == end),
        "sa": lambda: and_(low > first, first == end),
        "eb": lambda: and_(high < first, first == end),
        "ap": lambda: and_(high >= first, low <= end),
    }[prefix]()


def _dates(item: Shape, writing: Writing, probe: bool) -> Found:
    number, prefixes = item.fixed
    rows = index_date.alias().c
    ranges = _overlaps(prefixes, writing, rows.low, rows.high)
    return Found(rows.resource_key, (rows.parameter == number, or_(*ranges)))


def _overlaps(
    prefixes: tuple[str, ...],
    writing: Writing,
    low: ColumnElement[int],
    high: ColumnElement[int],
) -> list[ColumnElement[bool]]:
    return [_overlap(low, high, prefix, writing.next(), writing.next()) for prefix in prefixes]


def _overlap(
    low: ColumnElement[int],
    high: ColumnElement[int],
    prefix: str,
    first: ColumnElement[int],
    end: ColumnElement[int],
) -> ColumnElement[bool]:
    """Compare the interval of a resource with the one asked for (R4 search.html, prefixes)."""
    inside = and_(low >= first, high <= end)
    return {
        "eq": lambda: inside,
        "ne": lambda: ~inside,
        "lt": lambda: low < first,
        "gt": lambda: high > end,
        "le": lambda: or_(low < first, inside),
        "ge": lambda: or_(high > end, inside),
        "sa": lambda: low >= end,
        "eb": lambda: high <= first,
        "ap": lambda: and_(low < end, high > first),
    }[prefix]()


def _strings(item: Shape, writing: Writing, probe: bool) -> Found:
    number, mode, count = item.fixed
    rows = index_string.alias().c
    compare: dict[str, Callable[[], ColumnElement[bool]]] = {
        "starts": lambda: and_(rows.text >= writing.next(), rows.text < writing.next()),
        "exact": lambda: and_(rows.text == writing.next(), rows.exact == writing.next()),
        "contains": lambda: _holds(writing, rows.text),
    }
    some = [compare[mode]() for _ in range(count)]
    return Found(rows.resource_key, (rows.parameter == number, or_(*some)))


def _holds(writing: Writing, text: ColumnElement[str]) -> ColumnElement[bool]:
    find = func.instr if writing.dialect.name == "sqlite" else func.strpos
    return find(text, writing.next()) > 0


def _present(item: Shape, writing: Writing, probe: bool) -> Found:
    number, kind = item.fixed
    table, column = {
        Kind.DATE: (index_date, "resource_key"),
        Kind.STRING: (index_string, "resource_key"),
        Kind.QUANTITY: (index_quantity, "resource_key"),
        Kind.REFERENCE: (index_reference, "source_key"),
    }[kind]
    rows = table.alias().c
    return Found(rows[column], (rows.parameter == number,))


# -- other resources ------------------------------------------------------------------------


def _references(item: Shape, writing: Writing, probe: bool) -> Found:
    number, each = item.fixed
    rows, target = index_reference.alias().c, resource.alias()
    wanted = [and_(target.c.type.in_(types), target.c.id == writing.next()) for types in each]
    where = (rows.parameter == number, target.c.key == rows.target_key, or_(false(), *wanted))
    return Found(rows.source_key, (*where, guard(writing.access, "s", target)))


def _linked(item: Shape, writing: Writing, probe: bool) -> Found:
    hop: Hop = item.fixed[0]
    other = resource.alias()
    # The line of a patient is found once for all rows: there, nothing can be probed for each.
    probe = probe and (hop.backwards or not hop.patient)
    readable = (
        other.c.type.in_(hop.types),
        ~other.c.deleted,
        guard(writing.access, "s", other),
        met(item.inner[0], writing, other, probe=probe),
    )
    if hop.patient and hop.backwards:
        return Found(other.c.patient_key, readable, "patient_key")
    if hop.patient:
        kin = line(select(other.c.patient_key).where(*readable))
        return Found(kin.c[0], (true(),), "patient_key")
    rows = index_reference.alias().c
    here: ColumnElement[int] = rows.source_key
    there: ColumnElement[int] = rows.target_key
    if hop.backwards:
        here, there = there, here
    if probe:  # from the few references of the row to their ends, never from all such ends
        there = there + 0
    return Found(here, (rows.parameter == hop.number, other.c.key == there, *readable))


def _patient_ids(item: Shape, writing: Writing, row: FromClause) -> ColumnElement[bool]:
    ids = [writing.next() for _ in range(item.fixed[0])]
    asked = select(patient.c.key).where(patient.c.id.in_(ids))
    return row.c.patient_key.in_(select(line(asked).c[0]))


def _patient_identifiers(item: Shape, writing: Writing, row: FromClause) -> ColumnElement[bool]:
    record, found = resource.alias(), patient_identifier.alias().c
    pairs = [
        and_(found.system == writing.next(), found.value == writing.next())
        for _ in range(item.fixed[0])
    ]
    # The caller learns that this patient exists: the Patient itself must be readable.
    asked = (
        select(found.patient_key)
        .join(record, record.c.patient_key == found.patient_key)
        .where(or_(*pairs), found.state.in_(("current", "retired")))
        .where(record.c.type == "Patient", ~record.c.deleted, guard(writing.access, "s", record))
    )
    return row.c.patient_key.in_(select(line(asked).c[0]))


def line(asked: Select[tuple[int]]) -> CTE:
    """Return the keys asked for and of everyone they were merged into."""
    kin = asked.cte(recursive=True)
    earlier = patient.alias()
    survivors = (
        select(earlier.c.merged_into)
        .join(kin, kin.c[0] == earlier.c.key)
        .where(earlier.c.merged_into.is_not(None))
    )
    return kin.union(survivors)


# -- the row itself -------------------------------------------------------------------------


def _ids(item: Shape, writing: Writing, row: FromClause) -> ColumnElement[bool]:
    return row.c.id.in_([writing.next() for _ in range(item.fixed[0])])


def _updated(item: Shape, writing: Writing, row: FromClause) -> ColumnElement[bool]:
    updated = row.c.updated_at
    return or_(*_overlaps(item.fixed[1], writing, updated, updated + 1000))


_DIRECT: dict[type[Any], Callable[[Shape, Writing, FromClause], ColumnElement[bool]]] = {
    Ids: _ids,
    PatientIds: _patient_ids,
    PatientIdentifiers: _patient_identifiers,
}
_FOUND: dict[type[Any], Callable[[Shape, Writing, bool], Found]] = {
    Tokens: _tokens,
    Coded: _coded,
    Pairs: _pairs,
    Quantities: _quantities,
    Strings: _strings,
    Dates: _dates,
    Present: _present,
    References: _references,
    Linked: _linked,
}
