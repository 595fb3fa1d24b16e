"""What `gateway check` tells the analyst of a sender's folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.message import Message
from gateway.parse.er7 import parse, split
from gateway.translate.check import Checked, check_sender
from gateway.translate.toml_lines import Lines

MAPPINGS = Path(__file__).parents[2] / "mappings"
HEAD = "source,text,target,display,system,comment\n"
MINE = '[sender]\nextends = "hl7v2"\n'
EXAMPLE = (
    "MSH|^~\\&|MINE|HERE|GW|NHS|20240301||ORU^R01|1|P|2.5\r"
    "PID|1||1^^^LAB||Doe^Jo||19800101|F\rPV1|1|I\r"
    "OBR|1|A1|R1|T^Test|||20240301|||||||||||||||20240302|||F\r"
    "OBX|1|NM|ZZ1^Strange||5|%|||||F\rOBX|2|ST|51969-4^Summary||fine||||||F\r"
)


def read(raw: bytes, charset: str) -> Sequence[Message]:
    return [parse(part, charset) for part in split(raw)]


def make(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write the files of a sender called `mine`, which is right where nothing is given."""
    for name, given in {"mapping.toml": MINE, **files}.items():
        path = folder / "mine" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(given if isinstance(given, bytes) else given.encode())
    return folder / "mine"


def told(checked: Checked) -> list[str]:
    return [f"{one.file}:{one.line}: {one.text}" for one in checked.mistakes]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            MINE + "[patient]\n# who\nbirth_dat = 'PID-7'",
            ["5: [patient] birth_dat: unknown word birth_dat; did you mean birth_date?"],
        ),
        (MINE + "\n[patent]\nsex = 'PID-8'", ["4: unknown word patent; did you mean patient?"]),
        (MINE + "[patient]\nsex = 'PID8'",
         ["4: [patient] sex: PID8 is not an HL7 path such as PID-3.1"]),
        (MINE + "[patient]\nsex = {from = 'PID-8', codes = 'sexx'}",
         ["4: [patient] sex: unknown word sexx; did you mean sex?"]),
        (MINE + "[patient]\nsex = {from = 'PID-8', as = 'txt'}",
         ["4: [patient] sex: unknown word txt; did you mean text?"]),
        (MINE + "[patient]\nsex = {from = 'PID-8', as = 'range'}",
         ["4: [patient] sex: the reader range does not give what sex needs; "
          "these do: text, words, date, day"]),
        (MINE + "[patient]\nsex = {as = 'text'}",
         ["4: [patient] sex: needs `from` or `default`"]),
        (MINE + "[patient]\nsex = 8", ["4: [patient] sex: `from` needs a path or a list of paths"]),
        (MINE + "[patient]\nsex = {from = 'PID-8', where = 'F'}",
         ["4: [patient] sex: `where` needs a table of path = value"]),
        (MINE + "[patient]\nsex = {from = 'PID-8', where = {'PID-3' = 5}}",
         ["4: [patient] sex: `where` needs a text or a list of texts for PID-3"]),
        ("name = 'x'\n" + MINE, ["1: [name] needs a table of field = path"]),
        ("[sender]\nextends = 'hl7v3'",
         ["2: [sender] extends: unknown word hl7v3; did you mean hl7v2?"]),
        ("[sender]\nextends = 'mine'", ["2: [sender] extends: a mapping extends itself"]),
        ("[sender]\nextends = 7\nstrict = 1\n[patient]\nsex = {from = 'PID-8', codes = 'sex'}",
         ["2: [sender] extends: `extends` needs the name of a sender",
          "3: [sender] strict: `strict` is true or false"]),
        (MINE + "version = ['2.5']",
         ["3: [sender] version: unknown word version; did you mean versions?"]),
        (MINE + "versions = '2.5'", ["3: [sender] versions: `versions` needs a list of texts"]),
        (MINE + "reports = 'snap'",
         ["3: [sender] reports: unknown word snap; did you mean snapshot?"]),
        (MINE + "policy = 'refuse'",
         ["3: [sender] policy: unknown word refuse; `policy` is hold or ae"]),
        (MINE + "trusted_patients = 'no'",
         ["3: [sender] trusted_patients: `trusted_patients` is true or false"]),
        (MINE + "time_zone = 'Europe/Nowhere'",
         ["3: [sender] time_zone: `time_zone` is not a zone such as Europe/London"]),
        (MINE + "[[sender.match]]\nfacility = 'HERE'",
         ['3: [sender] match: `match` needs a list of { application = "…", facility = "…" }']),
        (MINE + "charset = 8859",
         ["3: [sender] charset: `charset` needs a text"]),
        (MINE + "[sender.systems]\n'report.numbr' = 'urn:x'",
         ["4: [sender.systems] report.numbr: unknown word report.numbr; "
          "did you mean report.number?"]),
        (MINE + "match = [{ application = 'SAME' }]",
         ["3: [sender] match: other claims the same application and facility"]),
        (MINE + "[patient]\nsex = \n", ["4: not valid TOML: Invalid value (at line 4, column 7)"]),
    ],
)  # fmt: skip
def test_a_mistake_in_a_mapping_is_told_by_line(
    text: str, expected: list[str], tmp_path: Path
) -> None:
    other = make(tmp_path, {"mapping.toml": MINE + "match = [{ application = 'SAME' }]"})
    other.rename(tmp_path / "other")
    checked = check_sender(make(tmp_path, {"mapping.toml": text}), MAPPINGS, read)
    assert told(checked) == [f"mapping.toml:{line}" for line in expected]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (HEAD + "F,,female,,,\nF,,male,,,\n", ["3: this source stands twice"]),
        (HEAD + ",she,female,,,\n,She,male,,,\n",
         ["3: this text stands twice with different targets"]),
        (HEAD + "F,,female,,\n", ["2: a line needs as many columns as the first"]),
        (HEAD + ",,female,,,\n", ["2: a line needs a source or a text"]),
        (HEAD + "F,,female,,,\nM,man,,,,\n",
         ["3: the target is empty; a code that has none needs no line"]),
        ("source,target\n",
         ["1: the columns must be source,text,target,display,system,comment, "
          "with or without valid_from,valid_to"]),
        (HEAD.encode() + b"F,,female,,,\nM,,m\xe4le,,,\n", ["3: not UTF-8; save it as CSV UTF-8"]),
        (HEAD.strip() + ",valid_from,valid_to\nF,,f,,,,1.4.2019,\nM,,m,,,,2020-01-01,2019-01-01\n",
         ["2: a date is written as 2019-04-01", "3: valid_to lies before valid_from"]),
    ],
)  # fmt: skip
def test_a_mistake_in_a_code_table_is_told_by_line(
    rows: str | bytes, expected: list[str], tmp_path: Path
) -> None:
    checked = check_sender(make(tmp_path, {"codes/local-sex.csv": rows}), MAPPINGS, read)
    assert told(checked) == [f"codes/local-sex.csv:{line}" for line in expected]


