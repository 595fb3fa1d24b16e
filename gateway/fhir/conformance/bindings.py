"""Required bindings of base R4 elements that the gateway writes, by class and element.

From the R4 specification, value sets named by each element; larger open lists (languages,
MIME types, currencies, UCUM) are not closed here.
"""

from __future__ import annotations

from collections.abc import Mapping


def _codes(text: str) -> frozenset[str]:
    return frozenset(text.split())


_GENDER = _codes("male female other unknown")
_REQUEST_STATUS = _codes("draft active on-hold revoked completed entered-in-error unknown")
_PRIORITY = _codes("routine urgent asap stat")
_FORMAT_TYPES = _codes("number date string token reference composite quantity uri special")
_INTENT = _codes(
    "proposal plan directive order original-order reflex-order filler-order instance-order option"
)

BINDINGS: Mapping[tuple[str, str], frozenset[str]] = {
    ("Address", "type"): _codes("postal physical both"),
    ("Address", "use"): _codes("home work temp old billing"),
    ("BundleEntryRequest", "method"): _codes("GET HEAD POST PUT DELETE PATCH"),
    ("BundleEntrySearch", "mode"): _codes("match include outcome"),
    ("Bundle", "type"): _codes(
        "document message transaction transaction-response batch batch-response history "
        "searchset collection"
    ),
    ("CapabilityStatement", "kind"): _codes("instance capability requirements"),
    ("CapabilityStatement", "status"): _codes("draft active retired unknown"),
    ("CapabilityStatementRest", "mode"): _codes("client server"),
    ("CapabilityStatementRestInteraction", "code"): _codes(
        "transaction batch search-system history-system"
    ),
    ("CapabilityStatementRestResource", "versioning"): _codes(
        "no-version versioned versioned-update"
    ),
    ("CapabilityStatementRestResourceInteraction", "code"): _codes(
        "read vread update patch delete history-instance history-type create search-type"
    ),
    ("CapabilityStatementRestResourceSearchParam", "type"): _FORMAT_TYPES,
    ("ContactPoint", "system"): _codes("phone fax email pager url sms other"),
    ("ContactPoint", "use"): _codes("home work temp old mobile"),
    ("DiagnosticReport", "status"): _codes(
        "registered partial preliminary final amended corrected appended cancelled "
        "entered-in-error unknown"
    ),
    ("DocumentReference", "docStatus"): _codes("preliminary final amended entered-in-error"),
    ("DocumentReference", "status"): _codes("current superseded entered-in-error"),
    ("DocumentReferenceRelatesTo", "code"): _codes("replaces transforms signs appends"),
    ("HumanName", "use"): _codes("usual official temp nickname anonymous old maiden"),
    ("Identifier", "use"): _codes("usual official temp secondary old"),
    ("Narrative", "status"): _codes("generated extensions additional empty"),
    ("Observation", "status"): _codes(
        "registered preliminary final amended corrected cancelled entered-in-error unknown"
    ),
    ("OperationOutcomeIssue", "code"): _codes(
        "invalid structure required value invariant security login unknown expired forbidden "
        "suppressed processing not-supported duplicate multiple-matches not-found deleted "
        "too-long code-invalid extension too-costly business-rule conflict transient "
        "lock-error no-store exception timeout incomplete throttled informational"
    ),
    ("OperationOutcomeIssue", "severity"): _codes("fatal error warning information"),
    ("Patient", "gender"): _GENDER,
    ("PatientLink", "type"): _codes("replaced-by replaces refer seealso"),
    ("Practitioner", "gender"): _GENDER,
    ("Procedure", "status"): _codes(
        "preparation in-progress not-done on-hold stopped completed entered-in-error unknown"
    ),
    ("ProvenanceEntity", "role"): _codes("derivation revision quotation source removal"),
    ("Quantity", "comparator"): _codes("< <= >= >"),
    ("ServiceRequest", "intent"): _INTENT,
    ("ServiceRequest", "priority"): _PRIORITY,
    ("ServiceRequest", "status"): _REQUEST_STATUS,
    ("Specimen", "status"): _codes("available unavailable unsatisfactory entered-in-error"),
    ("Task", "intent"): _codes(
        "unknown proposal plan order original-order reflex-order filler-order instance-order option"
    ),
    ("Task", "priority"): _PRIORITY,
    ("Task", "status"): _codes(
        "draft requested received accepted rejected ready cancelled in-progress on-hold failed "
        "completed entered-in-error"
    ),
}
