from __future__ import annotations

import pytest

from gateway.pipeline.boards import label_of
from gateway.report import Document, Identifier, Organization, Patient, Report


@pytest.mark.parametrize(
    ("said", "before", "label"),
    [
        (None, "", "N"),
        (None, "R", "R"),
        ("", "R", "R"),
        ("R", "N", "R"),
        ("N", "R", "N"),
        ("U", "", "U"),
        ("something new", "N", "V"),
    ],
)
def test_a_report_is_as_confidential_as_it_says_else_as_it_was(
    said: str | None, before: str, label: str
) -> None:
    document = None if said is None else Document(confidentiality=said)
    report = Report(Identifier("R1"), Organization(), Patient(), "final", document=document)
    assert label_of(report, before) == label
