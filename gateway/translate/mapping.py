"""A sender's folder, loaded and checked once at start: what is which report field.

`mapping.toml` has a section per report part; left a field of `gateway.report`, right a path, a
list of paths, or a table with the keys `from`, `codes`, `default`, `where`, `as`. A sender says
`extends = "hl7v2"` and then only what differs. No expressions, no conditions.
"""

from __future__ import annotations

import difflib
import tomllib
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from types import MappingProxyType
from typing import Any

from gateway import report, request
from gateway.errors import InvalidMapping
from gateway.message import Path, parse_path
from gateway.translate.codes import Table, load_table
from gateway.translate.readers import READERS, Reader
from gateway.translate.sender import Sender, Senders, make_sender

SECTIONS: Mapping[str, type] = MappingProxyType(
    {
        "patient": report.Patient,
        "name": report.PersonName,
        "report": report.Report,
        "order": report.Order,
        "specimen": report.Specimen,
        "request": request.Request,
        "mother": report.Patient,
        "mother_name": report.PersonName,
        "subsumed": report.Patient,
        "analysis": report.Analysis,
        "variant": report.Variant,
        "implication": report.Implication,
        "therapy": report.Implication,
        "consequence": report.Implication,
        "haplotype": report.Haplotype,
        "genotype": report.Haplotype,
        "phase": report.Phase,
        "biomarker": report.Biomarker,
        "recommendation": report.Recommendation,
        "medication_recommendation": report.Recommendation,
    }
)
# Fields that the gateway decides, not a mapping.
_OURS = frozenset(
    ("key", "place", "derived_from", "kind", "status_from", "record_class", "reason", "value_type",
     "replaces", "replaced_by")
)  # fmt: skip
# An unknown code here changes the meaning: the message is held (safety.md 8).
CRITICAL = frozenset(
    ("report.status", "report.outcome", "variant.presence", "variant.status",
     "variant.source_class", "analysis.source_class", "request.action", "request.status")
)  # fmt: skip
_DEFAULT_READERS = {
    str: "text",
    report.Code: "coded",
    report.Identifier: "identifier",
    report.Organization: "organization",
    report.Practitioner: "person",
    report.Quantity: "number",
    report.Range: "range",
}
_KEYS = ("from", "codes", "default", "where", "as")


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of a mapping: how one report field is read."""

    section: str
    field: str
    paths: tuple[Path, ...]
    reader: Reader
    many: bool
    table: Table | None = None
    default: str = ""
    where: tuple[tuple[Path, frozenset[str]], ...] = ()
    system: str = ""

    @property
    def label(self) -> str:
        """The field's full name: `variant.coding_hgvs`."""
        return f"{self.section}.{self.field}"

    @property
    def critical(self) -> bool:
        """Whether an unknown code here holds the message."""
        return self.label in CRITICAL

    @property
    def on_observation(self) -> bool:
        """Whether this rule reads OBX segments, one by one."""
        return bool(self.paths) and self.paths[0].segment == "OBX"


@dataclass(frozen=True, slots=True)
class SenderMapping:
    """Everything one sender's folder says."""

    sender: Sender
    rules: Mapping[str, tuple[Rule, ...]]
    tables: Mapping[str, Table]
    by_code: Mapping[str, tuple[Rule, ...]]
    any_code: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Mappings:
    """All senders; `standard` is what `gateway translate` falls back to, never the live inbox."""

    by_name: Mapping[str, SenderMapping]
    standard: SenderMapping
    senders: Senders


def load_mappings(folder: FilePath) -> Mappings:
    """Load every sender folder below `folder`; raises InvalidMapping with file and field."""
    names = sorted(path.parent.name for path in folder.glob("*/mapping.toml"))
    by_name = {name: load_mapping(folder, name) for name in names}
    if "hl7v2" not in by_name:
        raise InvalidMapping("the standard mapping hl7v2 is missing", where=str(folder.name))
    live = [mapping.sender for name, mapping in by_name.items() if name != "hl7v2"]
    return Mappings(by_name, by_name["hl7v2"], Senders.of(live))


def load_mapping(folder: FilePath, name: str) -> SenderMapping:
    """Load one sender's folder, with what it extends."""
    document, tables = _read(folder, name, ())
    sender = make_sender(name, document.get("sender", {}))
    systems = document.get("sender", {}).get("systems", {})
    rules = {
        section: tuple(
            _rule(name, section, field, value, tables, systems)
            for field, value in document.get(section, {}).items()
        )
        for section in SECTIONS
    }
    observed = [rule for listed in rules.values() for rule in listed if rule.on_observation]
    return SenderMapping(sender, rules, tables, *_index(observed))


