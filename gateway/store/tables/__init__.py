"""Every table, as SQLAlchemy Core; SQLite and PostgreSQL alike.

Instants are integers: microseconds since 1970 UTC. Clinical rows carry a `patient_key`.
"""

from __future__ import annotations

from gateway.store.tables.arrived import decision, lane, message, part, part_report, tally
from gateway.store.tables.columns import metadata
from gateway.store.tables.filed import (
    edition,
    file,
    identity,
    index_date,
    index_pair,
    index_quantity,
    index_reference,
    index_string,
    index_token,
    placed_order,
    report,
    resource,
    resource_version,
    token,
    variant_occurrence,
    written,
)
from gateway.store.tables.people import (
    patient,
    patient_identifier,
    patient_merge,
    patient_merge_moved,
)
from gateway.store.tables.readers import (
    access_grant,
    oauth_assertion,
    oauth_client,
    oauth_token,
    secret,
)

__all__ = [
    "access_grant",
    "decision",
    "edition",
    "file",
    "identity",
    "index_date",
    "index_pair",
    "index_quantity",
    "index_reference",
    "index_string",
    "index_token",
    "lane",
    "message",
    "metadata",
    "oauth_assertion",
    "oauth_client",
    "oauth_token",
    "part",
    "part_report",
    "patient",
    "patient_identifier",
    "patient_merge",
    "patient_merge_moved",
    "placed_order",
    "report",
    "resource",
    "resource_version",
    "secret",
    "tally",
    "token",
    "variant_occurrence",
    "written",
]
