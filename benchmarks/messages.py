"""The messages that are measured: written here, every patient invented."""

from __future__ import annotations

import base64
import random

_MSH = "MSH|^~\\&|{application}|{facility}|GATEWAY||20260305101500||ORU^R01|{number}|P|2.5.1"
_PID = "PID|1||0101625707^^^CHI^NH||Testpatient^Morag||19620101|F"
_ORC = "ORC|RE|O-1|R-1" + "|" * 18 + "NHS Lothian^^^^^SS999"
_OBR = (
    "OBR|1|O-1|R-1|R208.1^Panel^England-GenomicTestDirectory|||20260210"
    "|||||||||||||||20260305101500||GE|F"
)
_SPM = "SPM|1|S-1||445295009^Blood specimen with EDTA^SCT|||||||||||||20260210"
_GENE = "HGNC:1101^BRCA2^HGNC-Symb"


def _message(
    number: str, values: list[str], application: str = "GENLIMS", facility: str = "DUNDEE"
) -> bytes:
    head = _MSH.format(application=application, facility=facility, number=number)
    lines = [f"OBX|{at}|{value}||||||F" for at, value in enumerate(values, 1)]
    return ("\r".join([head, _PID, _ORC, _OBR, *lines, _SPM]) + "\r").encode()


def small() -> bytes:
    """9 segments: a negative report with the genes that were studied."""
    return _message("B1", [
        "CWE|51968-6^^LN|1|LA6577-6^Negative^LN",
        "FT|51969-4^^LN|1|No reportable variant was found in the genes studied.",
        f"CWE|48018-6^^LN|1.a|{_GENE}",
        "CWE|48018-6^^LN|1.b|HGNC:1100^BRCA1^HGNC-Symb",
    ])  # fmt: skip


def genomic() -> bytes:
    """71 OBX: six variants of ten values, one complex variant with two members."""
    values = [
        "CWE|51968-6^^LN|1|LA6576-8^Positive^LN",
        "FT|51969-4^^LN|1|Variants were found.",
        f"CWE|48018-6^^LN|1.a|{_GENE}",
    ]
    for at, key in enumerate("abcdef"):
        values += [
            f"CWE|69548-6^^LN|2{key}|LA9633-4^Present^LN",
            f"CWE|48018-6^^LN|2{key}|{_GENE}",
            f"CWE|48004-6^^LN|2{key}|NM_000059.4:c.{5946 + at}del^^HGVS.c",
            f"CWE|48005-3^^LN|2{key}|NP_000050.3:p.(Ser{1982 + at}ArgfsTer22)^^HGVS.p",
            f"CWE|51958-7^^LN|2{key}|NM_000059.4^^RefSeq-T",
            f"CWE|62374-4^^LN|2{key}|LA26806-2^GRCh38^LN",
            f"CWE|48002-0^^LN|2{key}|LA6683-2^Germline^LN",
            f"CWE|53034-5^^LN|2{key}|LA6706-1^Heterozygous^LN",
            f"NR|81254-5^^LN|2{key}|{32340300 + at}^{32340301 + at}",
            f"CWE|53037-8^^LN|2{key}|LA6668-3^Pathogenic^LN",
        ]
    values += [
        "CWE|81262-8^^LN|3a|NM_000157.4:c.[1226A>G];[1448T>C]",
        "CWE|81263-6^^LN|3a|LA26217-2^Compound heterozygous^LN",
        "CWE|48004-6^^LN|3a.1a|NM_000157.4:c.1226A>G^^HGVS.c",
        "CWE|69548-6^^LN|3a.1a|LA9633-4^Present^LN",
        "CWE|82120-7^^LN|3a.1a|Trans^Trans",
        "CWE|48004-6^^LN|3a.1b|NM_000157.4:c.1448T>C^^HGVS.c",
        "CWE|69548-6^^LN|3a.1b|LA9633-4^Present^LN",
        "CWE|53037-8^^LN|3a|LA6668-3^Pathogenic^LN",
    ]
    return _message("B2", values)


def laboratory() -> bytes:
    """404 OBX: plain numbers with unit, reference range and flag."""
    lines = [
        f"OBX|{at}|NM|{2000 + at}-1^Test {at}^LN||{at % 90}.50|mmol/L|1.0-9.5|H|||F"
        for at in range(1, 405)
    ]
    head = _MSH.format(application="GENLIMS", facility="DUNDEE", number="B3")
    return ("\r".join([head, _PID, _ORC, _OBR, *lines]) + "\r").encode()


def document() -> bytes:
    """A report that is a PDF of 600 kB in base64, labelled CE."""
    noise = random.Random(1).randbytes(440_000)
    pdf = b"%PDF-1.4\n" + noise + b"\n%%EOF\n"
    payload = base64.b64encode(pdf).decode()
    value = f"CE|REPORT^Report^L||^IGene^application/pdf^Base64^{payload}"
    return _message("B4", [value], "IGENE", "GLASGOW")
