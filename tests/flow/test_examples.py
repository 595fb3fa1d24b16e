"""Every sender's examples through the whole pipeline: what is stored is what was promised."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import orjson
import pytest

from gateway import demo
from gateway.store.database import Database
from tests.flow.office import Desk

FOLDER = Path(__file__).parents[2] / "mappings"
EXAMPLES = sorted(
    path
    for path in FOLDER.glob("*/examples/*.hl7")
    if path.parts[-3] not in ("hl7v2", "pas") and path.with_suffix(".json").exists()
)
PEOPLE = (*demo._PEOPLE, ("0707411114", "Unknown^Isla", "19410707", "F"))
# Not of one report alone: the demonstration's patients are there before, and laboratories are
# resources of their own in a store only when they have an identifier.
_SHARED = frozenset({"Patient", "Organization", "Practitioner", "PractitionerRole"})


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: f"{path.parts[-3]}-{path.stem}")
def test_an_example_is_stored_as_its_expected_graph(
    example: Path, database: Database, tmp_path: Path
) -> None:
    desk = Desk(database, tmp_path)
    for number, person in enumerate(PEOPLE):
        desk.send(demo._patient(*person, number))
    row = desk.send(example.read_bytes())
    assert (row["state"], row["reason"]) == ("filed", "")
    bundle = orjson.loads(example.with_suffix(".json").read_bytes())
    promised = Counter(one["resource"]["resourceType"] for one in bundle["entry"])
    stored = Counter({kind: len(desk.resources(kind)) for kind in promised})
    assert {kind: count for kind, count in stored.items() if kind not in _SHARED} == {
        kind: count for kind, count in promised.items() if kind not in _SHARED
    }
    codes = [
        sorted(
            orjson.dumps([one.get("code"), one.get("component"), one.get("valueCodeableConcept")])
            for one in found
        )
        for found in (
            desk.resources("Observation"),
            [one["resource"] for one in bundle["entry"]
             if one["resource"]["resourceType"] == "Observation"],
        )
    ]  # fmt: skip
    assert codes[0] == codes[1]


def test_the_bytes_of_a_translation_do_not_depend_on_the_process() -> None:
    command = [sys.executable, "-m", "gateway.cli", "translate", "--ndjson", *map(str, EXAMPLES)]
    first, second = (
        subprocess.run(
            command, capture_output=True, check=True, env={**os.environ, "PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    )
    assert first == second != b""
