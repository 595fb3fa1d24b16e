"""What arrived: a frozen `Message` whose values are found by HL7 path.

A path is `SEG-field[.component[.sub-component]]`, with an optional 1-based segment number:
`PID-3.1`, `OBX[2]-5`, `MSH-9.2`. Fields hold the sender's text still escaped, because
splitting must come before unescaping (HL7 v2 chapter 2, 2.7); values leave here unescaped.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from gateway.errors import InvalidMapping

_PATH = re.compile(r"([A-Z][A-Z0-9]{2})(?:\[(\d+)\])?(?:-(\d+)(?:\.(\d+)(?:\.(\d+))?)?)?")
_ESCAPE_LETTERS = "FSTRE"


@dataclass(frozen=True, slots=True)
class Path:
    """A parsed HL7 path; numbers are 1-based, 0 means the whole level."""

    segment: str
    number: int = 0
    field: int = 0
    component: int = 0
    subcomponent: int = 0
    tail: str = dataclasses.field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # How the path goes on after its segment, for people: `-3.1`.
        numbers = [self.component, self.subcomponent]
        dotted = "".join(f".{number}" for number in numbers if number)
        object.__setattr__(self, "tail", f"-{self.field}{dotted}")


@lru_cache(maxsize=4096)
def parse_path(text: str) -> Path:
    """Read `PID-3.1` into its numbers; raises InvalidMapping."""
    found = _PATH.fullmatch(text)
    if not found:
        raise InvalidMapping("not an HL7 path such as PID-3.1", where=text)
    segment, *numbers = found.groups()
    return Path(segment, *(int(number or 0) for number in numbers))


@dataclass(frozen=True, slots=True)
class Delimiters:
    """MSH-1 and MSH-2: how this message separates and escapes."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"

    def letter(self, name: str) -> str:
        """Return the character that the escape letter F, S, T, R or E stands for."""
        return dict(
            zip(
                _ESCAPE_LETTERS,
                (self.field, self.component, self.subcomponent, self.repetition, self.escape),
                strict=True,
            )
        )[name]


def unescape(text: str, delimiters: Delimiters, charset: str = "latin-1") -> str:
    r"""Resolve `\F\ \S\ \T\ \R\ \E\`, `\Xhh..\` and formatting; keep what is not understood.

    Formatting (`\.br\`, `\.sp\`) becomes line breaks and highlighting (`\H\`, `\N\`) goes, as
    in HL7 v2 chapter 2, 2.7; hexadecimal bytes are of `charset`. An escape with no end, of an
    unknown kind, or that is no text in the character set, stays as it is.
    """
    mark = delimiters.escape
    if not mark or mark not in text:
        return text
    out: list[str] = []
    rest = text
    while mark in rest:
        before, _, after = rest.partition(mark)
        body, closing, remainder = after.partition(mark)
        out.append(before)
        meaning = _meaning(body, delimiters, charset) if closing else None
        if meaning is None:
            out.append(mark)
            rest = after
        else:
            out.append(meaning)
            rest = remainder
    out.append(rest)
    return "".join(out)


def _meaning(body: str, delimiters: Delimiters, charset: str) -> str | None:
    if len(body) == 1 and body in _ESCAPE_LETTERS:
        return delimiters.letter(body)
    if body in ("H", "N"):
        return ""
    if body == "P":
        return "#"
    if body.startswith("X") and re.fullmatch(r"X(?:[0-9A-Fa-f]{2})+", body):
        try:
            return bytes.fromhex(body[1:]).decode(charset)
        except UnicodeDecodeError:
            return None
    found = re.fullmatch(r"\.(br|sp|in|ti|ce|fi|nf|sk)\s*([+-]?\d*)", body)
    if found:
        return _formatting(found[1], found[2])
    return None


