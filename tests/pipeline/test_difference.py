"""A difference between stored resources, element by element."""

from __future__ import annotations

import pytest

from gateway.pipeline.difference import differences, digest_of
from gateway.store.changes import Change


def _change(before: str, after: str, type_: str = "Observation", id_: str = "o-1") -> Change:
    return Change(type_, id_, before, after)


@pytest.mark.parametrize(
    ("before", "after", "kind", "elements"),
    [
        ('{"status":"final"}', '{"status":"amended"}', "changed",
         [("status", '"final"', '"amended"')]),
        ('{"a":{"b":[1,2]}}', '{"a":{"b":[1,3,4]}}', "changed",
         [("a.b[1]", "2", "3"), ("a.b[2]", "", "4")]),
        ('{"a":[1,2],"x":1}', '{"a":[1]}', "changed", [("a[1]", "2", ""), ("x", "1", "")]),
        ('{"v":72.5}', '{"v":72.50}', "changed", [("v", "72.5", "72.50")]),
        ('{"v":1.5}', '{"v":"1.5"}', "changed", [("v", "1.5", '"1.5"')]),
        ('{"status":"final"}', '{"status":"entered-in-error"}', "gone",
         [("status", '"final"', '"entered-in-error"')]),
        ("", '{"status":"final"}', "added", []),
    ],
)  # fmt: skip
def test_each_changed_element_has_its_path(
    before: str, after: str, kind: str, elements: list[tuple[str, str, str]]
) -> None:
    (found,) = differences([_change(before, after)], {})
    assert found.kind == kind
    assert [(one.path, one.before, one.after) for one in found.elements] == elements


def test_versions_and_provenance_are_no_difference() -> None:
    same = _change('{"meta":{"versionId":"1"}}', '{"meta":{"versionId":"2","lastUpdated":"x"}}')
    assert differences([same, _change("", "{}", "Provenance")], {}) == ()


def test_a_role_without_its_content_names_no_variant() -> None:
    role = "implication:variant:HGNC:1101|NM_000059.4:c.5946del|1"
    (found,) = differences([_change('{"a":1}', '{"a":2}')], {"Observation/o-1": role})
    assert (found.role, found.label) == (role, "implication")


def test_a_digest_does_not_depend_on_ids_that_are_random() -> None:
    def made(id_: str, value: int = 1) -> list[Change]:
        report = f'{{"result":[{{"reference":"Observation/{id_}"}}]}}'
        return [
            _change("", f'{{"id":"{id_}","value":{value}}}', id_=id_),
            _change("{}", report, "DiagnosticReport", "r-1"),
            _change("", "{}", "Provenance", f"p-{id_}"),
        ]

    assert digest_of(1, made("aaaa")) == digest_of(1, made("bbbb"))
    assert digest_of(1, made("aaaa")) != digest_of(1, made("aaaa", 2))
    assert digest_of(1, made("aaaa")) != digest_of(2, made("aaaa"))
