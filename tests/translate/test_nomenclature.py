"""Which names may carry a code: what the libraries read, and what is refused before or after."""

from __future__ import annotations

import subprocess
import sys

import pytest

from gateway.translate.nomenclature import (
    coordinates,
    hgvs_fault,
    is_karyotype,
    is_normal_karyotype,
    iscn_fault,
)

C, P = "NM_000059.4:c.", "NP_000050.3:p."
ALONE = "a reference sequence alone"
NO_REFERENCE = "no reference sequence before the name"
NO_VERSION = "no versioned reference sequence"
OTHER_TYPE = "the coordinate type is not that of the reference sequence"
BRACKETS = "alleles or repeats in brackets"
UNREADABLE = "not readable as HGVS"


@pytest.mark.parametrize(
    "name",
    [
        f"{C}5946del",
        f"{C}5946C>T",
        f"{C}20_23dup",
        f"{C}169_170insA",
        f"{C}6775_6777delinsC",
        f"{C}5657_5660inv",
        f"{C}1521_1523delCTT",
        f"{C}145_147delTGGinsAA",
        f"{C}93+1G>T",
        f"{C}94-2A>G",
        f"{C}-14G>C",
        f"{C}*18A>G",
        f"{C}4072-1234_5155-246del",
        f"{C}93=",
        "NM_000059.4(BRCA2):c.5946del",
        "NC_000023.11(NM_004006.2):c.93+1G>T",
        "NG_012232.1(NM_004006.2):c.93+1G>T",
        "ENST00000380152.8:c.5946del",
        "LRG_293t1:c.5946del",
        "LRG_199p1:p.Val25Gly",
        "NC_000013.11:g.32340301del",
        "NC_012920.1:m.3243A>G",
        "NR_002196.1:n.601G>T",
        "NM_004006.3:r.76a>c",
        f"{P}Trp24Cys",
        f"{P}(Trp24Cys)",
        f"{P}(Trp24*)",
        f"{P}(Trp24Ter)",
        f"{P}(Ser1982ArgfsTer22)",
        f"{P}Ser1982Argfs*22",
        f"{P}(Ser1982fs)",
        f"{P}(Phe508del)",
        f"{P}(Lys2_Met3insGlnSerLys)",
        f"{P}(Asn47delinsSerSerTrp)",
        f"{P}(Arg490=)",
        f"{P}(=)",
        "ENSP00000369497.3:p.(Ser1982fs)",
    ],
)
def test_a_name_on_a_versioned_reference_is_coded_when_it_can_be_read(name: str) -> None:
    assert hgvs_fault(name) == ""


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("c.5946del", NO_REFERENCE),
        ("p.(Trp24Cys)", NO_REFERENCE),
        ("NC_000007.14", ALONE),
        ("NM_000059:c.5946del", NO_VERSION),
        ("chr13:g.32340301del", NO_VERSION),
        ("NM_000059.4(not a gene):c.5946del", NO_VERSION),
        ("NM_000059.4(NM_007294.4):c.5946del", NO_VERSION),
        ("NM_000059.4:5946del", OTHER_TYPE),
        ("NM_000059.4: c.5946del", OTHER_TYPE),
        ("NM_000059.4:p.(Trp24Cys)", OTHER_TYPE),
        ("NP_000050.3:c.5946del", OTHER_TYPE),
        ("NC_012920.1:g.3243A>G", OTHER_TYPE),
        ("NC_000013.11:m.3243A>G", OTHER_TYPE),
        (f"{C}[76A>C;83G>C]", BRACKETS),
        (f"{C}[76A>C];[83G>C]", BRACKETS),
        (f"{C}2376G>C(;)3103del", BRACKETS),
        (f"{C}-129CGG[79]", BRACKETS),
        (f"{P}[Ser42Cys];[Arg43His]", BRACKETS),
        ("NM_024531.4:c.9163>A", UNREADABLE),
        (f"{C}5946", UNREADABLE),
        (C, UNREADABLE),
        (f"{C}5946G->A", UNREADABLE),
        (f"{C}5946G\u2013A", UNREADABLE),
        (f"{C}IVS3+1G>A", UNREADABLE),
        (f"{C}(?_-244)_(31+1_32-1)dup", UNREADABLE),
        (f"{C}1521_1523delCT", UNREADABLE),
        (f"{C}5946del p.(Ser1982fs)", UNREADABLE),
        (f"{C}\u0665\u0669A>G", UNREADABLE),
        (f"{P}Tpr24Cys", UNREADABLE),
        (f"{P}Ser1982TprfsTer22", UNREADABLE),
        (f"{P}Trp24", UNREADABLE),
        (f"{P}W24C", UNREADABLE),
        (f"{P}?", UNREADABLE),
        (f"{P}Met1ext-5", UNREADABLE),
        ("", NO_REFERENCE),
    ],
)
def test_any_other_name_is_text_and_the_reason_is_said(name: str, fault: str) -> None:
    assert hgvs_fault(name) == fault


