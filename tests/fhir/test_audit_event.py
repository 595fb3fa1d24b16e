"""AuditEvents have the shapes of IHE BALP, one for each interaction."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest

from gateway.fhir.audit_event import BALP, KINDS, Recorded, audit_event, interactions
from gateway.fhir.conformance import Checker
from gateway.store.audit import Event

BASE = "https://gateway.example/fhir"
EVENT = Event(
    1_760_000_000_000_000, "client-1", "read", "DiagnosticReport/a1", 200,
    returned=("DiagnosticReport/a1/_history/2",), purpose="TREAT", person="p-1",
    address="10.1.2.3", token="0123456789abcdef",
)  # fmt: skip
SEARCH = replace(
    EVENT, interaction="search-type", target="DiagnosticReport", query='[["patient","alice"]]',
    returned=("DiagnosticReport/a1", "Observation/o1"),
)  # fmt: skip


def made(event: Event, *patients: str) -> dict[str, Any]:
    return audit_event(Recorded("s.1", event, patients, BASE))


def profile(resource: dict[str, Any]) -> str:
    [claimed] = resource.get("meta", {}).get("profile", [""])
    assert not claimed or claimed.startswith(f"{BALP}/StructureDefinition/")
    return str(claimed.rpartition("/")[2].removeprefix("IHE.BasicAudit."))


def agents(resource: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["type"]["coding"][0]["code"]: one for one in resource["agent"]}


def entities(resource: dict[str, Any], type_: str) -> list[dict[str, Any]]:
    return [one for one in resource["entity"] if one["type"]["code"] == type_]


def test_a_read_says_who_read_what_of_whom() -> None:
    resource = made(EVENT, "alice")
    assert profile(resource) == "PatientRead"
    assert (resource["type"]["code"], resource["subtype"][0]["code"]) == ("rest", "read")
    assert (resource["action"], resource["outcome"]) == ("R", "0")
    assert resource["recorded"] == "2025-10-09T08:53:20.000Z"
    assert resource["purposeOfEvent"][0]["coding"][0]["code"] == "TREAT"
    # The server is where the data comes from.
    found = agents(resource)
    client, server, user = found["110152"], found["110153"], found["IRCP"]
    assert client["who"]["identifier"]["value"] == "client-1"
    assert client["network"] == {"address": "10.1.2.3", "type": "2"}
    assert client["policy"] == ["urn:ietf:params:oauth:jti:0123456789abcdef"]
    assert server["who"] == resource["source"]["observer"]
    assert server["network"]["address"] == BASE
    assert user["who"]["identifier"]["value"] == "p-1"
    assert [client["requestor"], server["requestor"], user["requestor"]] == [False, False, True]
    assert "network" not in user
    [patient] = entities(resource, "1")
    assert patient["what"] == {"reference": "Patient/alice"}
    assert patient["role"]["code"] == "1"
    [data] = entities(resource, "2")
    assert data["what"] == {"reference": "DiagnosticReport/a1/_history/2"}
    assert data["role"]["code"] == "4"


def test_a_search_says_what_was_asked_word_for_word() -> None:
    resource = made(SEARCH, "alice")
    assert profile(resource) == "PatientQuery"
    assert (resource["subtype"][0]["code"], resource["action"]) == ("search-type", "E")
    # BALP has exactly one System Object there, the query; what came back is typed otherwise.
    [query] = entities(resource, "2")
    assert query["role"]["code"] == "24"
    assert base64.b64decode(query["query"]).decode() == SEARCH.query
    assert not {"what", "detail", "lifecycle", "name"} & query.keys()
    assert entities(resource, "DiagnosticReport")[0]["what"]["reference"] == "DiagnosticReport/a1"
    # The client is where the parameters come from.
    assert agents(resource)["110153"]["who"]["identifier"]["value"] == "client-1"


@pytest.mark.parametrize(
    ("interaction", "patients", "expected"),
    [
        ("vread", ("a",), "PatientRead"),
        ("read", (), "Read"),
        ("search-type", (), "Query"),
        ("search-type", ("a", "b"), "Query"),
        ("create", ("a",), "PatientCreate"),
        ("update", ("a",), "PatientUpdate"),
        ("delete", ("a",), "PatientDelete"),
        ("create", (), "Create"),
        ("export", ("a",), "PrivacyDisclosure.Source"),
        ("export", (), ""),
        ("token", (), "IHE.IUA.71"),
        ("history-instance", ("a",), ""),
        ("batch", (), ""),
        ("operation:everything", ("a",), ""),
        ("break-glass", ("a",), ""),
        ("sign-in", (), ""),
    ],
)
def test_each_interaction_claims_the_pattern_that_it_keeps(
    interaction: str, patients: tuple[str, ...], expected: str
) -> None:
    query = "q" if interaction in ("token", "search-type") else ""
    event = replace(EVENT, interaction=interaction, query=query)
    assert profile(made(event, *patients)) == expected
    # BALP describes successes, and asks where the client is.
    assert profile(made(replace(event, status=403), *patients)) == ""
    assert profile(made(replace(event, address=""), *patients)) == ""


def test_security_events_have_the_codes_of_dicom() -> None:
    def codes(interaction: str) -> tuple[str, str]:
        resource = made(replace(EVENT, interaction=interaction))
        return resource["type"]["code"], resource["subtype"][0]["code"]

    assert codes("sign-in") == ("110114", "110122")
    assert codes("sign-out") == ("110114", "110123")
    assert codes("break-glass") == ("110113", "110127")
    assert codes("grant") == ("110113", "110137")
    assert codes("token") == ("110114", "ITI-71")
    assert codes("export") == ("110106", "disclose")
    assert codes("release") == ("110110", "release")
    assert codes("audit-search") == ("110101", "audit-search")


def test_a_refusal_is_a_minor_failure_and_a_fault_a_serious_one() -> None:
    outcomes = {
        status: made(replace(EVENT, status=status))["outcome"] for status in (304, 403, 503)
    }
    assert outcomes == {304: "0", 403: "4", 503: "8"}
    unknown = made(Event(1, "", "refusal", "/fhir/Patient", 401, address="::1"))
    [client, _server] = unknown["agent"]
    assert client["who"] == {"display": "unknown"}
    assert client["network"] == {"address": "::1", "type": "2"}


def test_a_decision_at_a_command_says_the_name_that_was_given() -> None:
    resource = made(Event(1, "cli:root", "release", "message/4", 200, subject="Ann", detail="why"))
    assert agents(resource)["IRCP"]["name"] == "Ann"
    assert resource["outcomeDesc"] == "why"
    assert resource["entity"][-1]["name"] == "message/4"


@pytest.mark.parametrize("status", [200, 403, 500])
@pytest.mark.parametrize("patients", [(), ("alice",), ("alice", "bob")])
def test_every_kind_of_event_is_sound_fhir(status: int, patients: tuple[str, ...]) -> None:
    checker = Checker()
    for interaction in (*KINDS, "operation:everything", "unheard-of"):
        for event in (EVENT, SEARCH, Event(1, "", "", "", 0), Event(1, "c", "", "x", 0)):
            asked = replace(event, interaction=interaction, status=status)
            assert checker.problems(made(asked, *patients)) == [], interaction


def test_interactions_are_found_by_their_codes() -> None:
    assert interactions(action="C") == ("create", "restore", "register")
    assert set(interactions(type_="110114", subtype="110122")) == {"sign-in"}
    assert interactions(subtype="release") == ("release",)
    assert interactions(action="X") == ()
