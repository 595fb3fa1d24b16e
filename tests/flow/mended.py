"""A folder of mappings in which one code table is broken, and mended again."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway.translate.mapping import load_mappings
from tests.flow.office import MAPPINGS, Desk

PRESENCE = "hl7v2/codes/presence.csv"
SIGNIFICANCE = "hl7v2/codes/significance.csv"
# Without its row a variant is held; with a wrong one it is published wrongly.
NO_PRESENT = (PRESENCE, "LA9633-4,Present,", "NONE,Present,")
WRONG_CLASS = (
    SIGNIFICANCE,
    "LA6668-3,Pathogenic,LA6668-3,Pathogenic",
    "LA6668-3,Pathogenic,LA26332-9,Likely pathogenic",
)


def broken(desk: Desk, folder: Path, fault: tuple[str, str, str]) -> Path:
    """Give the desk mappings with one fault, kept in a new folder."""
    place = folder / "mappings"
    shutil.copytree(MAPPINGS, place)
    table, right, wrong = fault
    text = (place / table).read_text(encoding="utf-8")
    assert right in text
    (place / table).write_text(text.replace(right, wrong), encoding="utf-8")
    desk.mappings = load_mappings(place)
    return place


def mend(desk: Desk, place: Path, fault: tuple[str, str, str]) -> None:
    """Put the table right."""
    shutil.copy(MAPPINGS / fault[0], place / fault[0])
    desk.mappings = load_mappings(place)


def environment(desk: Desk, mappings: Path = MAPPINGS) -> Mapping[str, Any]:
    """What a command needs to work on the database of the desk."""
    return {
        "GATEWAY_DATA": str(desk.folder),
        "GATEWAY_DATABASE": desk.database.url.render_as_string(hide_password=False),
        "GATEWAY_MAPPINGS": str(mappings),
        "GATEWAY_LOG_LEVEL": "error",
    }
