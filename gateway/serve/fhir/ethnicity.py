"""Shows the ethnic category to who asked for it by scope (special-category data).

It is in the patient index and not in the stored resources: whoever does not ask never gets it,
by whatever way they read. Only current Patients are completed; earlier versions and exports have
none.
"""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from gateway.access.scopes import ETHNICITY, Access
from gateway.fhir.ethnicity import with_ethnic_category
from gateway.store.database import Connection
from gateway.store.patients import ethnic_categories
from gateway.store.resources import Stored

_PATIENT = "Patient"


def completed(connection: Connection, access: Access, rows: Sequence[Stored]) -> tuple[Stored, ...]:
    """Return rows with the ethnic category in each Patient, where the caller asked for it."""
    if ETHNICITY not in access.others:
        return tuple(rows)
    ids = [one.id for one in rows if one.type == _PATIENT]
    codes = ethnic_categories(connection, ids) if ids else {}
    return tuple(_with(one, codes.get(one.id, "")) for one in rows)


def complete(connection: Connection, access: Access, row: Stored) -> Stored:
    """Return one row as `completed` does."""
    return next(iter(completed(connection, access, (row,))))


def _with(row: Stored, code: str) -> Stored:
    if row.type != _PATIENT or not code:
        return row
    content = with_ethnic_category(orjson.loads(row.body), code)
    return row._replace(body=orjson.dumps(content).decode())
