"""The measure: every OBX value is in the output, or named by its place as not translated."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.pipeline.convert import convert
from gateway.translate.mapping import load_mappings

MAPPINGS = load_mappings(Path(__file__).parents[2] / "mappings")
CODES = sorted({*MAPPINGS.standard.by_code, "2345-7", "L1", "CYTO", ""})
SUB_IDS = ["", "1", "1.a", "1.b", "2a", "2b", "3a", "3a.1a", "3a.1b", "4a", "9z", "PDF"]
TYPES = ["ST", "TX", "FT", "CWE", "CE", "NM", "SN", "NR", "DT", "TS", "ED", "RP", "", "XX"]
HEADER = (
    "MSH|^~\\&|X|LAB|GATEWAY||20260305101500||ORU^R01|M1|P|2.5.1\r"
    "PID|1||0101625707^^^CHI^NH||Testpatient^Morag||19620101|F\r"
    "OBR|1|O-1|R-1|R208.1^Panel^England-GenomicTestDirectory|||20260210|||||||||||||||"
    "20260305101500||GE|F\r"
)
_answers = sorted(
    {
        code
        for table in MAPPINGS.standard.tables.values()
        for code in table.by_source
        if "^" not in code
    }
)


@st.composite
def _value(draw: st.DrawFn, number: int) -> str:
    """A value that carries a token of its own, so that it can be found in the output."""
    token = f"tok{number}q"
    return draw(
        st.sampled_from([
            token, f"^{token}", f"{token}^{token}^L", f"^^^^^^^^{token}", f"{number}77.50",
            f"^{number}77.50", f"{number}77^{number}99", f"<^{number}77",
            f"NM_000059.4:c.{number}77del",
            f"NM_000059.4:c.{number}77del^^HGVS.c", f"c.{number}77>A", f"{token}~{token}b",
            "", '""', "-", f"{token}\\.br\\{token}", f"^IG^application/pdf^Base64^{token}",
            "LA6576-8^Positive^LN",
        ])
        | st.sampled_from(_answers).map(lambda code: f"{code}^{token}^LN")
    )  # fmt: skip


@st.composite
def _messages(draw: st.DrawFn) -> str:
    lines = []
    for number in range(1, draw(st.integers(1, 12)) + 1):
        kind, code = draw(st.sampled_from(TYPES)), draw(st.sampled_from(CODES))
        sub_id, status = draw(st.sampled_from(SUB_IDS)), draw(st.sampled_from("FFFFFPCU"))
        value = draw(_value(number + 100))
        lines.append(
            f"OBX|{number}|{kind}|{code}^Name {number}^LN|{sub_id}|{value}||||||{status}\r"
        )
        if draw(st.integers(0, 9)) == 0:
            lines.append(f"NTE|{number}||note tok{number + 500}q\r")
    return HEADER + "".join(lines)


def _values(raw: str) -> dict[str, str]:
    """Every place of OBX-5 and NTE-3 that holds something, counted here and not by the product."""
    found, counts = {}, {"OBX": 0, "NTE": 0}
    for line in raw.split("\r"):
        fields = line.split("|")
        if fields[0] in counts:
            counts[fields[0]] += 1
            number = 5 if fields[0] == "OBX" else 3
            if len(fields) > number and fields[number]:
                found[f"{fields[0]}[{counts[fields[0]]}]-{number}"] = fields[number]
    return found


@settings(max_examples=300, deadline=None)
@given(_messages())
def test_every_value_is_translated_or_named(raw: str) -> None:
    (done,) = convert(raw.encode(), MAPPINGS)
    account = {one.place: one for one in done.translation.account}
    sent = _values(raw)
    assert sent.keys() <= account.keys()
    assert all(one.target or one.reason for one in account.values())
    if not done.bundle:
        assert done.refused
        return
    written = done.bundle.decode()
    for place, value in sent.items():
        tokens = re.findall(r"tok\d+q|\d{3}(?:77|99)", value)
        if account[place].target and tokens:
            assert any(token in written for token in tokens), (place, account[place])


@pytest.mark.parametrize("raw", [HEADER, HEADER + "OBX|1|ST|L1^x^LN|1|||||||F\r"])
def test_a_report_without_values_has_an_empty_account(raw: str) -> None:
    (done,) = convert(raw.encode(), MAPPINGS)
    assert done.translation.account == ()
