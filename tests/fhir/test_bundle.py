from __future__ import annotations

from decimal import Decimal
from typing import Any
from urllib.parse import unquote
from uuid import UUID, uuid5

import orjson
import pytest

from gateway.fhir.bundle import searchset, stable_ids, to_json, transaction
from gateway.fhir.conformance import Checker
from gateway.fhir.genomics import compose
from gateway.report import Report
from tests.fhir.reports import CHI, CONTEXT, POSITIVE, SAMPLES


def bundle(report: Report, digest: str = "digest") -> dict[str, Any]:
    ids = stable_ids(digest)
    return transaction(compose(report, ids, CONTEXT), ids)


@pytest.mark.parametrize("text", ["0.50", "72.50", "12345678901234567890.12", "-1", "1E+2", "0"])
def test_a_decimal_keeps_its_text(text: str) -> None:
    assert to_json({"value": Decimal(text)}) == b'{"value":%b}' % text.encode()


@pytest.mark.parametrize("value", [Decimal("NaN"), Decimal("Infinity"), object()])
def test_what_is_no_json_number_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        to_json({"value": value})


@pytest.mark.parametrize("report", SAMPLES.values(), ids=SAMPLES)
def test_a_transaction_is_closed_and_conforms(report: Report) -> None:
    made = bundle(report)
    assert Checker().problems(made) == []
    text = to_json(made).decode()
    urls = {entry["fullUrl"] for entry in made["entry"]}
    used = {part[:45] for part in text.split('"') if part.startswith("urn:uuid:")}
    assert used == urls


def test_the_same_bytes_give_the_same_bundle() -> None:
    assert to_json(bundle(POSITIVE)) == to_json(bundle(POSITIVE))
    assert to_json(bundle(POSITIVE)) != to_json(bundle(POSITIVE, "other"))


def test_shared_resources_are_created_only_where_there_is_none() -> None:
    requests = {
        entry["resource"]["resourceType"]: entry["request"] for entry in bundle(POSITIVE)["entry"]
    }
    patient = requests["Patient"]
    assert (patient["method"], patient["url"]) == ("POST", "Patient")
    assert unquote(patient["ifNoneExist"]) == f"identifier={CHI}|0101625707"
    assert requests["PractitionerRole"]["method"] == "PUT"


def test_the_reports_own_resources_are_put_by_their_id() -> None:
    for entry in bundle(POSITIVE)["entry"]:
        if entry["request"]["method"] == "PUT":
            resource = entry["resource"]
            assert entry["request"]["url"] == f"{resource['resourceType']}/{resource['id']}"
            assert entry["fullUrl"] == f"urn:uuid:{resource['id']}"


def test_two_reports_of_one_message_share_what_is_shared() -> None:
    first, second = stable_ids("digest", "1"), stable_ids("digest", "2")
    assert first("Patient", "Patient") == second("Patient", "Patient")
    assert first("DiagnosticReport", "DiagnosticReport") != second(
        "DiagnosticReport", "DiagnosticReport"
    )


@pytest.mark.parametrize("type_", ["Patient", "Observation"])
def test_a_name_is_a_version_5_uuid_of_the_whole_name(type_: str) -> None:
    part = "" if type_ == "Patient" else "2"
    namespace = UUID("0c4f5a0e-6f0e-5d0b-9a52-2f6d3a1f7c11")
    expected = uuid5(namespace, f"digest\n{part}\n{type_}\nré|1").urn
    assert stable_ids("digest", "2")(type_, "ré|1") == expected


def test_a_search_page_keeps_the_stored_bytes() -> None:
    body = b'{"resourceType":"Patient", "id":"1"}'
    page = searchset(
        "https://gateway.example/fhir/",
        "https://gateway.example/fhir/Patient?_id=1",
        [("Patient/1", body, "match"), ("Patient/2", body, "include")],
        total=1,
        links=[("next", "https://gateway.example/fhir?page=2")],
    )
    read = orjson.loads(page)
    assert page.count(body) == 2
    assert read["total"] == 1
    assert [one["relation"] for one in read["link"]] == ["self", "next"]
    assert read["entry"][0]["fullUrl"] == "https://gateway.example/fhir/Patient/1"
    assert read["entry"][1]["search"] == {"mode": "include"}
    assert Checker().problems(read) == []


def test_an_empty_search_page_has_no_entry() -> None:
    read = orjson.loads(searchset("https://gateway.example/fhir", "https://gateway.example", []))
    assert read.keys() == {"resourceType", "type", "link"}
