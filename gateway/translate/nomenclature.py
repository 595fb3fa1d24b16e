"""Which variant names may carry a code: HGVS and ISCN expressions that a library can parse.

The verbatim text is always kept by the reader; here is only decided whether it may also be a
code, and if not, why, in words that hold nothing of the text. Both libraries are imported when
the first expression of their kind arrives.

HGVS: mavehgvs reads the description; the reference before the colon is ours, because a code
needs a version. mavehgvs is strict but knows few forms, so `_claims` reduces what HGVS defines
as the same statement to them. Repeats, uncertain ranges, extensions, `p.?` and one-letter amino
acids stay text. ISCN: iscn-authenticator reads karyotypes, one cell line at a time, and what it
lets pass unread is refused here; array results, which it does not know, follow `_ARRAY`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from iscn_authenticator import Abnormality

# A reference and the coordinate types it may have. LRG sequences never change: no version.
_REFERENCES = tuple(
    (re.compile(pattern), letters)
    for pattern, letters in (
        (r"[NX]M_\d+\.\d+|ENST\d+\.\d+|LRG_\d+t\d+", "cnr"),
        (r"[NX]R_\d+\.\d+", "nr"),
        (r"[NX]P_\d+\.\d+|ENSP\d+\.\d+|LRG_\d+p\d+", "p"),
        (r"NC_(?:012920|001807)\.\d+", "m"),
        (r"N[CGTW]_\d+\.\d+|ENSG\d+\.\d+|LRG_\d+", "g"),
    )
)
_REFERENCE = re.compile(r"([^()]+)(?:\(([^()]+)\))?")
_GENE = re.compile(r"[A-Z][A-Za-z0-9-]*")


def coordinates(accession: str) -> str:
    """Return the HGVS coordinate types (`cnr`) of a versioned accession, or nothing."""
    return next((letters for pattern, letters in _REFERENCES if pattern.fullmatch(accession)), "")


@lru_cache(maxsize=4096)
def hgvs_fault(text: str) -> str:
    """Say why an expression may not be coded as HGVS; empty when it may."""
    reference, colon, description = text.partition(":")
    if not colon:
        alone = coordinates(reference)
        return "a reference sequence alone" if alone else "no reference sequence before the name"
    letters = _reference_coordinates(reference)
    if not letters:
        return "no versioned reference sequence"
    if description[:1] not in letters or description[1:2] != ".":
        return "the coordinate type is not that of the reference sequence"
    if "[" in description or "(;)" in description:
        return "alleles or repeats in brackets"
    readable = description.isascii() and all(_parsed(claim) for claim in _claims(description))
    return "" if readable else "not readable as HGVS"


def _reference_coordinates(reference: str) -> str:
    """Read `NM_1.1`, `NM_1.1(GENE)` and `NC_1.1(NM_1.1)`."""
    match = _REFERENCE.fullmatch(reference)
    if not match:
        return ""
    outer, inner = coordinates(match[1]), match[2] or ""
    on_transcript = coordinates(inner)
    if on_transcript:
        return on_transcript if outer == "g" and on_transcript != "g" else ""
    return outer if not inner or _GENE.fullmatch(inner) else ""


def _parsed(description: str) -> bool:
    from mavehgvs import Variant
    from mavehgvs.exceptions import MaveHgvsParseError

    try:
        Variant(description)
    except MaveHgvsParseError:
        return False
    return True


_FRAMESHIFT = re.compile(r"([A-Z][a-z]{2}\d+)([A-Z][a-z]{2})fs(?:Ter(?:[1-9]\d*|\?))?")
_SPELT_OUT = re.compile(r"(\d+)(?:_(\d+))?(del|dup)([ACGT]+)(ins[ACGT]+)?")


def _claims(description: str) -> tuple[str, ...]:
    """Return simpler descriptions that all must hold for this one to be readable."""
    kind, body = description[:2], description[2:]
    if kind == "p.":
        body = body[1:-1] if body.startswith("(") and body.endswith(")") else body
        body = body.replace("*", "Ter")
        if shifted := _FRAMESHIFT.fullmatch(body):
            return f"p.{shifted[1]}{shifted[2]}", f"p.{shifted[1]}fs"
        return (f"p.{body}",)
    if body.endswith("inv") and "_" in body:
        return (f"{kind}{body.removesuffix('inv')}del",)
    if (spelt := _SPELT_OUT.fullmatch(body)) and _length_agrees(spelt):
        place = f"{spelt[1]}_{spelt[2]}" if spelt[2] else spelt[1]
        return (f"{kind}{place}{spelt[3]}{spelt[5] or ''}",)
    return (description,)


def _length_agrees(spelt: re.Match[str]) -> bool:
    """`10_12delCTT` names as many bases as positions; anything else is a slip."""
    return int(spelt[2] or spelt[1]) - int(spelt[1]) + 1 == len(spelt[4])


_CHROMOSOME = r"(?:[1-9]|1\d|2[0-2]|X|Y)"
_BAND = rf"{_CHROMOSOME}(?:[pq](?:ter|\d{{1,2}}(?:\.\d{{1,3}})?)){{1,2}}"
_COPIES = r"[x\u00d7]\d(?:~\d)?(?:\[0\.\d+\])?(?: (?:hmz|htz))?(?: ?(?:dn|mat|pat))?"
_WHOLE = rf"\({_CHROMOSOME}(?:[-,]{_CHROMOSOME})*\){_COPIES}"
_SEGMENT = rf"(?:{_BAND}\((\d+)_(\d+)\)|{_CHROMOSOME}){_COPIES}"
# arr(X,1-22)x2 · arr[GRCh38] 16p11.2(29580020_30190029)x1,18p11.32(102328_2326882)x3 dn
_NORMAL_ARRAY = re.compile(rf"arr ?{_WHOLE}(?:,{_WHOLE})*")
_ARRAY = re.compile(
    rf"arr ?\[(?:GRCh3[678]|hg1[89]|hg38)\] ?(?:{_SEGMENT}|{_WHOLE})(?:,(?:{_SEGMENT}|{_WHOLE}))*"
)
_SPAN = re.compile(r"\((\d+)_(\d+)\)")
_CELL_LINE = re.compile(r"(\d{2}(?:~\d{2})?,[XYU]+(?:,[^\s,\[\]]+)*)(?:\[(?:cp)?\d+\])?")
_KARYOTYPE = re.compile(r"(?:mos |chi |//)?\d\d(?:~\d\d)?,[XYUO]+(?:[,/\[.]\S.*)?")
_NORMAL_KARYOTYPE = re.compile(r"46,X[XY](?:\[\d+\])?")
_CHROMOSOMES = re.compile(rf"{_CHROMOSOME}(?:;{_CHROMOSOME})*")
_BREAKPOINTS = re.compile(r"\([pq][\d.]+(?:;[pq][\d.]+)*\)")
_PIECE = re.compile(r"[a-z]+\([^()]*\)(?:\([^()]*\))?")
_WITHOUT_CHROMOSOME = frozenset({"+mar", "dmin", "hsr", "inc"})


def is_karyotype(text: str) -> bool:
    """Whether a line of a report starts as a karyotype does, readable or not."""
    return bool(_KARYOTYPE.fullmatch(text))


def is_normal_karyotype(text: str) -> bool:
    """Whether a karyotype says that nothing was found in any cell."""
    return bool(_NORMAL_KARYOTYPE.fullmatch(text))


@lru_cache(maxsize=1024)
def iscn_fault(text: str) -> str:
    """Say why an expression may not be coded as ISCN; empty when it may."""
    if text.startswith("arr"):
        return "" if _array(text) else "not readable as an ISCN array result"
    lines = re.split(r"//?", text.removeprefix("mos ").removeprefix("chi "))
    if text.startswith("//"):  # all cells are the donor's
        lines = lines[1:]
    matches = [_CELL_LINE.fullmatch(line) for line in lines]
    readable = text.isascii() and all(match and _cell_line(match[1]) for match in matches)
    return "" if readable else "not readable as an ISCN karyotype"


def _array(text: str) -> bool:
    if not (_ARRAY.fullmatch(text) or _NORMAL_ARRAY.fullmatch(text)):
        return False
    return all(int(start) < int(end) for start, end in _SPAN.findall(text))


def _cell_line(line: str) -> bool:
    from iscn_authenticator import validate_karyotype

    # The two spellings of a whole-arm exchange; the library reads one of them.
    result = validate_karyotype(re.sub(r"\bder\((\w+;\w+)\)\(", r"rob(\1)(", line))
    return bool(
        result.valid and result.parsed and all(_known(one) for one in result.parsed.abnormalities)
    )


def _known(one: Abnormality) -> bool:
    """Refuse what the library accepts without having read it."""
    if one.type == "unknown":
        return False
    if one.type not in _WITHOUT_CHROMOSOME and not _CHROMOSOMES.fullmatch(one.chromosome):
        return False
    if one.type != "der":
        return True
    rest = one.raw.partition(")")[2]
    pieces = _PIECE.findall(rest)
    if not pieces:
        return bool(_BREAKPOINTS.fullmatch(rest))
    return "".join(pieces) == rest and all(_cell_line(f"46,XX,{piece}") for piece in pieces)