def test_all_mistakes_are_told_and_not_only_the_first(tmp_path: Path) -> None:
    folder = make(
        tmp_path,
        {
            "mapping.toml": MINE + "polcy = 'ae'\n[patient]\nsx = 'PID'\n"
            "sex = {form = 'PID-8', as = 'nmber', codes = 'sexx'}\n[varian]\n",
            "codes/a.csv": HEAD + "A,,,,,\n,,x,,,\n",
            "codes/b.csv": HEAD + "A,,\n",
            "examples/new.hl7": EXAMPLE,
        },
    )
    places = [line.rsplit(": ", 1)[0] for line in told(check_sender(folder, MAPPINGS, read))]
    assert places == [
        "mapping.toml:3: [sender] polcy",
        "mapping.toml:5: [patient] sx",
        *["mapping.toml:6: [patient] sex"] * 4,
        "mapping.toml:7",
        "codes/a.csv:3", "codes/b.csv:2", "codes/a.csv:2", "examples/new.hl7:0",
    ]  # fmt: skip


def test_a_mistake_in_what_a_mapping_extends_is_told_where_it_is_extended(tmp_path: Path) -> None:
    parent = make(tmp_path, {"mapping.toml": "[patient]\nsx = 'PID-8'"})
    parent.rename(tmp_path / "parent")
    text = "[sender]\nextends = 'parent'\n[name]\nfamly = 'PID-5.1'"
    (first, second) = check_sender(make(tmp_path, {"mapping.toml": text}), MAPPINGS, read).mistakes
    assert (first.line, second.line) == (2, 4)
    assert "parent has a mistake of its own: parent/mapping.toml [patient] sx" in first.text


def test_a_folder_without_a_mapping_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    checked = check_sender(tmp_path / "mine", MAPPINGS, read)
    assert told(checked) == ["mapping.toml:0: the file cannot be read"]


def test_codes_and_fields_that_no_rule_reads_are_told_and_are_no_mistake(tmp_path: Path) -> None:
    files = {f"examples/{name}": EXAMPLE for name in ("one.hl7", "two.hl7")}
    expected = {"examples/one.json": "{}", "examples/two.json": "{}"}
    checked = check_sender(make(tmp_path, {**files, **expected}), MAPPINGS, read)
    assert checked.mistakes == ()
    assert [(one.name, one.examples) for one in checked.codes] == [("ZZ1", ("one.hl7", "two.hl7"))]
    names = [one.name for one in checked.fields]
    assert [name for name in names if name.startswith(("MSH", "PV1"))] == [
        "MSH-5",
        "MSH-6",
        "PV1-2",
    ]
    assert not {"PID-7", "OBR-3", "OBX-5", "OBX-1"}.intersection(names)


