"""Every table, as SQLAlchemy Core; SQLite and PostgreSQL alike.

Instants are integers: microseconds since 1970 UTC. Clinical rows carry a `patient_key`.
"""

from __future__ import annotations

from gateway.store.tables.arrived import decision, lane, message, part, part_report, tally
from gateway.store.tables.audited import (
    audit_entry,
    audit_patient,
    audit_resource,
    audit_seal,
    audit_segment,
)
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
)
from gateway.store.tables.oauth import (
    oauth_assertion,
    oauth_authorization,
    oauth_client,
    oauth_code,
    oauth_launch,
    oauth_refresh,
    oauth_token,
)
from gateway.store.tables.people import (
    identity_decision,
    patient,
    patient_decision,
    patient_history,
    patient_identifier,
    patient_link,
    patient_merge,
    patient_merge_moved,
    patient_relative,
    report_refile,
)
from gateway.store.tables.readers import access_grant, relationship
from gateway.store.tables.staff import (
    local_account,
    person,
    person_role,
    sign_in_attempt,
    sign_in_step,
    web_session,
)

__all__ = [
    "access_grant",
    "audit_entry",
    "audit_patient",
    "audit_resource",
    "audit_seal",
    "audit_segment",
    "decision",
    "edition",
    "file",
    "identity",
    "identity_decision",
    "index_date",
    "index_pair",
    "index_quantity",
    "index_reference",
    "index_string",
    "index_token",
    "lane",
    "local_account",
    "message",
    "metadata",
    "oauth_assertion",
    "oauth_authorization",
    "oauth_client",
    "oauth_code",
    "oauth_launch",
    "oauth_refresh",
    "oauth_token",
    "part",
    "part_report",
    "patient",
    "patient_decision",
    "patient_history",
    "patient_identifier",
    "patient_link",
    "patient_merge",
    "patient_merge_moved",
    "patient_relative",
    "person",
    "person_role",
    "placed_order",
    "relationship",
    "report",
    "report_refile",
    "resource",
    "resource_version",
    "sign_in_attempt",
    "sign_in_step",
    "tally",
    "token",
    "variant_occurrence",
    "web_session",
]
