from __future__ import annotations

import pytest

from gateway.translate.lines import Block, notes_after, text_blocks
from tests.translate.segments import message

LONG = "word " * 45


def _blocks(*lines: str) -> tuple[Block, ...]:
    given = message(*lines)
    return text_blocks(given.all("OBX"), given)


def _shape(*lines: str) -> list[tuple[str, list[int]]]:
    return [(one.title, [part.number for part in one.segments]) for one in _blocks(*lines)]


def test_lines_are_joined_in_order_with_their_layout() -> None:
    (block,) = _blocks(
        "OBX|1|FT|CYTO||Karyotype: 46,XX",
        "OBX|2|FT|CYTO||",
        "OBX|3|FT|CYTO||  Column one   Column two\\.br\\  \\T\\ more",
        "OBX|4|FT|CYTO||",
    )
    assert block.text == "Karyotype: 46,XX\n\n  Column one   Column two\n  & more"
    assert len(block.segments) == 4


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (("TX|^Report Line 1||a", "TX|^Report Line 2||b"), [("", [1, 2])]),
        (("TX|L1^Comment 1^L||a", "TX|L2^Comment 2^L||b"), [("Comment 1", [1, 2])]),
        (("ST|G^Genotype^L||a", "ST|G^Genotype^L||b"), [("Genotype", [1, 2])]),
        (("ST|G^Isolate^L|1|a", "ST|G^Isolate^L|2|b"), []),
        (("TX|G^Isolate^L|1|a", "TX|G^Isolate^L|2|b"), [("Isolate", [1, 2])]),
        (("ST|^IgG 1||5", "ST|^IgG 2||6"), []),
        (("TX|D3S1358^D3S1358^L||15,16", "TX|D5S818^D5S818^L||11"), []),
        (("TX|A^One^L||a", "NM|N^Two^L||1", "TX|A^One^L||b"), []),
        (("TX|A^One^L||a|mmol/L", "TX|A^One^L||b|mmol/L"), []),
        (("ST|G^Genotype^L||*1/*4",), []),
        (("TX|K^KRAS^L||Not detected",), []),
        (("TX|C^Comment^L||Haemolysed",), [("Comment", [1])]),
        (("ST|C^Comment^L||Haemolysed",), []),
        ((f"TX|K^KRAS^L||{LONG}",), [("KRAS", [1])]),
        ((f"ST|K^KRAS^L||{LONG}",), [("KRAS", [1])]),
        (("ST|K^KRAS^L||one\\.br\\two",), [("KRAS", [1])]),
        (("CWE|K^Comment^L||one^two^L",), []),
    ],
)
def test_what_is_a_narrative_and_what_a_value_of_its_own(
    lines: tuple[str, ...], expected: list[tuple[str, list[int]]]
) -> None:
    assert _shape(*(f"OBX|{number}|{line}" for number, line in enumerate(lines, 1))) == expected


def test_a_narrative_ends_with_its_order() -> None:
    first, second = _blocks(
        "OBR|1", "OBX|1|TX|C^Comment^L||a", "NTE|1||x", "OBX|2|TX|C^Comment^L||b",
        "OBR|2", "OBX|3|TX|C^Comment^L||c",
    )  # fmt: skip
    assert (first.text, second.text) == ("a\nb", "c")


def test_a_line_that_is_taken_back_stands_apart() -> None:
    kept, gone = _blocks(
        "OBX|1|TX|C^Comment^L||a||||||F",
        "OBX|2|TX|C^Comment^L||b||||||D",
    )
    assert (kept.text, kept.withdrawn) == ("a", False)
    assert (gone.text, gone.withdrawn) == ("b", True)


def test_segments_that_something_else_used_are_left_alone() -> None:
    given = message("OBX|1|TX|C^Comment^L||a", "OBX|2|TX|C^Comment^L||b")
    (block,) = text_blocks(given.all("OBX")[1:], given)
    assert block.text == "b"


def test_blank_lines_alone_are_a_narrative_that_says_nothing() -> None:
    (block,) = _blocks("OBX|1|TX|^Line 1||", "OBX|2|TX|^Line 2||")
    assert (block.text, len(block.segments)) == ("", 2)


def test_a_note_belongs_to_the_segment_before_it() -> None:
    notes = notes_after(
        message(
            "PID|1", "NTE|1||of the patient", "OBR|1", "NTE|1||of the report\\.br\\two",
            "OBX|1", "OBX|2", "NTE|1||first", "NTE|2||", "NTE|3||second~third",
        )
    )  # fmt: skip
    assert {place: note.text for place, note in notes.items()} == {
        "PID[1]": "of the patient",
        "OBR[1]": "of the report\ntwo",
        "OBX[2]": "first\nsecond\nthird",
    }
    assert notes["OBX[2]"].places == ("NTE[3]-3", "NTE[5]-3")
