"""Every example of every sender: the message beside it gives exactly the FHIR beside it.

`pytest --write-expected` rewrites the expected files; review the difference as code.
"""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from gateway.errors import InvalidMapping
from gateway.fhir.conformance import Checker
from gateway.pipeline.convert import convert
from gateway.translate.mapping import Mappings, load_mapping, load_mappings

FOLDER = Path(__file__).parents[1] / "mappings"
EXAMPLES = sorted(FOLDER.glob("*/examples/*.hl7"))


@pytest.fixture(scope="module")
def mappings() -> Mappings:
    return load_mappings(FOLDER)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: f"{path.parts[-3]}-{path.stem}")
def test_an_example_gives_the_expected_fhir(
    example: Path, mappings: Mappings, request: pytest.FixtureRequest
) -> None:
    (converted,) = convert(example.read_bytes(), mappings, example.parts[-3])
    expected = example.with_suffix(".json")
    if not expected.exists() and converted.refused:
        # What must be held says so, and where and why, in a file of its own.
        held = [[str(one.hold), one.place, one.text] for one in converted.refused]
        assert held == orjson.loads(example.with_suffix(".held").read_bytes())
        return
    assert converted.refused == ()
    bundle = orjson.loads(converted.bundle)
    if request.config.getoption("--write-expected"):
        expected.write_bytes(orjson.dumps(bundle, option=orjson.OPT_INDENT_2) + b"\n")
    assert bundle == orjson.loads(expected.read_bytes())
    for entry in bundle["entry"]:
        assert Checker().problems({"id": "x", **entry["resource"]}) == []


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: f"{path.parts[-3]}-{path.stem}")
def test_translating_twice_gives_the_same_bytes(example: Path, mappings: Mappings) -> None:
    raw = example.read_bytes()
    assert convert(raw, mappings)[0].bundle == convert(raw, mappings)[0].bundle


def test_every_sender_has_an_example() -> None:
    senders = {path.parent.name for path in FOLDER.glob("*/mapping.toml")}
    assert {example.parts[-3] for example in EXAMPLES} == senders


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[patient]\nbirth_dat = 'PID-7'", "did you mean birth_date"),
        ("[patent]\nsex = 'PID-8'", "did you mean patient"),
        ("[patient]\nsex = 'PID8'", "not an HL7 path"),
        ("[patient]\nsex = {from = 'PID-8', codes = 'sexes'}", "unknown word sexes"),
        ("[patient]\nsex = {from = 'PID-8', as = 'number'}", "does not give what sex needs"),
        ("[patient]\nsex = {form = 'PID-8'}", "did you mean from"),
        ("[sender]\nversion = ['2.5']", "did you mean versions"),
        ("[sender]\nreports = 'sometimes'", "snapshot, delta or undeclared"),
        ("[sender]\nextends = 'bad'", "extends itself"),
        ("sender", "not valid TOML"),
    ],
)
def test_a_mistake_in_a_mapping_is_named_with_its_place(
    text: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "mapping.toml").write_text(text)
    with pytest.raises(InvalidMapping, match=said) as caught:
        load_mapping(tmp_path, "bad")
    assert caught.value.where.startswith("bad/mapping.toml")


def test_a_mistake_in_a_code_table_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "bad" / "codes").mkdir(parents=True)
    (tmp_path / "bad" / "mapping.toml").write_text("")
    table = tmp_path / "bad" / "codes" / "sex.csv"
    table.write_text("source,text,target,display,system,comment\nF,,female,,,\nF,,male,,,\n")
    with pytest.raises(InvalidMapping, match="stands twice") as caught:
        load_mapping(tmp_path, "bad")
    assert caught.value.where == "sex.csv:3"