def _formatting(command: str, count: str) -> str:
    number = min(int(count or 1), 80) if count not in ("", "+", "-") else 1
    if command in ("br", "ce"):
        return "\n"
    if command == "sp":
        return "\n" * max(number, 1)
    if command == "sk":
        return " " * max(number, 1)
    return ""


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment: `fields[n]` is field n, escaped; `fields[0]` is its name.

    `number` counts segments of the same name from 1, so that `OBX[3]` names one place.
    For MSH, `fields[1]` is the field separator, as the standard numbers it. `place` is where it
    stands, for people: `OBX[3]`.
    """

    name: str
    number: int
    fields: tuple[str, ...]
    place: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Once: every value that is read names its place.
        object.__setattr__(self, "place", f"{self.name}[{self.number}]")

    def raw(self, number: int) -> str:
        """Return field `number`, still escaped, or an empty string."""
        return self.fields[number] if number < len(self.fields) else ""


@dataclass(frozen=True, slots=True)
class Message:
    """One HL7 v2 message as it arrived, in segments; `line_ending` is CR, LF or CRLF.

    `undecoded` names the charset when the bytes were not valid in it (then nothing is parsed).
    """

    segments: tuple[Segment, ...]
    delimiters: Delimiters = Delimiters()
    charset: str = "ASCII"
    line_ending: str = "CR"
    digest: str = field(default="")

    def all(self, name: str) -> tuple[Segment, ...]:
        """Return every segment called `name`, in order."""
        return tuple(segment for segment in self.segments if segment.name == name)

    def first(self, name: str) -> Segment | None:
        """Return the first segment called `name`."""
        return next((segment for segment in self.segments if segment.name == name), None)

    def only(self, segments: tuple[Segment, ...]) -> Message:
        """Return the same message with these segments alone: one result group, say."""
        return Message(segments, self.delimiters, self.charset, self.line_ending, self.digest)

    def value(self, path: str) -> str:
        """Return the first value at `path`, unescaped, or an empty string."""
        return next(self.values(path), "")

    def values(self, path: str) -> Iterator[str]:
        """Yield each non-empty repetition at `path`, unescaped, over all matching segments."""
        where = parse_path(path)
        for segment in self.segments:
            if segment.name == where.segment and where.number in (0, segment.number):
                yield from self.read(segment, where)

    def read(self, segment: Segment, where: Path) -> Iterator[str]:
        """Yield each non-empty repetition of one segment's field, unescaped."""
        raw = segment.raw(where.field)
        if not raw:
            return
        if segment.name == "MSH" and where.field <= 2:
            yield raw
            return
        for repetition in self.repetitions(raw):
            text = self.piece(repetition, where.component, where.subcomponent)
            if text:
                yield text

    def says(self, segment: Segment, where: Path, wanted: frozenset[str]) -> bool:
        """Whether one segment's field has a value that is wanted."""
        raw = segment.raw(where.field)
        if not raw:
            return False
        if where.component == 1 and not where.subcomponent and segment.name != "MSH":
            first = raw.partition(self.delimiters.component)[0]
            # Of one repetition with nothing to unescape, the text of it is the value.
            if self.delimiters.repetition not in raw and not self.escapes(first):
                return bool(first) and first in wanted
        return any(value in wanted for value in self.read(segment, where))

    def repetitions(self, raw: str) -> list[str]:
        """Split a raw field at the repetition separator."""
        return raw.split(self.delimiters.repetition) if self.delimiters.repetition else [raw]

    def piece(self, raw: str, component: int, subcomponent: int = 0) -> str:
        """Return one component of a raw repetition, unescaped; 0 means all of it."""
        return unescape(self.part(raw, component, subcomponent), self.delimiters, self.charset)

    def part(self, raw: str, component: int, subcomponent: int = 0) -> str:
        """Return one component of a raw repetition as it stands; 0 means all of it."""
        if component:
            parts = raw.split(self.delimiters.component, component)
            raw = parts[component - 1] if component <= len(parts) else ""
        if subcomponent:
            parts = raw.split(self.delimiters.subcomponent, subcomponent)
            raw = parts[subcomponent - 1] if subcomponent <= len(parts) else ""
        return raw

    def components(self, raw: str) -> list[str]:
        """Split a raw repetition into unescaped components; index 0 is component 1."""
        parts = raw.split(self.delimiters.component)
        if not self.escapes(raw):
            return parts
        return [unescape(part, self.delimiters, self.charset) for part in parts]

    def escapes(self, raw: str) -> bool:
        """Whether there is anything to unescape."""
        return bool(self.delimiters.escape) and self.delimiters.escape in raw

    def plain(self, raw: str) -> bool:
        """Whether a raw field is one text as it stands: nothing to split, nothing to unescape."""
        marks = self.delimiters
        return not (
            marks.component in raw
            or (marks.repetition and marks.repetition in raw)
            or (marks.subcomponent and marks.subcomponent in raw)
            or (marks.escape and marks.escape in raw)
        )
