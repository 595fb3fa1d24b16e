"""A sender's folder, loaded and checked once at start: what is which report field.

`mapping.toml` has a section per report part; left a field of `gateway.report`, right a path, a
list of paths, or a table with the keys `from`, `codes`, `default`, `where`, `as`. A sender says
`extends = "hl7v2"` and then only what differs. No expressions, no conditions.
"""

from __future__ import annotations

import dataclasses
import tomllib
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path as FilePath
from types import MappingProxyType
from typing import Any

from gateway import report, request
from gateway.errors import InvalidMapping
from gateway.message import Path, parse_path
from gateway.translate.codes import Table, load_table
from gateway.translate.readers import READERS, Reader
from gateway.translate.sender import Sender, Senders, make_sender, unknown_word

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
        "feed": report.PatientUpdate,
        "document": report.Document,
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
     "replaces", "replaced_by", "see_also", "event", "cleared")
)  # fmt: skip
# An unknown code here changes the meaning: the message is held (safety.md 8).
CRITICAL = frozenset(
    ("report.status", "report.outcome", "variant.presence", "variant.status",
     "variant.source_class", "analysis.source_class", "request.action", "request.status",
     "document.completion", "document.availability", "document.confidentiality")
)  # fmt: skip
_DEFAULT_READERS = {
    str: "text",
    report.Code: "coded",
    report.Identifier: "identifier",
    report.PersonName: "person_name",
    report.Organization: "organization",
    report.Practitioner: "person",
    report.Quantity: "number",
    report.Range: "range",
}
_KEYS = ("from", "codes", "default", "where", "as")


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of a mapping: how one report field is read.

    `label` is the field's full name (`variant.coding_hgvs`); `critical`: an unknown code here
    holds the message; `on_observation`: it reads OBX segments, one by one.
    """

    section: str
    field: str
    paths: tuple[Path, ...]
    reader: Reader
    many: bool
    table: Table | None = None
    default: str = ""
    where: tuple[tuple[Path, frozenset[str]], ...] = ()
    system: str = ""
    label: str = dataclasses.field(init=False)
    critical: bool = dataclasses.field(init=False)
    on_observation: bool = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        """Work out what every reading of it asks."""
        label = f"{self.section}.{self.field}"
        object.__setattr__(self, "label", label)
        object.__setattr__(self, "critical", label in CRITICAL)
        observed = bool(self.paths) and self.paths[0].segment == "OBX"
        object.__setattr__(self, "on_observation", observed)


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


def load_mapping(folder: FilePath, name: str, standard: FilePath | None = None) -> SenderMapping:
    """Load one sender's folder, with what it extends.

    What it extends is looked for beside it, and then in `standard`, the folder of an installation.
    """
    folders = (folder, standard or folder)
    document, tables = _read(folders, name, ())
    sender = make_sender(name, document.get("sender", {}))
    systems = document.get("sender", {}).get("systems", {})
    for _, error in system_mistakes(systems, f"{name}/mapping.toml [sender.systems]"):
        raise error
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
    folders: tuple[FilePath, FilePath], name: str, seen: tuple[str, ...]
) -> tuple[dict[str, Any], dict[str, Table]]:
    at = f"{name}/mapping.toml"
    if name in seen:
        raise InvalidMapping("a mapping extends itself", where=at)
    folder = find_sender(folders, name)
    document = read_document(folder / "mapping.toml", at)
    for _, error in document_mistakes(document, at):
        raise error
    tables = {path.stem: load_table(path) for path in table_files(folder)}
    parent = document.get("sender", {}).pop("extends", "")
    if not parent:
        return document, tables
    inherited, parent_tables = _read(folders, parent, (*seen, name))
    return _merged(inherited, document), {**parent_tables, **tables}


def find_sender(folders: Iterable[FilePath], name: str) -> FilePath:
    """Return the folder of a sender, in the first of the folders that has it."""
    places = [folder / name for folder in folders]
    return next((place for place in places if (place / "mapping.toml").is_file()), places[0])


def table_files(folder: FilePath) -> list[FilePath]:
    """Return the code tables of a sender's folder, in order."""
    return sorted((folder / "codes").glob("*.csv"))


