"""Each reader: what it takes from a value, what it drops, and that it says where."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from gateway.errors import Hold, InvalidMapping
from gateway.message import Message, Segment
from gateway.report import Code
from gateway.translate.codes import load_table
from gateway.translate.desk import Desk
from gateway.translate.found import Found
from gateway.translate.readers import READERS

FOLDER = Path(__file__).parents[2] / "mappings" / "hl7v2" / "codes"
TABLES = {path.stem: load_table(path) for path in FOLDER.glob("*.csv")}
HGVS, HGNC, LOINC = "http://varnomen.hgvs.org", "http://www.genenames.org", "http://loinc.org"
REFSEQ = "http://www.ncbi.nlm.nih.gov/refseq"
ODS = "https://fhir.nhs.uk/Id/ods-organization-code"
BOARD = "urn:x-genomics-gateway:scotland:health-board"


def _read(
    reader: str, raw: str, table: str = "", *, critical: bool = False, sent: str = "20260301"
) -> tuple[object, list[tuple[str, str, Hold | None]]]:
    header = Segment("MSH", 1, ("MSH", "|", "^~\\&", "", "", "", "", sent))
    desk = Desk(Message((header,)), ZoneInfo("Europe/London"), TABLES)
    found = Found(raw, "OBX[1]-5", desk, TABLES[table] if table else None, critical)
    value = READERS[reader][0](found)
    return value, [(one.place, one.text, one.hold) for one in desk.notices]


def _code(reader: str, raw: str, table: str = "") -> tuple[str, str, str, int]:
    value, notices = _read(reader, raw, table)
    assert isinstance(value, Code)
    assert {place for place, _, _ in notices} <= {"OBX[1]-5"}
    return value.text, value.code, value.system, len(notices)


@pytest.mark.parametrize(
    ("raw", "text", "code", "system", "warnings"),
    [
        ("LA6706-1^Heterozygous^LN", "Heterozygous", "LA6706-1", LOINC, 0),
        ("LA6706-1^het^LN", "het", "LA6706-1", LOINC, 0),
        ("LA6706-1", "Heterozygous", "LA6706-1", LOINC, 0),
        ("^Heterozygous", "Heterozygous", "LA6706-1", LOINC, 0),
        ("heterozygous", "heterozygous", "LA6706-1", LOINC, 0),
        ("^^^^^^^^Heterozygous", "Heterozygous", "LA6706-1", LOINC, 0),
        ("H^Het^L^LA6706-1^Heterozygous^LN", "Het", "LA6706-1", LOINC, 0),
        ("LA6706-1l^Heterozygous^LN", "Heterozygous", "", "", 1),
        ("LA6706^Heterozygous^LN", "Heterozygous", "", "", 1),
        ("LA6706", "LA6706", "", "", 1),
        ("LA6706-1^Homozygous^LN", "Homozygous", "", "", 1),
        ("LA6706-1^Het^LN^LA6705-3^Hom^LN", "Het, Hom", "", "", 1),
        ("^^^^^^^^half and half", "half and half", "", "", 1),
    ],
)
def test_an_answer_keeps_its_words_and_its_code_only_when_they_agree(
    raw: str, text: str, code: str, system: str, warnings: int
) -> None:
    assert _code("coded", raw, "allelic-state") == (text, code, system, warnings)


def test_an_unknown_answer_to_a_critical_question_holds() -> None:
    value, notices = _read("coded", "LA6683-2x^Germline^LN", "source-class", critical=True)
    assert value is None
    assert [(place, hold) for place, _, hold in notices] == [("OBX[1]-5", Hold.CODE)]


@pytest.mark.parametrize(
    ("raw", "text", "code", "warnings"),
    [
        ("254837009^Breast cancer^SCT", "Breast cancer", "254837009", 0),
        ("rs80359550^^dbSNP", "rs80359550", "rs80359550", 0),
        ("30880^A variant^ClinVar-V", "A variant", "30880", 0),
        ("LA6692-3l^Deletion^LN", "Deletion", "", 1),
        ("SO:0001583^missense^ClinVar-V", "missense", "", 1),
        ("C0006142^Breast carcinoma^MedGen-Dis", "Breast carcinoma", "", 1),
        ("C0006142^^MedGen-Dis", "C0006142", "", 1),
        ("1234^Words", "Words", "", 1),
        ("Words", "Words", "", 0),
        ("^^^^^^^^Words", "Words", "", 0),
    ],
)
def test_a_code_without_a_table_needs_a_system_that_is_known_and_its_form(
    raw: str, text: str, code: str, warnings: int
) -> None:
    read = _code("coded", raw)
    assert (read[0], read[1], read[3]) == (text, code, warnings)


def test_an_alternate_code_is_kept_beside_the_first() -> None:
    value, notices = _read("coded", "254837009^Breast cancer^SCT^MONDO:0007254^breast^MONDO")
    assert isinstance(value, Code)
    assert (value.code, [one.code for one in value.also], notices) == (
        "254837009",
        ["MONDO:0007254"],
        [],
    )


@pytest.mark.parametrize(
    ("raw", "text", "code"),
    [
        ("TISS^Tissue^HL70487", "Tissue", "TISS"),
        ("^Blood specimen with EDTA", "Blood specimen with EDTA", "445295009"),
        ("119361006^Plasma specimen^SCT", "Plasma specimen", "119361006"),
        ("PB^Blood^L", "Blood", ""),
    ],
)
def test_an_open_list_keeps_codes_that_its_table_lacks(raw: str, text: str, code: str) -> None:
    assert _code("open", raw, "specimen-type")[:2] == (text, code)


@pytest.mark.parametrize(
    ("raw", "text", "code", "warnings"),
    [
        ("HGNC:1101^BRCA2^HGNC-Symb", "BRCA2", "HGNC:1101", 0),
        ("1101^BRCA2^HGNC-Symb", "BRCA2", "HGNC:1101", 0),
        ("BRCA2^BRCA2^HGNC-Symb", "BRCA2", "HGNC:1101", 0),
        ("BRCA2^DNA repair gene^HGNC-Symb", "DNA repair gene", "HGNC:1101", 0),
        ("BRCA2", "BRCA2", "HGNC:1101", 0),
        ("HGNC:1101", "HGNC:1101", "HGNC:1101", 0),
        ("^^^^^^^^BRCA2", "BRCA2", "HGNC:1101", 0),
        ("3614^GALT^HGNC-Symb", "GALT", "HGNC:4135", 1),
        ("HGNC:3614^GALT^HGNC-Symb", "GALT", "", 1),
        ("HGNC:1101^XYZ1^HGNC-Symb", "XYZ1", "", 1),
        ("HGNC:1101^BRCA2 DNA repair associated^HGNC-Symb", "BRCA2 DNA repair associated",
         "HGNC:1101", 0),
        ("HGNC:99999^XYZ1^HGNC-Symb", "XYZ1", "HGNC:99999", 0),
        ("HGNC:0000^NoGene^HGNC", "NoGene", "", 1),
        ("XYZ1", "XYZ1", "", 0),
    ],
)  # fmt: skip
def test_a_gene_id_is_used_only_where_it_agrees_with_the_symbol(
    raw: str, text: str, code: str, warnings: int
) -> None:
    read = _code("gene", raw, "genes")
    assert (read[0], read[1], read[3]) == (text, code, warnings)
    assert read[2] == (HGNC if code else "")


@pytest.mark.parametrize(
    ("raw", "text", "coded"),
    [
        ("NM_000059.4:c.5946del^^HGVS.c", "NM_000059.4:c.5946del", True),
        ("NM_000059.4:c.5946del", "NM_000059.4:c.5946del", True),
        ("^^^^^^^^NM_000059.4:c.5946del", "NM_000059.4:c.5946del", True),
        ("30880^NM_000059.4:c.5946del^ClinVar-V", "NM_000059.4:c.5946del", True),
        ("c.5946del^^HGVS.c", "c.5946del", False),
        ("c.5946del^frameshift in exon 11^HGVS.c", "c.5946del, frameshift in exon 11", False),
        ("c.5946del^BRCA2 c.5946del^HGVS.c", "BRCA2 c.5946del", False),
        ("NM_024531.4:c.9163>A^^HGVS.c", "NM_024531.4:c.9163>A", False),
        ("NM_000059.4:c.[76A>C];[83G>C]^^HGVS.c", "NM_000059.4:c.[76A>C];[83G>C]", False),
        ("NC_000007.14^^RefSeq-G", "NC_000007.14", False),
        ("NC_000013.11:g.32340301del^^RefSeq-G", "NC_000013.11:g.32340301del", False),
        ("NP_000050.3:p.(Trp24Cys)^^HGVS.c", "NP_000050.3:p.(Trp24Cys)", False),
        ("none^no change found", "no change found", False),
    ],
)
def test_hgvs_is_verbatim_and_coded_only_when_readable_and_labelled_as_such(
    raw: str, text: str, coded: bool
) -> None:
    expected = (text, text, HGVS, 0) if coded else (text, "", "", 1)
    assert _code("hgvs", raw) == expected


@pytest.mark.parametrize(
    ("raw", "text", "coded"),
    [
        ("47,XY,+21^^ISCN", "47,XY,+21", True),
        ("^^^^^^^^arr(X,1-22)x2", "arr(X,1-22)x2", True),
        ("47,XY,+21 in all cells", "47,XY,+21 in all cells", False),
        ("nuc ish(ABL1,BCR)x2[200]", "nuc ish(ABL1,BCR)x2[200]", False),
    ],
)
def test_iscn_is_verbatim_and_coded_only_when_readable(raw: str, text: str, coded: bool) -> None:
    system = "https://iscn.karger.com"
    assert _code("iscn", raw) == ((text, text, system, 0) if coded else (text, "", "", 1))


@pytest.mark.parametrize("line", ["46,XX", "46,XY[30]", "Cells examined: 30", "46,XX, normal"])
def test_a_line_that_names_no_abnormal_karyotype_is_no_finding(line: str) -> None:
    assert _read("karyotype", line) == (None, [])


def test_an_abnormal_karyotype_in_a_line_is_a_finding() -> None:
    assert _code("karyotype", "47,XX,+21")[1] == "47,XX,+21"
    assert _code("karyotype", "47,XX,+21.ish 21q22(D21S55x3)")[1] == ""


@pytest.mark.parametrize(
    ("raw", "text", "code", "system"),
    [
        ("NM_000059.4^^RefSeq-T", "NM_000059.4", "NM_000059.4", REFSEQ),
        ("ENST00000380152.8", "ENST00000380152.8", "ENST00000380152.8", "http://www.ensembl.org"),
        ("NM_000059^^RefSeq-T", "NM_000059", "", ""),
        ("LRG_293t1", "LRG_293t1", "", ""),
        ("NC_000013.11:g.32340301del^^RefSeq-G", "NC_000013.11:g.32340301del", "", ""),
    ],
)
def test_a_reference_sequence_is_coded_with_its_version(
    raw: str, text: str, code: str, system: str
) -> None:
    assert _code("accession", raw)[:3] == (text, code, system)


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ("R208.1^Inherited breast cancer^England-GenomicTestDirectory", "R208.1"),
        ("R305.1", "R305.1"),
        ("M4.14^Lung^99LOCAL", "M4.14"),
        ("IGEAP^PANEL: R112.1 - Factor XI deficiency", "R112.1"),
        ("IGEAP^Panel", ""),
        ("51969-4^Report R112^LN", "51969-4"),
    ],
)
def test_a_test_directory_code_is_found_where_it_stands(raw: str, code: str) -> None:
    assert _code("test", raw)[1] == code


@pytest.mark.parametrize(
    ("raw", "sent", "value", "system", "warned"),
    [
        ("NHS Lothian^^^^^SS999", "20260301", "SS999", ODS, False),
        ("^^SG9^^^ODS", "20260301", "SG999", ODS, False),
        ("^^^^^SG999^^^ODS", "20260301", "SG999", ODS, False),
        ("S08000031", "20260301", "SG999", ODS, False),
        ("S08000021", "20180101", "SG999", ODS, False),
        ("S08000021", "20260301", "SG999", ODS, True),
        ("S08000031", "20180101", "SG999", ODS, True),
        ("S08000018", "20260301", "S08000029", BOARD, True),
        ("S08000018", "2018", "S08000029", BOARD, False),
        ("NHS Orkney", "20260301", "S08000025", BOARD, False),
    ],
)
def test_an_organisation_code_resolves_and_warns_outside_its_time(
    raw: str, sent: str, value: str, system: str, warned: bool
) -> None:
    read, notices = _read("organization", raw, "organisations", sent=sent)
    identifier = getattr(read, "identifier", None)
    assert identifier is not None
    assert (identifier.value, identifier.system, bool(notices)) == (value, system, warned)


@pytest.mark.parametrize(
    ("raw", "value", "system"),
    [
        ("C1234567^Doctor^Jo^^^^^^GMC", "1234567", "https://fhir.hl7.org.uk/Id/gmc-number"),
        ("1234567&Doctor&Jo&&&&&&GMC", "1234567", "https://fhir.hl7.org.uk/Id/gmc-number"),
        ("12345^Doctor^Jo^^^^^^GMC", "12345", ""),
        ("CS123^Scientist^Jo^^^^^^HCPC", "CS123", "https://fhir.hl7.org.uk/Id/hcpc-number"),
        ("SH_1^Scientist^Jo", "SH_1", ""),
    ],
)
def test_a_register_number_is_national_and_any_other_is_the_senders(
    raw: str, value: str, system: str
) -> None:
    identifier = getattr(_read("person", raw)[0], "identifier", None)
    assert identifier is not None
    assert (identifier.value, identifier.system) == (value, system)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("A,,B,,,,1.4.2019,", "a date is written as"),
        ("A,,B,,,,2019-04-01,2019-03-31", "lies before"),
        ("A,,B,,,,", "as many columns"),
    ],
)
def test_a_wrong_date_in_a_code_table_is_named_with_its_line(
    line: str, said: str, tmp_path: Path
) -> None:
    table = tmp_path / "codes.csv"
    head = "source,text,target,display,system,comment,valid_from,valid_to"
    table.write_text(f"{head}\n{line}\n")
    with pytest.raises(InvalidMapping, match=said) as caught:
        load_table(table)
    assert caught.value.where == "codes.csv:2"


def test_a_code_table_has_known_columns(tmp_path: Path) -> None:
    table = tmp_path / "codes.csv"
    table.write_text("source,text\nA,B\n")
    with pytest.raises(InvalidMapping, match="columns must be"):
        load_table(table)