@pytest.mark.parametrize(
    ("accession", "expected"),
    [
        ("NM_000059.4", "cnr"),
        ("NP_000050.3", "p"),
        ("NC_000013.11", "g"),
        ("NC_012920.1", "m"),
        ("ENST00000380152.8", "cnr"),
        ("LRG_293", "g"),
        ("NM_000059", ""),
        ("BRCA2", ""),
    ],
)
def test_an_accession_says_what_may_be_counted_on_it(accession: str, expected: str) -> None:
    assert coordinates(accession) == expected


@pytest.mark.parametrize(
    "name",
    [
        "46,XX",
        "45,X",
        "47,XY,+21",
        "46,XX[20]",
        "46,XX,t(9;22)(q34;q11.2)[20]",
        "mos 45,X[10]/46,XX[20]",
        "//46,XY[20]",
        "46,XX[15]//46,XY[5]",
        "48~50,XX,+8,+21[cp10]",
        "45,XX,der(13;14)(q10;q10)",
        "46,XX,der(22)t(9;22)(q34;q11.2)",
        "46,XY,inv(16)(p13.1q22)",
        "46,X,i(X)(q10)",
        "47,XX,+mar",
        "46,XX,dup(15)(q11q13)mat",
        "arr(X,1-22)x2",
        "arr[GRCh38] (1-22)x2,(X,Y)x1",
        "arr[GRCh37] 16p11.2(29580020_30190029)x1 dn",
        "arr[GRCh38] 15q11.2q13.1(22770422_28545063)\u00d73,18p11.32(102328_2326882)x1",
    ],
)
def test_a_karyotype_or_array_result_is_coded_when_it_can_be_read(name: str) -> None:
    assert iscn_fault(name) == ""


@pytest.mark.parametrize(
    "name",
    [
        "",
        "garbage",
        "46, XX",
        "46,XX,",
        "46,XXY",
        "45,XO",
        "999,XX",
        "46,XX normal female karyotype",
        "46,XX,rubbish",
        "46,XX,del(25)(q13)",
        "46,XX,del(5)(z13)",
        "46,XX,der(22)anything",
        "46,XX,t(9;22)",
        "46,XX/",
        "46,XX.ish del(22)(q11.2q11.2)(TUPLE1-)",
        "nuc ish(ABL1,BCR)x2[200]",
        "arr 16p11.2(29580020_30190029)x1",
        "arr[GRCh38] 16p11.2",
        "arr[GRCh37] 16p11.2(30190029_29580020)x3",
        "arr[GRCh37] 25p11.2(29580020_30190029)x3",
        "46,XX\u2014normal",
    ],
)
def test_any_other_cytogenetic_text_stays_text(name: str) -> None:
    assert iscn_fault(name).startswith("not readable as an ISCN")


def test_a_line_of_a_report_is_known_as_a_karyotype() -> None:
    assert is_karyotype("47,XY,+21")
    assert is_karyotype("46,XX.ish del(22)(q11.2q11.2)(TUPLE1-)")
    assert not is_karyotype("46,XX, a normal female karyotype")
    assert not is_karyotype("Cells examined: 30")
    assert [is_normal_karyotype(text) for text in ("46,XX", "46,XY[30]", "45,X")] == [
        True,
        True,
        False,
    ]


def test_no_library_is_loaded_before_a_name_needs_it() -> None:
    program = (
        "import sys, gateway.translate.readers as r, gateway.translate.nomenclature as n\n"
        "loaded = lambda: {'mavehgvs', 'iscn_authenticator'} & set(sys.modules)\n"
        "n.hgvs_fault('c.5946del'); n.iscn_fault('free text'); assert not loaded()\n"
        "n.hgvs_fault('NM_000059.4:c.5946del'); assert loaded() == {'mavehgvs'}\n"
        "n.iscn_fault('46,XX'); assert len(loaded()) == 2\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True, timeout=60)