def read_document(file: FilePath, at: str) -> dict[str, Any]:
    """Read one mapping.toml; raises InvalidMapping when it is absent or not TOML."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidMapping("the file cannot be read", where=at) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidMapping(f"not valid TOML: {error}", where=at) from error


def document_mistakes(
    document: Mapping[str, Any], at: str
) -> Iterator[tuple[tuple[str, ...], InvalidMapping]]:
    """Yield what is wrong with the sections of a mapping.toml as such: the key, and what."""
    for section, value in document.items():
        if section not in (*SECTIONS, "sender"):
            yield (section,), unknown_word(section, (*SECTIONS, "sender"), at)
        elif not isinstance(value, dict):
            yield (section,), InvalidMapping(f"[{section}] needs a table of field = path", where=at)
        elif section == "sender" and not isinstance(value.get("extends", ""), str):
            text = "`extends` needs the name of a sender"
            yield ("sender", "extends"), InvalidMapping(text, where=at)


def _merged(parent: dict[str, Any], child: dict[str, Any]) -> dict[str, Any]:
    return {
        section: {**parent.get(section, {}), **child.get(section, {})}
        for section in (*SECTIONS, "sender")
    }


def _rule(
    name: str, section: str, field: str, value: Any, tables: Mapping[str, Table], systems: Any
) -> Rule:
    at = f"{name}/mapping.toml [{section}] {field}"
    for error in rule_mistakes(section, field, value, tables, at):
        raise error
    kind, many = section_fields(section)[field]
    spec = value if isinstance(value, dict) else {"from": value}
    reader, _ = READERS[spec.get("as", _DEFAULT_READERS[kind])]
    table = tables[spec["codes"]] if spec.get("codes") else None
    paths = tuple(parse_path(text) for text in _listed(spec.get("from", [])))
    where = tuple(
        (parse_path(path), frozenset(_listed(wanted)))
        for path, wanted in spec.get("where", {}).items()
    )
    system, default = systems.get(f"{section}.{field}", ""), str(spec.get("default", ""))
    return Rule(section, field, paths, reader, many, table, default, where, system)


def rule_mistakes(
    section: str, field: str, value: Any, tables: Mapping[str, Table] | None, at: str
) -> Iterator[InvalidMapping]:
    """Yield everything that is wrong in one line; without `tables` their names are not judged."""
    spec = value if isinstance(value, dict) else {"from": value}
    yield from (unknown_word(key, _KEYS, at) for key in spec if key not in _KEYS)
    fields = section_fields(section)
    if field not in fields:
        yield unknown_word(field, fields, at)
    else:
        yield from _reader_mistakes(field, fields[field][0], spec, at)
    codes = spec.get("codes")
    if codes and tables is not None and codes not in list(tables):
        yield unknown_word(codes, tables, at)
    sources = spec.get("from", [])
    if not _are_texts(sources):
        yield InvalidMapping("`from` needs a path or a list of paths", where=at)
    elif not sources and "default" not in spec:
        yield InvalidMapping("needs `from` or `default`", where=at)
    else:
        yield from _path_mistakes(_listed(sources), at)
    yield from _where_mistakes(spec.get("where", {}), at)


def _reader_mistakes(
    field: str, kind: type, spec: Mapping[str, Any], at: str
) -> Iterator[InvalidMapping]:
    name = spec.get("as", _DEFAULT_READERS[kind])
    if name not in list(READERS):
        yield unknown_word(name, READERS, at)
    elif READERS[name][1] is not kind:
        fitting = ", ".join(one for one, (_, gives) in READERS.items() if gives is kind)
        text = f"the reader {name} does not give what {field} needs; these do: {fitting}"
        yield InvalidMapping(text, where=at)


def _where_mistakes(conditions: Any, at: str) -> Iterator[InvalidMapping]:
    if not isinstance(conditions, dict):
        yield InvalidMapping("`where` needs a table of path = value", where=at)
        return
    yield from _path_mistakes(conditions, at)
    for path, wanted in conditions.items():
        if not _are_texts(wanted):
            text = f"`where` needs a text or a list of texts for {path}"
            yield InvalidMapping(text, where=at)


def _path_mistakes(paths: Iterable[str], at: str) -> Iterator[InvalidMapping]:
    for text in paths:
        try:
            parse_path(text)
        except InvalidMapping:
            yield InvalidMapping(f"{text} is not an HL7 path such as PID-3.1", where=at)


def system_mistakes(systems: Mapping[str, str], at: str) -> Iterator[tuple[str, InvalidMapping]]:
    """Yield each line of `[sender.systems]` whose left side is no field."""
    labels = [f"{section}.{field}" for section in SECTIONS for field in section_fields(section)]
    for label in systems:
        if label not in labels:
            yield label, unknown_word(label, labels, at)


def _are_texts(value: Any) -> bool:
    return isinstance(value, str) or (
        isinstance(value, list) and all(isinstance(one, str) for one in value)
    )


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


@cache
def section_fields(section: str) -> Mapping[str, tuple[type, bool]]:
    """Return the fields a mapping may fill in a section: name to (type, whether many)."""
    fields: dict[str, tuple[type, bool]] = {}
    for name, hint in typing.get_type_hints(SECTIONS[section]).items():
        arguments = typing.get_args(hint)
        many = typing.get_origin(hint) is tuple
        kind = arguments[0] if arguments else hint
        if kind in _DEFAULT_READERS and name not in _OURS:
            fields[name] = (kind, many)
    return MappingProxyType(fields)


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
