"""FHIR XML: fhir.resources, which shares no code with our writer, reads back the same resource."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class
from lxml import etree

from gateway.errors import InvalidValue
from gateway.fhir.xml import from_xml, to_xml

EXAMPLES = sorted(Path(__file__).parents[2].glob("mappings/*/examples/*.json"))
NAMES = {"f": "http://hl7.org/fhir", "h": "http://www.w3.org/1999/xhtml"}


def _bundles(path: Path) -> list[Any]:
    found = json.loads(path.read_bytes(), parse_float=Decimal)
    return found if isinstance(found, list) else [found]


def _read_back(xml: bytes, type_: str) -> Any:
    model: Any = get_fhir_model_class(type_)
    return _plain(model.model_validate_xml(xml))


def _plain(resource: Any) -> Any:
    return json.loads(resource.model_dump_json(), object_hook=_with_canonical_narrative)


def _with_canonical_narrative(value: dict[str, Any]) -> dict[str, Any]:
    return {**value, "div": etree.canonicalize(value["div"])} if "div" in value else value


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parts[-3]}-{path.stem}")
def test_every_example_reads_back_the_same(path: Path) -> None:
    for bundle in _bundles(path):
        back = _read_back(to_xml(bundle), "Bundle")
        model: Any = get_fhir_model_class("Bundle")
        assert back == _plain(model.model_validate(bundle))


def _xml(resource: dict[str, Any]) -> etree._Element:
    return etree.fromstring(to_xml(resource))


def test_elements_stand_in_the_order_of_the_standard() -> None:
    shown = _xml({"code": {"text": "c"}, "status": "final", "resourceType": "Observation",
                  "component": [{"valueString": "v", "code": {"text": "k"}}],
                  "valueString": "x", "id": "a", "meta": {"profile": ["http://p"]}})  # fmt: skip
    assert [etree.QName(one).localname for one in shown] == [
        "id", "meta", "status", "code", "valueString", "component",
    ]  # fmt: skip
    assert [etree.QName(one).localname for one in shown[-1]] == ["code", "valueString"]


def test_ids_and_urls_are_attributes_where_the_standard_says_so() -> None:
    shown = _xml({"resourceType": "Patient", "id": "p", "extension": [
        {"url": "http://e", "id": "x", "valueCode": "c"}],
        "contact": [{"id": "k", "name": {"text": "n"}}]})  # fmt: skip
    assert shown.xpath("string(f:id/@value)", namespaces=NAMES) == "p"
    assert shown.xpath("string(f:extension/@url)", namespaces=NAMES) == "http://e"
    assert shown.xpath("string(f:extension/@id)", namespaces=NAMES) == "x"
    assert shown.xpath("string(f:contact/@id)", namespaces=NAMES) == "k"
    assert not shown.xpath("f:extension/f:url", namespaces=NAMES)


def test_the_extensions_of_a_primitive_stand_inside_it() -> None:
    absent = {"extension": [{"url": "http://absent", "valueCode": "unknown"}]}
    shown = _xml({"resourceType": "Patient", "name": [
        {"_family": absent, "given": ["A", None], "_given": [None, absent]}]})  # fmt: skip
    assert shown.xpath("count(f:name/f:family[not(@value)]/f:extension)", namespaces=NAMES) == 1
    assert shown.xpath("count(f:name/f:given[not(@value)]/f:extension)", namespaces=NAMES) == 1
    assert shown.xpath("count(f:name/f:given[@value='A'])", namespaces=NAMES) == 1


def test_values_keep_their_text() -> None:
    given = "a<b>&\"c'\n\td"
    shown = _xml({"resourceType": "Observation", "valueQuantity": {"value": Decimal("0.50")},
                  "note": [{"text": given}], "text": {"status": "generated", "div":
                  '<div xmlns="http://www.w3.org/1999/xhtml"><b>x</b></div>'}})  # fmt: skip
    assert shown.xpath("string(f:valueQuantity/f:value/@value)", namespaces=NAMES) == "0.50"
    assert shown.xpath("string(f:note/f:text/@value)", namespaces=NAMES) == given
    assert shown.xpath("string(f:text/h:div/h:b)", namespaces=NAMES) == "x"
    patient = _xml({"resourceType": "Patient", "active": False})
    assert patient.xpath("string(f:active/@value)", namespaces=NAMES) == "false"


def test_an_element_of_no_class_is_refused_by_its_place() -> None:
    with pytest.raises(InvalidValue) as caught:
        to_xml({"resourceType": "Patient", "contact": [{"nick": "x"}]})
    assert caught.value.where == "Patient.contact.nick"


# -- read -----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parts[-3]}-{path.stem}")
def test_what_we_write_is_what_we_read(path: Path) -> None:
    for bundle in _bundles(path):
        assert _canonical(from_xml(to_xml(bundle))) == _canonical(bundle)


def _canonical(content: Any) -> Any:
    if isinstance(content, list):
        return [_canonical(one) for one in content]
    if not isinstance(content, dict):
        return content
    plain = {name: _canonical(value) for name, value in content.items()}
    return _with_canonical_narrative(plain)


def test_what_another_wrote_is_read_with_its_types() -> None:
    model: Any = get_fhir_model_class("Patient")
    given = {
        "resourceType": "Patient", "active": False, "multipleBirthInteger": 2,
        "birthDate": "1962-01", "_birthDate": {"extension": [
            {"url": "http://e", "valueDecimal": 0.5}]},
        "name": [{"given": ["A", "B"]}],
        "contained": [{"resourceType": "Organization", "id": "o"}],
    }  # fmt: skip
    read = from_xml(model.model_validate(given).model_dump_xml())
    assert read == {**given, "_birthDate": {"extension": [
        {"url": "http://e", "valueDecimal": Decimal("0.5")}]}}  # fmt: skip


@pytest.mark.parametrize(
    ("inner", "where"),
    [
        ('<nick value="x"/>', "Patient.nick"),
        ('<gender value="male"/><name><family value="x"/></name>', "Patient.name"),
        ('<gender value="male"/><gender value="male"/>', "Patient.gender"),
        ('<active value="yes"/>', "Patient.active"),
        ('<multipleBirthInteger value="1.5"/>', "Patient.multipleBirthInteger"),
        ('<gender code="male"/>', "Patient.gender"),
        ("<gender>male</gender>", "Patient.gender"),
        ("text", "Patient"),
        ('<contained><Spaceship xmlns="http://hl7.org/fhir"/></contained>', "Patient.contained"),
        ("<contained/>", "Patient.contained"),
        ('<text><status value="additional"/><div>x</div></text>', "Patient.text.div"),
    ],
)
def test_what_is_no_resource_is_refused_by_its_place(inner: str, where: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        from_xml(f'<Patient xmlns="http://hl7.org/fhir">{inner}</Patient>'.encode())
    assert caught.value.where == where


def test_the_id_of_a_primitive_is_read() -> None:
    given = {"resourceType": "Patient", "name": [
        {"given": ["A", "B", None], "_given": [None, {"id": "g"}, {"id": "h"}]}]}  # fmt: skip
    assert from_xml(to_xml(given)) == given


def test_another_namespace_is_refused() -> None:
    with pytest.raises(InvalidValue):
        from_xml(b"<Patient/>")
