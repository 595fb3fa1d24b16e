"""Every OBX value goes somewhere, or is named by position: the account."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from gateway.errors import Hold
from gateway.pipeline.read import read
from gateway.report import Range, Report, Translation
from gateway.translate.mapping import Mappings, load_mappings

HEADER = (
    "MSH|^~\\&|X|LAB|GATEWAY||20260305101500||ORU^R01|M1|P|2.5.1\r"
    "PID|1||0101625707^^^CHI^NH||Testpatient^Morag||19620101|F\r"
    "OBR|1|O-1|R-1|R208.1^Panel^England-GenomicTestDirectory|||20260210|||||||||||||||"
    "20260305101500||GE|F\r"
)


@pytest.fixture(scope="module")
def mappings() -> Mappings:
    return load_mappings(Path(__file__).parents[2] / "mappings")


def _translate(mappings: Mappings, *lines: str, header: str = HEADER) -> Translation:
    numbered = (f"OBX|{number}|{line}\r" for number, line in enumerate(lines, 1))
    return read((header + "".join(numbered)).encode(), mappings.standard)


def _report(translation: Translation) -> Report:
    assert translation.holds == ()
    (report,) = translation.reports
    return report


def test_two_sub_ids_are_two_variants(mappings: Mappings) -> None:
    report = _report(
        _translate(
            mappings,
            "CWE|48018-6^^LN|2a|HGNC:1101^BRCA2^HGNC-Symb||||||F",
            "CWE|48004-6^^LN|2a|NM_000059.4:c.5946del^^HGVS.c||||||F",
            "CWE|48018-6^^LN|2b|HGNC:1100^BRCA1^HGNC-Symb||||||F",
            "ST|41103-3^^LN|2b|NM_007294.4:c.5096G>A||||||F",
        )
    )
    assert [(one.key, one.genes[0].code, one.coding_hgvs.code) for one in report.variants] == [
        ("2a", "HGNC:1101", "NM_000059.4:c.5946del"),
        ("2b", "HGNC:1100", "NM_007294.4:c.5096G>A"),
    ]


def test_without_sub_ids_a_repeated_opening_code_starts_the_next_variant(
    mappings: Mappings,
) -> None:
    report = _report(
        _translate(
            mappings,
            "CWE|48018-6^^LN||HGNC:1101^BRCA2^HGNC-Symb||||||F",
            "CWE|48004-6^^LN||NM_000059.4:c.5946del^^HGVS.c||||||F",
            "CWE|48018-6^^LN||HGNC:1100^BRCA1^HGNC-Symb||||||F",
            "CWE|48004-6^^LN||NM_007294.4:c.5096G>A^^HGVS.c||||||F",
        )
    )
    assert [one.genes[0].text for one in report.variants] == ["BRCA2", "BRCA1"]


def test_genes_of_the_study_are_no_variants(mappings: Mappings) -> None:
    report = _report(
        _translate(
            mappings,
            "CWE|48018-6^^LN|1.a|HGNC:1101^BRCA2^HGNC-Symb||||||F",
            "CWE|51968-6^^LN|1|LA6577-6^Negative^LN||||||F",
        )
    )
    assert report.variants == ()
    assert [gene.text for gene in report.analysis.genes_studied] == ["BRCA2"]
    assert report.outcome.code == "LA6577-6"


def test_significance_is_an_implication_never_part_of_the_variant(mappings: Mappings) -> None:
    report = _report(
        _translate(
            mappings,
            "CWE|48004-6^^LN|2a|NM_000059.4:c.5946del^^HGVS.c||||||F",
            "CWE|53037-8^^LN|2a|LA6668-3^Pathogenic^LN||||||F",
        )
    )
    (implication,) = report.implications
    assert implication.derived_from == ("2a",)
    assert implication.significance.code == "LA6668-3"


def test_numbers_ranges_and_fractions_keep_their_digits(mappings: Mappings) -> None:
    report = _report(
        _translate(
            mappings,
            "CWE|48004-6^^LN|2a|NM_000059.4:c.5946del^^HGVS.c||||||F",
            "NM|81258-6^^LN|2a|0.450||||||F",
            "NM|82121-5^^LN|2a|120||||||F",
            "NR|81254-5^^LN|2a|32340300^32340301||||||F",
        )
    )
    (variant,) = report.variants
    assert variant.allele_fraction is not None
    assert str(variant.allele_fraction.value) == "0.450"
    assert variant.exact_range == Range(Decimal(32340300), Decimal(32340301))


@pytest.mark.parametrize(
    ("line", "kept", "code"),
    [
        ("CWE|48004-6^^LN|2a|c.5946del^^HGVS.c||||||F", "c.5946del", ""),
        ("CWE|48018-6^^LN|2a|3614^GALT^HGNC-Symb||||||F", "GALT", "HGNC:4135"),
        ("CWE|48018-6^^LN|2a|HGNC:1^BRCA2^HGNC-Symb||||||F", "BRCA2", ""),
        ("CWE|51958-7^^LN|2a|NM_000059^^RefSeq-T||||||F", "NM_000059", ""),
        ("CWE|53034-5^^LN|2a|LA6706-1x^Heterozygous^LN||||||F", "Heterozygous", ""),
        ("CWE|53037-8^^LN|2a|LA6668-3^Benign^LN||||||F", "Benign", ""),
    ],
)
def test_a_doubtful_code_is_dropped_its_text_kept_and_the_place_named(
    mappings: Mappings, line: str, kept: str, code: str
) -> None:
    translation = _translate(mappings, line, "ST|69548-6^^LN|2a|LA9633-4^Present^LN||||||F")
    report = _report(translation)
    assert f"text='{kept}', code='{code}'" in repr(report)
    assert any(notice.place == "OBX[1]-5" for notice in translation.notices)


@pytest.mark.parametrize(
    "line",
    [
        "NM|81258-6^^LN|2a|45||||||F",
        "NM|81258-6^^LN|2a|much||||||F",
        "NR|81254-5^^LN|2a|200^100||||||F",
    ],
)
def test_a_value_that_cannot_be_read_holds_the_report(mappings: Mappings, line: str) -> None:
    translation = _translate(
        mappings, "CWE|48004-6^^LN|2a|NM_000059.4:c.5946del^^HGVS.c||||||F", line
    )
    assert [(one.place, one.hold) for one in translation.holds] == [("OBX[2]-5", Hold.CONTENT)]


def test_text_lines_are_narrative_in_order_and_the_rest_is_named_by_position(
    mappings: Mappings,
) -> None:
    translation = _translate(
        mappings,
        "TX|L1^Line^L||First line||||||F",
        "TX|L1^Line^L||Second \\T\\ last\\.br\\line||||||F",
        "NM|2345-7^Glucose^LN||5.4||||||F",
        "CWE|48018-6^^LN|7a|HGNC:1101^BRCA2^HGNC-Symb||||||F",
    )
    report = _report(translation)
    assert report.narrative == ("Line\nFirst line\nSecond & last\nline",) or report.narrative == (
        "First line\nSecond & last\nline",
    )
    assert [one.code.text for one in report.results] == ["Glucose", "48018-6"]
    assert all(one.target for one in translation.account)


def test_every_value_is_accounted_for_once(mappings: Mappings) -> None:
    lines = (
        "CWE|48004-6^^LN|2a|NM_000059.4:c.5946del^^HGVS.c||||||F",
        "CWE|48004-6^^LN|2a|NM_000059.4:c.1A>G^^HGVS.c||||||F",
        "CWE|99999-9^^LN|2a|x||||||F",
        "CWE|51968-6^^LN|1|LA6576-8^Positive^LN||||||F",
        "FT|51969-4^^LN|1|Words||||||F",
        "CWE|X^Y^L|1|LA14020-4^Genetic counseling recommended^LN||||||F",
        "CWE|69548-6^^LN|2b|LA9634-2^Absent^LN||||||O",
    )
    translation = _translate(mappings, *lines)
    places = [one.place for one in translation.account]
    assert sorted(places) == [f"OBX[{number}]-5" for number in range(1, len(lines) + 1)]


def test_a_status_that_the_sender_left_out_is_derived_and_said(mappings: Mappings) -> None:
    header = HEADER.replace("||GE|F\r", "||GE\r")
    translation = _translate(mappings, "FT|51969-4^^LN|1|Words||||||F", header=header)
    report = _report(translation)
    assert (report.status, report.status_from) == ("final", "derived")
    undecided = _translate(mappings, "FT|51969-4^^LN|1|Words", header=header)
    assert [one.place for one in undecided.holds] == ["OBR-25"]


def test_several_obr_of_one_report_number_are_one_report(mappings: Mappings) -> None:
    second = HEADER.split("\r")[2].replace("OBR|1|", "OBR|2|")
    other = second.replace("R-1", "R-2").replace("OBR|2|", "OBR|3|")
    header = HEADER + second + "\rOBX|9|FT|51969-4^^LN|1|One||||||F\r" + other + "\r"
    translation = _translate(mappings, "FT|51969-4^^LN|1|Two||||||F", header=header)
    assert [(one.number.value, one.conclusion) for one in translation.reports] == [
        ("R-1", "One"),
        ("R-2", "Two"),
    ]


COMPLEX = (
    "CWE|81262-8^^LN|3a|NM_000157.4:c.[1226A>G;1448T>C]^^HGVS.c||||||F",
    "CWE|81263-6^^LN|3a|{type}^LN||||||F",
    "CWE|53037-8^^LN|3a|LA6668-3^Pathogenic^LN||||||F",
    "CWE|48004-6^^LN|3a.1a|NM_000157.4:c.1226A>G^^HGVS.c||||||F",
    "CWE|82120-7^^LN|3a.1a|{phase}||||||F",
    "CWE|48004-6^^LN|3a.1b|NM_000157.4:c.1448T>C^^HGVS.c||||||F",
    "CWE|82309-6^^LN|3a.1b|LA26426-9^Directly measured^LN||||||F",
)


@pytest.mark.parametrize(
    ("type_", "kind"),
    [("LA26217-2^Compound heterozygous", "genotype"), ("LA26218-0^Haplotype", "haplotype")],
)
def test_a_complex_variant_is_named_as_a_whole_and_has_its_members(
    mappings: Mappings, type_: str, kind: str
) -> None:
    lines = (line.format(type=type_, phase="Trans") for line in COMPLEX)
    report = _report(_translate(mappings, *lines))
    (whole,) = report.haplotypes
    assert (whole.kind, whole.name.text) == (kind, "NM_000157.4:c.[1226A>G;1448T>C]")
    assert whole.derived_from == ("3a.1a", "3a.1b") == tuple(one.key for one in report.variants)
    (implication,) = report.implications
    assert implication.derived_from == ("3a",)
    (phase,) = report.phases
    assert (phase.relationship.code, phase.derived_from) == ("Trans", ("3a.1a", "3a.1b"))
    assert phase.basis.code == "LA26426-9"


def test_a_phase_that_is_not_known_or_of_no_two_variants_stays_words(mappings: Mappings) -> None:
    lines = (line.format(type="LA26218-0^Haplotype", phase="sideways") for line in COMPLEX)
    translation = _translate(mappings, *lines)
    report = _report(translation)
    assert report.phases == ()
    assert report.variants[0].notes == ("Phase as reported: sideways",)
    assert report.variants[1].notes == ("Phase as reported: Directly measured",)
    alone = _translate(
        mappings,
        "CWE|48004-6^^LN|2a|NM_000157.4:c.1226A>G^^HGVS.c||||||F",
        "CWE|82120-7^^LN|2a|Trans||||||F",
    )
    assert _report(alone).variants[0].notes == ("Phase as reported: Trans",)


def test_a_drug_group_is_a_genotype_its_meaning_and_a_recommendation(mappings: Mappings) -> None:
    report = _report(
        _translate(
            mappings,
            "CWE|48018-6^^LN|4a|HGNC:2621^CYP2C19^HGNC-Symb||||||F",
            "ST|84413-4^^LN|4a|*2/*2||||||F",
            "CWE|51963-7^^LN|4a|^clopidogrel||||||F",
            "CWE|53040-2^^LN|4a|LA9657-3^Poor metabolizer^LN||||||F",
            "CWE|1^Advice^L|4a|LA26421-0^Consider alternative medication^LN||||||F",
        )
    )
    (genotype,) = report.haplotypes
    assert (genotype.kind, genotype.name.text, genotype.genes[0].text) == (
        "genotype", "*2/*2", "CYP2C19",
    )  # fmt: skip
    (implication,) = report.implications
    assert implication.kind == "therapeutic"
    assert [one.code for one in implication.effects] == ["LA9657-3"]
    assert [one.text for one in implication.medications] == ["clopidogrel"]
    (proposal,) = report.recommendations
    assert (proposal.kind, proposal.action.code, proposal.reason) == (
        "medication", "LA26421-0", "4a",
    )  # fmt: skip


def test_what_was_looked_for_is_never_something_found(mappings: Mappings) -> None:
    report = _report(
        _translate(
            mappings,
            "CWE|36908-2^Tested^LN|1.a|V1^CFTR:p.F508del||||||F",
            "CWE|36908-2^Tested^LN|1.b|V2^CFTR:p.G542X||||||F",
            "NR|51959-5^Ranges^LN|1|100^200||||||F",
            "CWE|48004-6^^LN|2a|NM_000492.4:c.1521_1523del^^HGVS.c||||||F",
        )
    )
    assert [one.text for one in report.analysis.tested] == ["CFTR:p.F508del", "CFTR:p.G542X"]
    assert report.analysis.regions == ("100-200",)
    assert [one.coding_hgvs.text for one in report.variants] == ["NM_000492.4:c.1521_1523del"]


def test_what_no_field_of_a_variant_takes_stays_beside_it_in_words(mappings: Mappings) -> None:
    translation = _translate(
        mappings,
        "CWE|48004-6^^LN|2a|NM_000059.4:c.5946del^^HGVS.c||||||F",
        "NM|12345-6^Odd measure^LN|2a|7.50|mg|||||F",
    )
    assert _report(translation).variants[0].notes == ("Odd measure: 7.50 mg",)
    assert translation.account[-1].target == "variant.notes"


def test_groups_of_two_orders_with_one_sub_id_are_two_variants(mappings: Mappings) -> None:
    second = HEADER.splitlines()[2].replace("OBR|1", "OBR|2")
    translation = _translate(
        mappings,
        "CWE|48004-6^^LN|2a|NM_000059.4:c.5946del^^HGVS.c||||||F\r" + second,
        "CWE|48004-6^^LN|2a|NM_007294.4:c.5096G>A^^HGVS.c||||||F",
    )
    assert [one.key for one in _report(translation).variants] == ["2a", "2:2a"]
