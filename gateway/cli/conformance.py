"""Commands on FHIR files and the profiles to hold them against."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import click

from gateway.cli.environment import settings
from gateway.errors import InvalidValue
from gateway.fhir.conformance.finding import Finding, Severity
from gateway.fhir.conformance.package import install, installed, load_definitions
from gateway.fhir.conformance.validator import Validator

_CACHE = Path("~/.fhir/packages")
_ISSUE_CODES = {
    Severity.ERROR: "invariant",
    Severity.WARNING: "invariant",
    Severity.UNCHECKED: "informational",
}


def _store() -> Path:
    return settings().data / "profiles"


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(allow_dash=True))
@click.option("--profile", "profiles", multiple=True, help="A profile to hold them against.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each thing to say.")
def validate(files: tuple[str, ...], profiles: tuple[str, ...], as_json: bool) -> None:
    """Check FHIR JSON or NDJSON files (or - for standard input); exit 1 on errors.

    Every resource, entries of Bundles too, is held against what its meta.profile claims. What
    could not be checked is said as information.
    """
    validator = Validator(load_definitions(_store()))
    failed = False
    for name in files:
        found = _checked(validator, name, profiles)
        failed |= any(one.severity is Severity.ERROR for one in found)
        for line in (_json if as_json else _text)(name, found):
            click.echo(line)
    sys.exit(1 if failed else 0)


def _checked(validator: Validator, name: str, profiles: tuple[str, ...]) -> list[Finding]:
    found: list[Finding] = []
    try:
        raw = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        for place, resource in _documents(raw, lines=name.endswith(".ndjson")):
            said = validator.findings(resource, profiles)
            found += (one._replace(path=f"{place}{one.path}") for one in said)
    except OSError:
        found.append(Finding(Severity.ERROR, "", "the file cannot be read"))
    except InvalidValue as error:
        found.append(Finding(Severity.ERROR, error.where, error.text))
    except RecursionError:
        found.append(Finding(Severity.ERROR, "", "is nested too deeply"))
    return found


def _documents(raw: bytes, *, lines: bool) -> Iterator[tuple[str, Any]]:
    if not lines:
        yield "", _read(raw, "")
        return
    for number, line in enumerate(raw.splitlines(), 1):
        if line.strip():
            yield f"line {number}: ", _read(line, f"line {number}")


def _read(raw: bytes, where: str) -> Any:
    try:
        return json.loads(raw, parse_float=Decimal, object_pairs_hook=_once)
    except ValueError as error:
        text = "a name stands twice in one object" if "twice" in str(error) else "is not JSON"
        raise InvalidValue(text, where=where) from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("twice")
    return made


def _text(name: str, found: list[Finding]) -> Iterable[str]:
    for one in _shortened(found):
        yield ": ".join(part for part in (name, one.path, one.severity, one.text) if part)
    counts = {severity: sum(one.severity is severity for one in found) for severity in Severity}
    yield (
        f"{name}: {counts[Severity.ERROR]} errors, {counts[Severity.WARNING]} warnings, "
        f"{counts[Severity.UNCHECKED]} not checked"
    )


def _shortened(found: list[Finding]) -> Iterator[Finding]:
    """Say for people only once what could not be checked, where it was first met."""
    seen: set[str] = set()
    for one in found:
        if one.severity is not Severity.UNCHECKED or one.text not in seen:
            yield one
        seen.add(one.text)


def _json(name: str, found: list[Finding]) -> Iterable[str]:
    for one in found:
        issue = {
            "file": name,
            "severity": one.severity,
            "code": _ISSUE_CODES[one.severity],
            "details": {"text": one.text},
            "expression": [one.path],
        }
        yield json.dumps(issue)


@click.group()
def profiles() -> None:
    """FHIR packages to check against."""


@profiles.command("install")
@click.argument("package")
@click.option("--cache", type=click.Path(path_type=Path), default=_CACHE, show_default=True,
              help="Where name@version is looked for.")  # fmt: skip
def profiles_install(package: str, cache: Path) -> None:
    """Add a FHIR package: a .tgz file, a folder, or name@version from a local package cache."""
    made = install(package, _store(), cache.expanduser())
    click.echo(f"{made.name}@{made.version}: {made.definitions} definitions")


@profiles.command("list")
def profiles_list() -> None:
    """List the packages that were added, then the profiles that can be checked."""
    store = _store()
    for one in installed(store):
        click.echo(f"{one.name}@{one.version}\t{one.definitions} definitions")
    for structure in load_definitions(store).profiles():
        click.echo(f"{structure['url']}|{structure.get('version', '')}\t{structure['type']}")
