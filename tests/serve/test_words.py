from __future__ import annotations

import pytest

from gateway.config import Settings
from gateway.serve.oauth.words import kept, lines, sentence


@pytest.mark.parametrize(
    ("scope", "words"),
    [
        ("patient/*.rs", "see the whole genomic record of this patient"),
        ("patient/DiagnosticReport.read", "see genomic laboratory reports of this patient"),
        ("user/Patient.cruds", "see, add, change and delete name, date of birth, identifiers "
         "and address of every patient that you may see"),
        ("patient/Observation.rs?category=laboratory", "see findings, variants and their "
         "interpretation of this patient, only category laboratory"),
        ("patient/Media.r", "see records of the kind Media of this patient"),
    ],
)  # fmt: skip
def test_a_scope_is_said_in_plain_words(scope: str, words: str) -> None:
    assert sentence(scope) == words


def test_every_scope_is_a_line_that_can_be_left_out_or_how_the_app_was_started() -> None:
    scope = "launch openid fhirUser online_access patient/*.rs launch/patient user/Patient.r"
    shown = " ".join(line.scope for line in lines(scope, Settings()))
    assert sorted(f"{shown} {kept(scope)}".split()) == sorted(scope.split())
