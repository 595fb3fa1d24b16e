"""The messages that are measured are what they say, and none is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import messages, translate
from benchmarks.identity import filing, population
from gateway.identify import chi


@pytest.mark.parametrize(("name", "raw"), [case[:2] for case in translate.CASES])
def test_each_measured_message_is_translated(name: str, raw: bytes) -> None:
    translate.ours(raw)
    translate.python_hl7(raw)


def test_the_messages_are_of_the_size_that_their_names_say() -> None:
    assert messages.small().count(b"\r") == 9
    assert messages.genomic().count(b"\rOBX|") == 71
    assert messages.laboratory().count(b"\rOBX|") == 404
    assert 580_000 < len(messages.document()) < 620_000


def test_the_invented_population_is_valid_and_no_report_of_it_is_misfiled(tmp_path: Path) -> None:
    people = population.population(600, 3)
    national = [one.number for one in people if one.number.authority == "CHI"]
    assert {chi.check(one.value) for one in national} == {chi.Verdict.VALID}
    assert len({one.number.value for one in people}) == len(people)
    sent = list(population.messages(people, 300, 3))
    assert sent == list(population.messages(people, 300, 3))
    figures = filing.run(people, sent, tmp_path)
    assert figures.wrong == 0
    assert figures.filed + sum(figures.held.values()) == 300
    assert figures.filed > 240
