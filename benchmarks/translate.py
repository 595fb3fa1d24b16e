"""Parse and translate to checked bytes, per CPU second, beside what peers do in the same run."""

from __future__ import annotations

import gc
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import hl7
from fhir.resources.R4B.observation import Observation
from hl7apy.parser import parse_message

from benchmarks import messages
from gateway.pipeline.convert import convert
from gateway.translate.mapping import load_mappings

MAPPINGS = load_mappings(Path(__file__).parents[1] / "mappings")
ROUNDS = 7
ROUND_SECONDS = 0.4
# DESIGN.md, "How good it must be": messages per CPU second.
CASES = (
    ("9 segments", messages.small(), 2000),
    ("71-OBX genomic", messages.genomic(), 600),
    ("404 OBX", messages.laboratory(), 150),
    ("600 kB PDF", messages.document(), 200),
)
NAIVE_RATIO = 100


def ours(raw: bytes) -> None:
    """Bytes in, the checked Bundle's bytes out."""
    (done,) = convert(raw, MAPPINGS)
    if not done.bundle:
        raise SystemExit(f"refused: {[(one.place, one.text) for one in done.refused]}")


def python_hl7(raw: bytes) -> None:
    """python-hl7: parse, and read the code and the value of every OBX. Nothing is translated."""
    for segment in hl7.parse(raw.decode()).segments("OBX"):
        str(segment[3]), str(segment[5])


def naive(raw: bytes) -> None:
    """hl7apy and fhir.resources: parse, and make a model of every OBX. Nothing is checked."""
    parsed = parse_message(raw.decode(), find_groups=False)
    for segment in parsed.children.get("OBX"):
        json.loads(
            Observation.model_validate({
                "status": "final", "code": {"text": segment.obx_3.to_er7()},
                "valueString": segment.obx_5.to_er7(),
            }).model_dump_json()
        )  # fmt: skip


def rates(work: dict[str, Callable[[bytes], None]], raw: bytes) -> dict[str, list[float]]:
    """Messages per CPU second of each, in interleaved rounds."""
    found: dict[str, list[float]] = {name: [] for name in work}
    for run in work.values():
        run(raw)
    for _ in range(ROUNDS):
        for name, run in work.items():
            gc.collect()  # nobody pays for what the one before left behind
            began, count = time.process_time(), 0
            while time.process_time() - began < ROUND_SECONDS:
                run(raw)
                count += 1
            found[name].append(count / (time.process_time() - began))
    return found


def main() -> bool:
    """Print the table; whether every budget is met."""
    work = {"gateway": ours, "python-hl7": python_hl7, "hl7apy + models": naive}
    met = True
    print("parse + translate to checked bytes, messages per CPU second (median, lowest - highest)")
    for name, raw, budget in CASES:
        found = rates(work, raw)
        middle = {who: statistics.median(some) for who, some in found.items()}
        ratio = middle["gateway"] / middle["hl7apy + models"]
        fine = middle["gateway"] >= budget and ratio >= NAIVE_RATIO
        met &= fine
        shown = ", ".join(
            f"{who} {middle[who]:.0f} ({min(some):.0f} - {max(some):.0f})"
            for who, some in found.items()
        )
        print(f"{name}: {shown}")
        print(
            f"  {ratio:.1f} x hl7apy + models (budget {NAIVE_RATIO}),"
            f" {middle['gateway'] / middle['python-hl7']:.2f} x python-hl7's reading alone,"
            f" budget {budget}: {'met' if fine else 'missed'}"
        )
    return met
