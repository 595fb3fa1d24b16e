"""Text in a message: which OBX are lines of a narrative, and whose note an NTE is.

Laboratories send a narrative one line of text per OBX (feeds.md). The rule, on OBX of type TX,
FT or ST without unit, reference range and flag, adjacent and under one OBR:

1. Two or more with the same OBX-3 (of ST only when no sub-ids tell them apart), or whose OBX-3
   differ by a number in a name that speaks of layout or of words (`Report Line 7`), are lines
   of one narrative, blank ones included.
2. One alone is a narrative when it is long or has several lines, or (TX, FT) when its name
   says that it is text (`Comment`).
3. Any other is a single value under a name of its own: `Genotype`, `Blood group`, `IgG 1`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.message import Message, Segment
from gateway.translate.values import text_of

_TEXT = frozenset({"TX", "FT", "ST"})
_LONG = {"TX": 80, "FT": 80, "ST": 200}
_NUMBER = re.compile(r"\d+")
_LAYOUT = frozenset({"line", "lines", "row", "rows", "page", "report", "text"})
_ABOUT_WORDS = _LAYOUT | {
    "comment", "comments", "conclusion", "interpretation", "letter", "narrative", "note", "notes",
    "paragraph", "remark", "remarks", "section", "summary",
}  # fmt: skip
_WITHDRAWN = frozenset({"D", "W", "X"})


@dataclass(frozen=True, slots=True)
class Block:
    """One narrative and the segments it is made of.

    `title` is their common name where it says more than `Report Line`. `text` may be empty: blank
    lines alone. `withdrawn`: OBX-11 takes it back (D, W, X), so show it only in a withdrawn report.
    """

    title: str
    text: str
    segments: tuple[Segment, ...]
    withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class Note:
    """The NTE that follow one segment, as one text, and where they stand."""

    text: str
    places: tuple[str, ...]


def text_blocks(observed: Sequence[Segment], message: Message) -> tuple[Block, ...]:
    """Find the narratives among OBX that nothing else has used, in the order of the message.

    What no block holds is a single value: `laboratory.read_result` reads it.
    """
    found = []
    for run in _runs(observed, message):
        text = "\n".join(text_of(one, message).rstrip() for one in run)
        if len(run) > 1 or _narrative(run[0], text.strip(), message):
            title = _name(run[0], message)
            plain = set(_words(title)) <= _LAYOUT
            withdrawn = run[0].raw(11).strip() in _WITHDRAWN
            found.append(Block("" if plain else title, text.strip("\n"), tuple(run), withdrawn))
    return tuple(found)


def notes_after(message: Message) -> Mapping[str, Note]:
    """Return the notes by the place of the segment they belong to: `OBX[3]`, `OBR[1]`, `PID[1]`.

    An NTE belongs to the segment before it (chapter 2, 2.15.10): after OBX it is a note of that
    result; after OBR, ORC, SPM or PID a note of the report. FHIR's Patient has no note, and what
    is said of the patient here is said for this report.
    """
    lines: dict[str, list[Segment]] = {}
    owner = ""
    for segment in message.segments:
        if segment.name != "NTE":
            owner = segment.place
        elif segment.raw(3).strip():
            lines.setdefault(owner, []).append(segment)
    return {
        place: Note(
            "\n".join(text_of(one, message, 3).rstrip() for one in some).strip("\n"),
            tuple(f"{one.place}-3" for one in some),
        )
        for place, some in lines.items()
    }


def _runs(observed: Sequence[Segment], message: Message) -> list[list[Segment]]:
    """Split the text OBX into runs of adjacent ones that are lines of the same thing."""
    wanted = {id(segment) for segment in observed if _is_text(segment)}
    runs: list[list[Segment]] = []
    before: Segment | None = None
    for segment in message.segments:
        if segment.name in ("OBR", "OBX"):
            if id(segment) not in wanted:
                before = None
                continue
            if before is None or not _continues(before, segment, message):
                runs.append([])
            runs[-1].append(segment)
            before = segment
    return runs


def _is_text(segment: Segment) -> bool:
    return segment.raw(2).strip() in _TEXT and not any(
        segment.raw(number).strip() for number in (6, 7, 8)
    )


def _continues(before: Segment, segment: Segment, message: Message) -> bool:
    withdrawn = [one.raw(11).strip() in _WITHDRAWN for one in (before, segment)]
    if withdrawn[0] != withdrawn[1]:
        return False
    if before.raw(3).strip() == segment.raw(3).strip():
        # A sub-id tells short results of one name apart (two isolates); lines do not need one.
        sub_ids = [one.raw(4).strip() for one in (before, segment)]
        return segment.raw(2).strip() != "ST" or not all(sub_ids) or sub_ids[0] == sub_ids[1]
    names = [_name(one, message) for one in (before, segment)]
    stems = [_NUMBER.sub("#", message.piece(one.raw(3), 0)) for one in (before, segment)]
    return stems[0] == stems[1] and not _ABOUT_WORDS.isdisjoint(_words(names[0]))


def _narrative(segment: Segment, text: str, message: Message) -> bool:
    kind = segment.raw(2).strip()
    if len(text) > _LONG[kind] or "\n" in text:
        return True
    return bool(
        text and kind != "ST" and not _ABOUT_WORDS.isdisjoint(_words(_name(segment, message)))
    )


def _name(segment: Segment, message: Message) -> str:
    parts = [part.strip() for part in message.components(segment.raw(3))] + [""] * 5
    return parts[1] or parts[4]


def _words(name: str) -> list[str]:
    return re.findall(r"[^\W\d_]+", name.lower())
