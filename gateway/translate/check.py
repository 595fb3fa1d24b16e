"""Check a sender's folder for its analyst: every mistake by file and line, and what is not read.

`load_mapping` stops at the first mistake; this walk asks the same questions of every line, and
then translates the examples to see which of their fields and codes nothing reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from gateway.errors import GatewayError, InvalidMapping
from gateway.message import Message, Segment
from gateway.translate.apply import Scope
from gateway.translate.codes import Row, Table, read_table
from gateway.translate.desk import Desk
from gateway.translate.mapping import (
    SECTIONS,
    SenderMapping,
    document_mistakes,
    find_sender,
    load_mapping,
    read_document,
    rule_mistakes,
    system_mistakes,
    table_files,
)
from gateway.translate.message import translate
from gateway.translate.sender import claim_mistakes, sender_mistakes, unknown_word
from gateway.translate.toml_lines import Lines, line_of_error

Reading = Callable[[bytes, str], Sequence[Message]]

_FILE = "mapping.toml"
# Read at the door, before a sender is known (ingest): separators, who sends, type, key, version.
_ENVELOPE = frozenset(("MSH", number) for number in (1, 2, 3, 4, 9, 10, 11, 12, 18))
# Field 1 of these only counts the segments.
_COUNTED = frozenset(
    (name, 1)
    for name in ("PID", "PV1", "NK1", "OBR", "OBX", "NTE", "SPM", "DG1", "AL1", "IN1", "TQ1")
)


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing to put right; `file` is below the sender's folder, `line` 0 is the whole file."""

    file: str
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Unread:
    """An OBX-3 code or a field (`PID-11`) that no rule reads, and the examples that have it."""

    name: str
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Checked:
    """What the check of one sender's folder found; only `mistakes` need mending."""

    sender: str
    mistakes: tuple[Mistake, ...] = ()
    codes: tuple[Unread, ...] = ()
    fields: tuple[Unread, ...] = ()


def check_sender(folder: Path, standard: Path, read: Reading) -> Checked:
    """Check one sender's folder.

    `standard` is where `extends` is looked for after the folder beside it. `read` makes messages
    of an example's bytes and a charset; it raises GatewayError.
    """
    folder = folder.resolve()  # so that `.` has a name, and neighbours
    tables: dict[str, Table] = {}
    wrong_rows = [*_tables(folder, tables)]
    broken = [*_mapping(folder, standard, tables), *wrong_rows]
    mistakes = [*broken, *_gaps(tables)]
    if broken:
        mistakes += [_unexpected(example) for example in _examples(folder) if not _told(example)]
        return Checked(folder.name, tuple(mistakes))
    mapping = load_mapping(folder.parent, folder.name, standard)
    mistakes += _claims(folder, standard, mapping)
    tried = _Tried(mapping, read)
    for example in _examples(folder):
        mistakes += tried.example(example)
    return Checked(folder.name, tuple(mistakes), *tried.unread())


def _tables(folder: Path, tables: dict[str, Table]) -> Iterator[Mistake]:
    for path in table_files(folder):
        tables[path.stem], wrong = read_table(path)
        yield from (Mistake(f"codes/{path.name}", line, error.text) for line, error in wrong)


def _gaps(tables: dict[str, Table]) -> Iterator[Mistake]:
    """Yield the rows with an empty target: they take the code and give nothing."""
    for name, table in tables.items():
        rows: Iterable[Row] = (*table.by_source.values(), *table.by_text.values())
        for line in sorted({row.line for row in rows if not row.target}):
            text = "the target is empty; a code that has none needs no line"
            yield Mistake(f"codes/{name}.csv", line, text)


def _mapping(folder: Path, standard: Path, tables: dict[str, Table]) -> Iterator[Mistake]:
    file = folder / _FILE
    try:
        document = read_document(file, _FILE)
    except InvalidMapping as error:
        yield Mistake(_FILE, line_of_error(error), error.text)
        return
    lines = Lines(file.read_text(encoding="utf-8"))

    def told(keys: tuple[str, ...], error: GatewayError) -> Mistake:
        text = f"[{'.'.join(keys[:-1])}] {keys[-1]}: {error.text}" if keys[1:] else error.text
        return Mistake(_FILE, lines.of(keys), text)

    found = [told(*one) for one in _document(folder, standard, document, tables)]
    yield from sorted(found, key=lambda one: one.line)


_Wrong = tuple[tuple[str, ...], InvalidMapping]


def _document(
    folder: Path, standard: Path, document: dict[str, Any], tables: dict[str, Table]
) -> Iterator[_Wrong]:
    """Yield every mistake of a mapping.toml with the keys that lead to it."""
    wrong = [*document_mistakes(document, _FILE)]
    yield from wrong
    unusable = {keys for keys, _ in wrong}
    own = {} if ("sender",) in unusable else dict(document.get("sender", {}))
    extends = own.pop("extends", "")
    parent, refused = _extended(folder, standard, extends)
    yield from ((("sender", "extends"), error) for error in refused)
    for key, error in sender_mistakes(own, _FILE):
        yield ("sender", key), error
    systems = own.get("systems", {})
    for label, error in system_mistakes(systems if isinstance(systems, dict) else {}, _FILE):
        yield ("sender", "systems", label), error
    # Without what it extends it is not known which tables there are.
    known = {**(parent.tables if parent else {}), **tables} if parent or not extends else None
    for section in SECTIONS:
        fields = {} if (section,) in unusable else document.get(section, {})
        for name, value in fields.items():
            for error in rule_mistakes(section, name, value, known, _FILE):
                yield (section, name), error


