"""An `Access` as SQL: the one predicate that every query of resources carries.

Every row that a query returns, follows, tests or counts must pass it: what a caller may not read
is, for that caller, not there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

from sqlalchemy import ColumnElement, and_, exists, false, literal, or_, select, true
from sqlalchemy.sql.expression import FromClause

from gateway.access.access import LABELS, Right, Rule, Shape
from gateway.store.prepared import given
from gateway.store.search.parameters import PARAMETERS
from gateway.store.tables import (
    access_grant,
    index_token,
    patient,
    relationship,
    resource,
    token,
)


@lru_cache(maxsize=4096)
def guard(access: Shape, letter: str, row: FromClause) -> ColumnElement[bool]:
    """Say which rows of `row` (resource, resource_version or an alias) the caller may see.

    `letter` is the interaction: r for read, s for search. An earlier version must pass it, and
    the resource it is of must too: join and guard both. The statement is run with
    `Access.values`.
    """
    return and_(_in_scope(access, letter, row), _permitted(access, row))


def _in_scope(access: Shape, letter: str, row: FromClause) -> ColumnElement[bool]:
    whole = access.types(letter)
    if whole is None:
        return true()
    type_ = _type(row)
    allowed = [_one_of(type_, whole)] if whole else []
    for number, rule in enumerate(access.rules):
        if letter in rule.letters and not rule.open:
            allowed.append(and_(*_by_rule(number, rule, row)))
    return or_(false(), *allowed)


def _by_rule(number: int, rule: Rule, row: FromClause) -> Iterator[ColumnElement[bool]]:
    if rule.type != "*":
        yield _type(row) == rule.type
    if rule.confined:
        yield _in_compartment(row)
    for place, (parameter, count) in enumerate(rule.constraints):
        values = [f"access_{number}_{place}_{one}" for one in range(count)]
        yield _has_token(row, rule.type, parameter, values)


def _in_compartment(row: FromClause) -> ColumnElement[bool]:
    """It is of the patient of the launch, or of nobody (Organization, Practitioner).

    Whose a row is decides, never what it points to. A launch ends when its patient was merged
    into another (safety.md 4).
    """
    launched = patient.alias("launched")
    key = (
        select(launched.c.key)
        .where(launched.c.id == given("access_patient"), launched.c.merged_into.is_(None))
        .scalar_subquery()
    )
    return or_(row.c.patient_key == key, row.c.patient_key.is_(None))


def _has_token(
    row: FromClause, type_: str, parameter: str, values: list[str]
) -> ColumnElement[bool]:
    """It has one of these values of a search parameter, as the index knows it.

    Only what a search finds: an earlier version has no index, so it is not in such a scope.
    """
    if "resource_key" in row.c:
        return false()
    types = [type_] if type_ != "*" else sorted(PARAMETERS)
    found = []
    for one in types:
        if known := PARAMETERS.get(one, {}).get(parameter):
            start = literal(f"{known.number}\x1f")
            literals = [start.concat(given(value)) for value in values]
            found.append(and_(row.c.type == one, token.c.literal.in_(literals)))
    probe = exists().where(
        index_token.c.resource_key == row.c.key,
        token.c.hash == index_token.c.hash,
        or_(false(), *found),
    )
    return probe.correlate(row)


def _permitted(access: Shape, row: FromClause) -> ColumnElement[bool]:
    return or_(false(), *(_by_right(access, right, row) for right in access.rights))


def _by_right(access: Shape, right: Right, row: FromClause) -> ColumnElement[bool]:
    conditions = [_one_of(row.c.record_class, right.record_classes)]
    if right.labels != LABELS:
        conditions.append(row.c.confidentiality.in_(right.labels))
    shown = true() if right.everybody else _reached(access, right, row)
    if not right.restricted:
        shown = and_(row.c.restricted == false(), shown)
    if right.unsealed and not right.everybody:
        shown = or_(shown, _granted(access, row, unsealed=True))
    return and_(*conditions, shown)


def _reached(access: Shape, right: Right, row: FromClause) -> ColumnElement[bool]:
    ways: list[ColumnElement[bool]] = [row.c.patient_key.is_(None)]
    if access.parties:
        ways.append(_related(access, right, row))
    if access.grantees:
        ways.append(_granted(access, row))
    return or_(*ways)


def _related(access: Shape, right: Right, row: FromClause) -> ColumnElement[bool]:
    """A board or team of the caller has to do with the patient, or with just this report."""
    it = relationship.c
    parties = [given(f"access_party{number}") for number in range(access.parties)]
    found = exists().where(
        it.patient_key == row.c.patient_key,
        it.party.in_(parties),
        _one_of(it.meaning, right.meanings),
        it.since <= given("access_at"),
        it.until > given("access_at"),
        _about(it.owner, row),
    )
    return found.correlate(row)


def _granted(access: Shape, row: FromClause, *, unsealed: bool = False) -> ColumnElement[bool]:
    it = access_grant.c
    grantees = [given(f"access_grantee{number}") for number in range(access.grantees)]
    found = exists().where(
        it.patient_key == row.c.patient_key,
        it.grantee.in_(grantees),
        it.given_at <= given("access_at"),
        it.expires_at > given("access_at"),
        or_(it.report_key.is_(None), _about(it.report_key, row)),
    )
    if unsealed:
        found = found.where(it.restricted)
    return found.correlate(row)


def _about(owner: ColumnElement[int], row: FromClause) -> ColumnElement[bool]:
    """It is about the whole patient or about this row; whoever sees a report sees whose it is."""
    return or_(owner == 0, owner == row.c.owner, _type(row) == "Patient")


def _type(row: FromClause) -> ColumnElement[str]:
    if "type" in row.c:
        return row.c.type
    whole = resource.alias("whole")
    type_ = select(whole.c.type).where(whole.c.key == row.c.resource_key)
    return type_.correlate(row).scalar_subquery()


def _one_of(column: ColumnElement[str], values: Iterable[str]) -> ColumnElement[bool]:
    wanted = sorted(values)
    return column == wanted[0] if len(wanted) == 1 else column.in_(wanted)
