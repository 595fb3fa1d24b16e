"""Merge messages: which number ends, and which patient it is from then on."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import Hold
from gateway.pipeline.read import read
from gateway.report import Translation
from gateway.translate.mapping import load_mappings

MAPPING = load_mappings(Path(__file__).parents[2] / "mappings").by_name["pas"]
_PID = "PID|1||0101625707^^^CHI^NH||Testpatient^Morag||19620101|F"
_MRG = "MRG|0101336489^^^CHI^NH"


def _read(event: str, *lines: str) -> Translation:
    header = f"MSH|^~\\&|PAS|SCOTLAND|GATEWAY||20260201||ADT^{event}|1|P|2.5"
    return read("".join(f"{line}\r" for line in (header, *lines)).encode(), MAPPING)


@pytest.mark.parametrize("event", ["A18", "A30", "A34", "A36", "A39", "A40"])
def test_a_merge_names_who_stays_and_which_number_ends(event: str) -> None:
    (merge,) = _read(event, "EVN|", _PID, _MRG).merges
    assert [one.value for one in merge.survivor.identifiers] == ["0101625707"]
    assert [one.value for one in merge.subsumed.identifiers] == ["0101336489"]
    assert (merge.event, merge.renumbered) == (event, False)


def test_a_change_of_number_is_no_merge() -> None:
    assert _read("A47", _PID, _MRG).merges[0].renumbered


def test_each_pair_of_a_message_is_its_own_merge() -> None:
    other = _PID.replace("0101625707", "0101405073"), _MRG.replace("0101336489", "1506241115")
    found = _read("A40", "EVN|", _PID, "PV1|1", _MRG, *other).merges
    assert [one.survivor.identifiers[0].value for one in found] == ["0101625707", "0101405073"]
    assert [one.subsumed.identifiers[0].value for one in found] == ["0101336489", "1506241115"]


@pytest.mark.parametrize(("lines", "place"), [((_PID,), "MRG"), ((_MRG,), "PID")])
def test_a_merge_needs_both_sides(lines: tuple[str, ...], place: str) -> None:
    held = _read("A40", *lines).holds[0]
    assert (held.hold, held.place) == (Hold.STRUCTURE, place)