def _extended(
    folder: Path, standard: Path, name: Any
) -> tuple[SenderMapping | None, list[InvalidMapping]]:
    """Load what a mapping extends, or say why that cannot be."""
    if not name or not isinstance(name, str):
        return None, []
    own, folders = folder.name, (folder.parent, standard)
    names = sorted({path.parent.name for one in folders for path in one.glob(f"*/{_FILE}")})
    if name == own:
        return None, [InvalidMapping("a mapping extends itself")]
    if name not in names:
        return None, [unknown_word(name, [one for one in names if one != own], _FILE)]
    try:
        return load_mapping(find_sender(folders, name).parent, name, standard), []
    except InvalidMapping as error:
        return None, [InvalidMapping(f"{name} has a mistake of its own: {error}")]


def _claims(folder: Path, standard: Path, mapping: SenderMapping) -> Iterator[Mistake]:
    """Yield what another sender beside this one also claims."""
    others = []
    for path in sorted(folder.parent.glob(f"*/{_FILE}")):
        if path.parent.name not in (mapping.sender.name, "hl7v2"):
            try:
                others.append(load_mapping(folder.parent, path.parent.name, standard).sender)
            except InvalidMapping:
                continue  # named when that sender is checked
    line = Lines((folder / _FILE).read_text(encoding="utf-8")).of(("sender", "match"))
    for name, error in claim_mistakes([*others, mapping.sender]):
        if name == mapping.sender.name:
            yield Mistake(_FILE, line, f"[sender] match: {error.text}")


def _examples(folder: Path) -> list[Path]:
    return sorted((folder / "examples").glob("*.hl7"))


def _told(example: Path) -> bool:
    """Whether what becomes of an example stands beside it: FHIR, or why it is held."""
    return any(example.with_suffix(suffix).exists() for suffix in (".json", ".held"))


def _unexpected(example: Path) -> Mistake:
    text = f"the FHIR it must give is not beside it ({example.stem}.json)"
    return Mistake(f"examples/{example.name}", 0, text)


@dataclass(frozen=True, slots=True)
class _Watched(Segment):
    """A segment that notes which of its fields are read."""

    read: set[tuple[str, int]] = field(default_factory=set, compare=False, repr=False)

    def raw(self, number: int) -> str:
        """Return field `number` and note it."""
        self.read.add((self.name, number))
        return Segment.raw(self, number)


class _Tried:
    """The examples of one sender, translated; what they hold and what was read of it."""

    def __init__(self, mapping: SenderMapping, read: Reading) -> None:
        self._mapping = mapping
        self._read = read
        self._fields: dict[tuple[str, int], list[str]] = {}
        self._codes: dict[str, list[str]] = {}
        self._known_codes: set[str] = set()
        self._seen = {*_ENVELOPE, *_COUNTED}
        for rule in (one for listed in mapping.rules.values() for one in listed):
            paths = (*rule.paths, *(path for path, _ in rule.where))
            self._seen |= {(path.segment, path.field) for path in paths}

    def example(self, path: Path) -> Iterator[Mistake]:
        """Translate one example; yield what is wrong with it."""
        if not _told(path):
            yield _unexpected(path)
        held = []
        try:
            for message in self._read(path.read_bytes(), self._mapping.sender.charset):
                self._note(message, path.name)
                segments = tuple(self._watched(one) for one in message.segments)
                notices = translate(message.only(segments), self._mapping).holds
                held += [f"{one.place}: {one.text}" for one in notices]
        except GatewayError as error:
            held.append(str(error))
        if not path.with_suffix(".held").exists():
            for text in held:
                yield Mistake(f"examples/{path.name}", 0, f"not translated: {text}")

    def unread(self) -> tuple[tuple[Unread, ...], tuple[Unread, ...]]:
        """Return the codes and the fields that nothing reads, with the examples they are in."""
        codes = tuple(
            Unread(code, tuple(names))
            for code, names in sorted(self._codes.items())
            if code not in self._known_codes
        )
        fields = tuple(
            Unread(f"{name}-{number}", tuple(names))
            for (name, number), names in sorted(self._fields.items())
            if (name, number) not in self._seen
        )
        return codes, fields

    def _watched(self, segment: Segment) -> Segment:
        return _Watched(segment.name, segment.number, segment.fields, self._seen)

    def _note(self, message: Message, name: str) -> None:
        scope = Scope(message, Desk(message, ZoneInfo(self._mapping.sender.time_zone), {}))
        for segment in message.segments:
            for number, raw in enumerate(segment.fields[1:], 1):
                if raw.strip() and raw != '""':
                    _add(self._fields.setdefault((segment.name, number), []), name)
            code = message.piece(segment.raw(3), 1).strip() if segment.name == "OBX" else ""
            if code:
                _add(self._codes.setdefault(code, []), name)
                if self._is_read(scope, segment, code):
                    self._known_codes.add(code)

    def _is_read(self, scope: Scope, segment: Segment, code: str) -> bool:
        rules = (*self._mapping.by_code.get(code, ()), *self._mapping.any_code)
        return any(
            path.number in (0, segment.number) and scope.holds(rule, segment)
            for rule in rules
            for path in rule.paths
        )


def _add(names: list[str], name: str) -> None:
    if name not in names:
        names.append(name)