def test_a_rule_for_a_code_takes_it_off_the_list(tmp_path: Path) -> None:
    rule = "[variant]\nread_depth = { from = 'OBX-5', where = { 'OBX-3.1' = 'ZZ1' } }\n"
    files = {"mapping.toml": MINE + rule, "examples/one.hl7": EXAMPLE, "examples/one.json": "{}"}
    assert check_sender(make(tmp_path, files), MAPPINGS, read).codes == ()


def test_an_example_without_its_fhir_or_that_is_not_translated_is_a_mistake(tmp_path: Path) -> None:
    held = EXAMPLE.replace("20240302|||F\r", "20240302|||?\r")
    assert held != EXAMPLE
    files = {
        "examples/bare.hl7": EXAMPLE,
        "examples/held.hl7": held,
        "examples/held.json": "{}",
        "examples/known.hl7": held,
        "examples/known.held": "[]",
        "examples/rubbish.hl7": "hello",
        "examples/rubbish.json": "{}",
    }
    first, second, third = told(check_sender(make(tmp_path, files), MAPPINGS, read))
    assert first.startswith("examples/bare.hl7:0: the FHIR it must give is not beside it")
    assert second.startswith("examples/held.hl7:0: not translated: OBR[1]-25: ")
    assert third.startswith("examples/rubbish.hl7:0: not translated: MSH")


def test_what_a_mapping_extends_is_taken_from_beside_it_first(tmp_path: Path) -> None:
    standard = make(tmp_path, {"mapping.toml": "[patient]\nsex = {from = 'PID-8', codes = 'own'}",
                               "codes/own.csv": HEAD})  # fmt: skip
    standard.rename(tmp_path / "hl7v2")
    text = MINE + "[patient]\nsex = {from = 'PID-9', codes = 'own'}"
    assert told(check_sender(make(tmp_path, {"mapping.toml": text}), MAPPINGS, read)) == []


@pytest.mark.parametrize("sender", sorted(path.name for path in MAPPINGS.iterdir()))
def test_our_own_senders_have_no_mistake(sender: str) -> None:
    assert told(check_sender(MAPPINGS / sender, MAPPINGS, read)) == []


def test_the_command_tells_mistakes_by_file_and_line_and_exits_1(tmp_path: Path) -> None:
    folder = make(tmp_path, {"mapping.toml": MINE + "[patient]\nsx = 'PID-8'"})
    shown = CliRunner().invoke(main, ["check", str(folder), str(MAPPINGS / "lri")])
    assert shown.exit_code == 1
    assert f"{folder / 'mapping.toml'}:4: [patient] sx: unknown word sx; did you mean sex?" in (
        shown.stdout.splitlines()
    )
    assert f"{folder}: 1 mistake, 0 not read" in shown.stdout
    assert "no rule reads MSH-5 (Receiving Application) (carrier.hl7, " in shown.stdout
    assert CliRunner().invoke(main, ["check", str(tmp_path / "absent")]).exit_code == 1


def test_the_command_checks_every_sender_and_speaks_json() -> None:
    shown = CliRunner().invoke(main, ["check", "--json"])
    assert shown.exit_code == 0
    senders = {one["sender"]: one for one in json.loads(shown.stdout)["senders"]}
    assert set(senders) == {path.parent.name for path in MAPPINGS.glob("*/mapping.toml")}
    assert senders["lri"]["mistakes"] == []
    assert "MSH-5" in [one["name"] for one in senders["lri"]["fields"]]
    named = CliRunner().invoke(main, ["check", "--json", "lri"])
    assert [one["sender"] for one in json.loads(named.stdout)["senders"]] == ["lri"]


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (("sender", "match"), 2),
        (("sender", "types"), 4),
        (("patient", "sex"), 9),
        (("sender", "systems", "report.number"), 11),
        (("report", "number"), 13),
        (("name", "family"), 14),
        (("report", "absent"), 12),
        (("order", "placer"), 16),
        (("absent",), 1),
    ],
)
def test_a_key_is_found_in_the_toml_text(keys: tuple[str, ...], line: int) -> None:
    text = """[sender]
match = [
 { application = 'A' }]
types = ['ORU']
note = '''
absent = 1
'''
[ patient ] # who
  'sex' = 'PID-8'
[sender."systems"]
"report.number" = "urn:x"
[report]
number = 'OBR-3'
[name]
[[order]]
placer = 'OBR-2'
"""
    assert Lines(text).of(keys) == line


def test_a_dotted_key_is_found_too() -> None:
    assert Lines("\npatient.sex = 'PID-8'\n").of(("patient", "sex")) == 2
