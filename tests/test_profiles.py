"""Our profiles: each valid example passes, each other one fails where its name says."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli import main

FOLDER = Path(__file__).parents[1] / "profiles"
CANONICAL = "https://genomics-gateway.example/fhir/StructureDefinition/"
# Where each broken example is wrong.
WRONG = {
    "national-laboratory/no-name": "Organization.name",
    "national-laboratory/no-ods-code": "Organization.identifier",
    "national-order/no-requester": "ServiceRequest.requester",
    "national-order/no-test-code": "ServiceRequest.code",
    "national-order/placer-number-twice": "ServiceRequest.identifier[1]",
    "national-order/requested-by-a-device": "ServiceRequest.requester",
    "national-order/test-code-without-system": "ServiceRequest.code.coding[0].system",
    "national-patient/chi-of-nine-digits": "Patient.identifier[0]",
    "national-patient/chi-twice": "Patient.identifier[1]",
    "national-patient/chi-typed-as-a-board-number": "Patient.identifier[0].type",
    "national-patient/ethnic-category-unknown-code":
        "Patient.extension[0].valueCodeableConcept.coding[0]",
    "national-patient/ethnic-category-without-scottish-code":
        "Patient.extension[0].valueCodeableConcept.coding",
    "national-patient/no-identifier": "Patient.identifier",
    "national-report/effective-over-a-period": "DiagnosticReport.effectivePeriod",
    "national-report/laboratory-without-ods-code": "Bundle.entry[0].resource.performer[0]",
    "national-report/no-genetics-category": "DiagnosticReport.category",
    "national-report/no-laboratory-category": "DiagnosticReport.category",
    "national-report/no-performer": "DiagnosticReport.performer",
    "national-report/no-report-code-of-the-nhs": "DiagnosticReport.code",
    "national-report/no-subject": "DiagnosticReport.subject",
    "national-report/performer-is-a-device": "DiagnosticReport.performer[0].reference",
    "national-specimen/collected-over-a-period": "Specimen.collection.collectedPeriod",
    "national-specimen/no-subject": "Specimen.subject",
    "national-specimen/subject-is-a-group": "Specimen.subject",
}  # fmt: skip
EXAMPLES = sorted(FOLDER.glob("examples/*/*.json"))
VALID = {"valid", "without-chi"}


def _run(data: Path, *arguments: str | Path) -> Result:
    environment = {"GATEWAY_DATA": str(data)}
    return CliRunner().invoke(main, [str(one) for one in arguments], env=environment)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parts[-2]}-{path.stem}")
def test_each_example_is_judged_as_its_name_says(path: Path, tmp_path: Path) -> None:
    profile = CANONICAL + path.parts[-2]
    shown = _run(tmp_path, "validate", "--profile", profile, path)
    errors = [line for line in shown.stdout.splitlines() if ": error: " in line]
    if path.stem in VALID:
        assert (shown.exit_code, errors) == (0, [])
    else:
        where = WRONG[f"{path.parts[-2]}/{path.stem}"]
        assert shown.exit_code == 1
        assert any(f": {where}: error: " in line for line in errors), errors


def test_every_profile_has_a_valid_and_a_broken_example() -> None:
    names = {path.name.split("-", 1)[1][:-5] for path in FOLDER.glob("StructureDefinition-*.json")}
    assert names == {path.parts[-2] for path in EXAMPLES if path.stem == "valid"}
    assert names == {path.parts[-2] for path in EXAMPLES if path.stem not in VALID}


@pytest.mark.parametrize("path", sorted(FOLDER.parent.glob("mappings/*/examples/*.json")),
                         ids=lambda path: f"{path.parts[-3]}-{path.stem}")  # fmt: skip
def test_what_we_translate_is_valid(path: Path, tmp_path: Path) -> None:
    shown = _run(tmp_path, "validate", path)
    assert shown.exit_code == 0, shown.stdout


def _changed(change: dict[str, object], type_: str, tmp_path: Path) -> Path:
    path = FOLDER.parent / "mappings/lri/examples/germline-positive.json"
    bundle = json.loads(path.read_bytes())
    resource = next(
        one["resource"] for one in bundle["entry"] if one["resource"]["resourceType"] == type_
    )
    resource.update(change)
    changed = tmp_path / "changed.json"
    changed.write_text(json.dumps(bundle))
    return changed


@pytest.mark.parametrize(
    ("type_", "change", "where"),
    [
        ("Observation", {"category": []}, ".category"),
        ("Observation", {"code": {"text": "a secret"}}, ".code"),
        ("DiagnosticReport", {"status": "a secret"}, ".status"),
        ("Task", {"status": "completed"}, ".status"),
        ("Patient", {"birthDate": "a secret"}, ".birthDate"),
    ],
)
def test_what_is_wrong_is_said_by_place_and_never_by_value(
    type_: str, change: dict[str, object], where: str, tmp_path: Path
) -> None:
    shown = _run(tmp_path, "validate", _changed(change, type_, tmp_path))
    assert shown.exit_code == 1
    assert f"{where}: error: " in shown.stdout or f"{where}[" in shown.stdout
    assert "secret" not in shown.output


def test_json_for_programs_and_what_cannot_be_read(tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    shown = _run(tmp_path, "validate", "--json", broken, tmp_path / "absent.json")
    said = [json.loads(line) for line in shown.stdout.splitlines()]
    assert shown.exit_code == 1
    assert [one["details"]["text"] for one in said] == ["is not JSON", "the file cannot be read"]


def test_a_profile_that_is_not_installed_is_refused(tmp_path: Path) -> None:
    example = FOLDER / "examples/national-patient/valid.json"
    shown = _run(tmp_path, "validate", "--profile", "http://nobody/x", example)
    assert shown.exit_code == 1
    assert "not installed" in shown.stderr


def _package(path: Path, names: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in names.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


MANIFEST = json.dumps(
    {"name": "test.package", "version": "1.0.0", "fhirVersions": ["4.0.1"]}
).encode()


def test_a_package_is_installed_and_listed(tmp_path: Path) -> None:
    profile = FOLDER / "StructureDefinition-national-specimen.json"
    content = profile.read_bytes().replace(b"genomics-gateway.example", b"other.example")
    package = _package(
        tmp_path / "p.tgz",
        {"package/package.json": MANIFEST, "package/StructureDefinition-x.json": content},
    )
    assert _run(tmp_path, "profiles", "install", package).exit_code == 0
    assert "test.package@1.0.0" in _run(tmp_path, "profiles", "list").stdout
    other = "https://other.example/fhir/StructureDefinition/national-specimen"
    example = FOLDER / "examples/national-specimen/no-subject.json"
    assert _run(tmp_path, "validate", "--profile", other, example).exit_code == 1


def test_a_hostile_archive_writes_nothing_outside(tmp_path: Path) -> None:
    data = tmp_path / "data"
    package = _package(
        tmp_path / "p.tgz",
        {"package/package.json": MANIFEST.replace(b"test.package", b"../../evil"),
         "../../evil.json": b"{}"},
    )  # fmt: skip
    assert _run(data, "profiles", "install", package).exit_code == 1
    assert not list(tmp_path.rglob("evil*"))


def test_a_name_and_version_is_never_downloaded(tmp_path: Path) -> None:
    shown = _run(tmp_path, "profiles", "install", "hl7.fhir.uv.x@1.0.0", "--cache", tmp_path)
    assert shown.exit_code == 1
    assert "download" in shown.stderr
