from __future__ import annotations

from dataclasses import replace
from html import unescape
from xml.etree import ElementTree

import pytest

from gateway.fhir.narrative import READ_THE_REPORT, UNCERTAIN, WITHDRAWN, narrative
from gateway.report import Code, Implication, Report
from tests.fhir.reports import (
    CORRECTED,
    FETAL,
    MINIMAL,
    NEGATIVE,
    PATHOGENIC,
    PDF_ONLY,
    PENDING,
    POSITIVE,
    SAMPLES,
    UNCERTAIN_RESULT,
)
from tests.fhir.reports import WITHDRAWN as WITHDRAWN_REPORT


def words(report: Report) -> str:
    return "\n".join(ElementTree.fromstring(narrative(report)).itertext())


@pytest.mark.parametrize("report", SAMPLES.values(), ids=SAMPLES)
def test_the_narrative_is_well_formed_xhtml(report: Report) -> None:
    assert ElementTree.fromstring(narrative(report)).tag == "{http://www.w3.org/1999/xhtml}div"


@pytest.mark.parametrize("report", [POSITIVE, NEGATIVE, CORRECTED, FETAL, PENDING])
def test_the_words_of_the_laboratory_come_first(report: Report) -> None:
    assert words(report).startswith(report.conclusion)


def test_a_withdrawal_stands_above_everything() -> None:
    assert words(WITHDRAWN_REPORT).startswith(WITHDRAWN)


def test_a_report_that_is_only_a_document_says_read_the_report() -> None:
    assert words(PDF_ONLY).startswith(READ_THE_REPORT)
    assert READ_THE_REPORT not in words(POSITIVE)


@pytest.mark.parametrize("status", ["registered", "partial", "preliminary"])
def test_what_is_not_final_says_incomplete(status: str) -> None:
    assert "Incomplete:" in words(replace(POSITIVE, status=status))
    assert "Incomplete" not in words(POSITIVE)


def test_what_could_not_be_read_stands_beside_a_negative() -> None:
    assert "Incomplete: not everything could be read (PMS2)." in words(NEGATIVE)


@pytest.mark.parametrize(
    ("significance", "warned"),
    [
        (Code("", "LA26333-7", "http://loinc.org"), True),
        (Code("Class 3: Uncertain significance"), True),
        (Code("Hot VUS"), True),
        (PATHOGENIC, False),
        (Code("Likely benign"), False),
    ],
)
def test_uncertain_significance_is_not_for_action_alone(significance: Code, warned: bool) -> None:
    report = replace(POSITIVE, implications=(Implication("3", ("2a",), significance=significance),))
    assert (UNCERTAIN in words(report)) is warned


def test_each_variant_is_a_row_with_its_classification() -> None:
    text = words(UNCERTAIN_RESULT)
    assert "NM_007294.4:c.5207T>C" in text
    assert "Class 3: uncertain" in text


def test_markup_in_the_words_of_the_laboratory_is_only_shown() -> None:
    written = narrative(POSITIVE)
    assert "&lt;familial&gt;" in written
    assert "<familial>" in unescape(written)


def test_characters_that_xml_forbids_do_not_break_the_narrative() -> None:
    assert "a b" in words(replace(MINIMAL, conclusion="a\x0bb"))


def test_a_fetal_result_has_a_banner() -> None:
    assert "Tested material: Fetus." in words(FETAL)


@pytest.mark.parametrize("name", SAMPLES)
def test_no_outcome_is_invented(name: str) -> None:
    report = replace(SAMPLES[name], outcome=Code(), conclusion="", narrative=())
    assert not {"Positive", "Negative"} & set(words(report).split())
