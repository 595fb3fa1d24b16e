"""Search values: what `parameters` names, found in a resource's content, written as index rows.

`values` is pure: content in, tokens, references and date intervals out. `write_index` gives
them database keys.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from gateway.errors import Hold, IdentityHold, InvalidValue, NotConformant, VersionConflict
from gateway.store.bulk import among, insert_rows
from gateway.store.dates import FIRST, LAST, interval
from gateway.store.parameters import Kind, Parameter, indexed
from gateway.store.tables import (
    index_date,
    index_reference,
    index_token,
    patient,
    resource,
    token,
)

_ID = re.compile(r"[A-Za-z0-9.-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Values:
    """The search values of one resource.

    `tokens` are literals as `token_literal` writes them; `references` are
    (parameter number, element path, type, id); `dates` are (parameter number, low, high).
    """

    tokens: frozenset[str]
    references: frozenset[tuple[int, str, str, str]]
    dates: frozenset[tuple[int, int, int]]


def values(type_: str, content: Mapping[str, Any]) -> Values:
    """Extract every indexed value; raises InvalidValue with the place of a bad date."""
    tokens: set[str] = set()
    references: set[tuple[int, str, str, str]] = set()
    dates: set[tuple[int, int, int]] = set()
    for parameter in indexed(type_):
        for path in parameter.paths:
            for value in at(content, path):
                if parameter.kind is Kind.TOKEN:
                    tokens.update(_tokens(parameter, value))
                elif parameter.kind is Kind.DATE:
                    dates.add((parameter.number, *_dates(f"{type_}.{path}", value)))
                elif found := local_reference(value.get("reference", "")):
                    references.add((parameter.number, path, *found))
    return Values(frozenset(tokens), frozenset(references), frozenset(dates))


def at(content: Any, path: str) -> Iterator[Any]:
    """Yield every value at an element path, through lists."""
    first, _, rest = path.partition(".")
    value = content.get(first)
    if value is None:
        return
    for item in value if isinstance(value, list) else (value,):
        if not rest:
            yield item
        elif isinstance(item, dict):
            yield from at(item, rest)


def token_literal(parameter: Parameter, code: str, system: str | None = None) -> str:
    """Write one token as it is hashed; without a system it stands for the code in any system."""
    literal = f"{parameter.number}\x1f{code}"
    return literal if system is None else f"{literal}\x1f{system}"


def token_hashes(literal: str) -> tuple[int, int]:
    """Return the place of a literal in the token table, and where it goes if that is taken."""
    digest = hashlib.sha256(literal.encode()).digest()
    # 63 bits: the sign bit stays clear, because a negative key sorts first.
    return (
        int.from_bytes(digest[:8], "big") >> 1,
        int.from_bytes(digest[8:16], "big") >> 1,
    )


def is_id(text: str) -> bool:
    """Whether the text can be the id of a resource."""
    return _ID.fullmatch(text) is not None


def local_reference(text: str) -> tuple[str, str] | None:
    """Split a relative reference `Type/id`; None for anything else."""
    type_, slash, id_ = text.partition("/")
    return (type_, id_) if slash and type_.isalpha() and id_ and "/" not in id_ else None


def _tokens(parameter: Parameter, value: Any) -> Iterator[str]:
    if isinstance(value, str):
        # A code has one system, fixed by its binding: one row is enough.
        yield token_literal(parameter, value)
        return
    for system, code in _codings(value):
        yield token_literal(parameter, code, system)
        yield token_literal(parameter, code)


def _codings(value: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(value, dict):
        return
    if "coding" in value:
        for coding in value["coding"]:
            yield from _codings(coding)
    elif code := value.get("value") or value.get("code"):
        yield value.get("system", ""), code


def _dates(where: str, value: Any) -> tuple[int, int]:
    try:
        if isinstance(value, str):
            return interval(value)
        low = interval(value["start"])[0] if "start" in value else FIRST
        high = interval(value["end"])[1] if "end" in value else LAST
    except InvalidValue as error:
        raise InvalidValue(error.text, where=where) from error
    return low, high


# -- rows -----------------------------------------------------------------------------------


class Entry(NamedTuple):
    """One resource to index; `content` is None for one that was deleted."""

    key: int
    type: str
    id: str
    patient_key: int | None
    content: Mapping[str, Any] | None


class _Target(NamedTuple):
    key: int
    patient_key: int | None


def write_index(connection: Connection, entries: Sequence[Entry]) -> None:
    """Insert the index rows of resources that have none.

    Raises NotConformant for a reference that leads nowhere and IdentityHold for one that leads
    to another patient.
    """
    found = [(entry, values(entry.type, entry.content)) for entry in entries if entry.content]
    hashes = _token_rows(connection, {text for _, value in found for text in value.tokens})
    tokens = [(hashes[text], entry.key) for entry, value in found for text in value.tokens]
    insert_rows(connection, index_token, tokens)
    known = {(e.type, e.id): _Target(e.key, e.patient_key) for e in entries}
    insert_rows(connection, index_reference, _reference_rows(connection, found, known))
    dates = [(entry.key, *date) for entry, value in found for date in value.dates]
    insert_rows(connection, index_date, dates)


def _token_rows(connection: Connection, literals: set[str]) -> dict[str, int]:
    """Find or make the token row of every literal; a taken hash moves on to its second place."""
    places = {text: token_hashes(text) for text in literals}
    query = select(token).where(
        among(connection, token.c.hash, {place for pair in places.values() for place in pair})
    )
    taken: dict[int, str] = {row.hash: row.literal for row in connection.execute(query)}
    hashes: dict[str, int] = {}
    for text, pair in places.items():
        free = [place for place in pair if taken.get(place, text) == text]
        if not free:
            raise VersionConflict("two search values share both their hashes")
        hashes[text] = free[0]
        taken.setdefault(free[0], text)
    insert_rows(connection, token, sorted(taken.items()), skip=True)
    return hashes


def _reference_rows(
    connection: Connection,
    found: Sequence[tuple[Entry, Values]],
    known: Mapping[tuple[str, str], _Target],
) -> list[tuple[int, int, int]]:
    places = {ref[2:] for _, value in found for ref in value.references}
    targets = {**known, **_targets(connection, places - known.keys())}
    rows: set[tuple[int, int, int]] = set()
    for entry, value in found:
        for number, path, type_, id_ in value.references:
            target = targets.get((type_, id_))
            where = f"{entry.type}.{path}"
            if target is None:
                raise NotConformant("refers to a resource that is not stored", where=where)
            _same_patient(connection, entry, target, where)
            rows.add((entry.key, number, target.key))
    return sorted(rows)


def _targets(
    connection: Connection, places: set[tuple[str, str]]
) -> dict[tuple[str, str], _Target]:
    if not places:
        return {}
    columns = (resource.c.type, resource.c.id, resource.c.key, resource.c.patient_key)
    query = (
        select(*columns)
        .where(resource.c.type.in_({type_ for type_, _ in places}))
        .where(among(connection, resource.c.id, {id_ for _, id_ in places}))
    )
    return {
        (row.type, row.id): _Target(row.key, row.patient_key) for row in connection.execute(query)
    }


def _same_patient(connection: Connection, entry: Entry, target: _Target, where: str) -> None:
    if entry.patient_key is None or target.patient_key in (None, entry.patient_key):
        return
    # A report keeps naming the patient it was written for after that one was merged.
    query = select(patient.c.merged_into).where(patient.c.key == target.patient_key)
    if connection.execute(query).scalar() is None:
        text = "refers to a resource of another patient"
        raise IdentityHold(Hold.REPORT_PATIENT, text, where=where)
