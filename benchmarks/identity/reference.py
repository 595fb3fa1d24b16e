"""Splink's answer on the same data, as a reference: by hand, where it is installed.

`pip install splink`; it links every message to the index by likeness. What it gives is not a
decision of ours: it shows what similarity alone would file, and on whom.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks.identity.population import Message, Person
from gateway.report import Patient

_THRESHOLDS = (0.99, 0.9999)


def _row(key: str, patient: Patient) -> dict[str, Any]:
    number = patient.identifiers[0].value if patient.identifiers else None
    return {
        "unique_id": key, "number": number, "family": patient.name.family.lower() or None,
        "given": " ".join(patient.name.given).lower() or None,
        "born": patient.birth_date or None, "sex": patient.sex, "postcode": patient.postcode,
    }  # fmt: skip


def compare(people: Sequence[Person], sent: Sequence[Message]) -> Iterator[str]:
    """Link messages to people and count whom the best match of each would file it on."""
    import pyarrow
    import splink.comparison_library as cl
    from splink import Linker, SettingsCreator, block_on
    from splink.backends.duckdb import DuckDBAPI

    api = DuckDBAPI()
    known = [_row(f"p{one.key}", one.patient()) for one in people]
    said = [_row(f"m{at}", one.asserted) for at, one in enumerate(sent)]
    tables = [
        api.register(pyarrow.Table.from_pylist(rows), dataset_display_name=name)
        for name, rows in (("people", known), ("sent", said))
    ]
    settings = SettingsCreator(
        link_type="link_only",
        comparisons=[
            cl.ExactMatch("number"), cl.JaroWinklerAtThresholds("family", [0.92, 0.8]),
            cl.JaroWinklerAtThresholds("given", [0.92, 0.8]),
            cl.DamerauLevenshteinAtThresholds("born", [1, 2]), cl.ExactMatch("sex"),
            cl.ExactMatch("postcode"),
        ],
        blocking_rules_to_generate_predictions=[
            block_on("number"), block_on("born"), block_on("family", "given"),
        ],
    )  # fmt: skip
    started = time.perf_counter()
    linker = Linker(tables, settings)
    linker.training.estimate_probability_two_random_records_match([block_on("number")], recall=0.98)
    linker.training.estimate_u_using_random_sampling(max_pairs=1e6)
    linker.training.estimate_parameters_using_expectation_maximisation(block_on("born"))
    linker.training.estimate_parameters_using_expectation_maximisation(block_on("number"))
    found = linker.inference.predict(threshold_match_probability=0.5).as_record_list()
    best: dict[str, tuple[float, str]] = {}
    for pair in found:
        ends = {str(pair["unique_id_l"])[0]: str(pair["unique_id_l"]),
                str(pair["unique_id_r"])[0]: str(pair["unique_id_r"])}  # fmt: skip
        match = pair["match_probability"], ends["p"]
        best[ends["m"]] = max(best.get(ends["m"], match), match)
    seconds = time.perf_counter() - started
    yield f"\nSplink, the best match of each message ({len(sent) / seconds:.0f} per second)"
    for threshold in _THRESHOLDS:
        taken = {name: person for name, (chance, person) in best.items() if chance >= threshold}
        wrong = sum(person != f"p{sent[int(name[1:])].truth.key}" for name, person in taken.items())
        yield f"  probability {threshold}: would file {len(taken)}, on the wrong patient {wrong}"