def _read(
    folder: FilePath, name: str, seen: tuple[str, ...]
) -> tuple[dict[str, Any], dict[str, Table]]:
    file = folder / name / "mapping.toml"
    if name in seen:
        raise InvalidMapping("a mapping extends itself", where=f"{name}/mapping.toml")
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidMapping("the file cannot be read", where=f"{name}/mapping.toml") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidMapping(f"not valid TOML: {error}", where=f"{name}/mapping.toml") from error
    _known(document, (*SECTIONS, "sender"), f"{name}/mapping.toml")
    files = sorted((folder / name / "codes").glob("*.csv"))
    tables = {path.stem: load_table(path) for path in files}
    parent = document.get("sender", {}).pop("extends", "")
    if not parent:
        return document, tables
    inherited, parent_tables = _read(folder, parent, (*seen, name))
    return _merged(inherited, document), {**parent_tables, **tables}


def _merged(parent: dict[str, Any], child: dict[str, Any]) -> dict[str, Any]:
    return {
        section: {**parent.get(section, {}), **child.get(section, {})}
        for section in (*SECTIONS, "sender")
    }


def _rule(
    name: str, section: str, field: str, value: Any, tables: Mapping[str, Table], systems: Any
) -> Rule:
    at = f"{name}/mapping.toml [{section}] {field}"
    kinds = section_fields(section)
    _known([field], kinds, at)
    kind, many = kinds[field]
    spec = value if isinstance(value, dict) else {"from": value}
    _known(spec, _KEYS, at)
    reader_name = spec.get("as", _DEFAULT_READERS[kind])
    _known([reader_name], READERS, at)
    reader, gives = READERS[reader_name]
    if gives is not kind:
        raise InvalidMapping(f"the reader {reader_name} does not give what {field} needs", where=at)
    table = None
    if codes := spec.get("codes"):
        _known([codes], tables, at)
        table = tables[codes]
    sources = spec.get("from", [])
    paths = tuple(_path(text, at) for text in ([sources] if isinstance(sources, str) else sources))
    if not paths and "default" not in spec:
        raise InvalidMapping("needs `from` or `default`", where=at)
    where, system = _where(spec.get("where", {}), at), systems.get(f"{section}.{field}", "")
    default = str(spec.get("default", ""))
    return Rule(section, field, paths, reader, many, table, default, where, system)


def _path(text: Any, at: str) -> Path:
    try:
        return parse_path(text)
    except (InvalidMapping, TypeError) as error:
        raise InvalidMapping("not an HL7 path such as PID-3.1", where=at) from error


def _where(conditions: Any, at: str) -> tuple[tuple[Path, frozenset[str]], ...]:
    if not isinstance(conditions, dict):
        raise InvalidMapping("`where` needs a table of path = value", where=at)
    return tuple(
        (_path(path, at), frozenset([wanted] if isinstance(wanted, str) else wanted))
        for path, wanted in conditions.items()
    )


def section_fields(section: str) -> dict[str, tuple[type, bool]]:
    """Return the fields a mapping may fill in a section: name to (type, whether many)."""
    fields: dict[str, tuple[type, bool]] = {}
    for name, hint in typing.get_type_hints(SECTIONS[section]).items():
        arguments = typing.get_args(hint)
        many = typing.get_origin(hint) is tuple
        kind = arguments[0] if arguments else hint
        if kind in _DEFAULT_READERS and name not in _OURS:
            fields[name] = (kind, many)
    return fields


def _known(words: Iterable[str], allowed: Iterable[str], at: str) -> None:
    choices = list(allowed)
    for word in words:
        if word not in choices:
            near = difflib.get_close_matches(str(word), choices, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise InvalidMapping(f"unknown word {word}{hint}", where=at)


_CODE = parse_path("OBX-3.1")


def _index(rules: list[Rule]) -> tuple[Mapping[str, tuple[Rule, ...]], tuple[Rule, ...]]:
    by_code: dict[str, tuple[Rule, ...]] = {}
    any_code = []
    for rule in rules:
        codes = dict(rule.where).get(_CODE)
        if codes is None:
            any_code.append(rule)
        for code in codes or ():
            by_code[code] = (*by_code.get(code, ()), rule)
    return by_code, tuple(any_code)
