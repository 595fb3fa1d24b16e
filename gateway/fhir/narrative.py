"""The report as a person reads it: `DiagnosticReport.text` (safety.md 9 and 10).

The laboratory's own words come first and nothing is concluded here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html import escape

from gateway.fhir import terms
from gateway.fhir.study import TESTED
from gateway.report import Code, Report, Variant

WITHDRAWN = "Withdrawn: do not use this report."
READ_THE_REPORT = "Read the report: the result is only in the laboratory's document."
UNCERTAIN = (
    "A variant of uncertain significance is not a basis for clinical action alone: "
    "it neither confirms nor excludes a diagnosis."
)

_STATUS = {
    "registered": "Incomplete: there is no result yet.",
    "partial": "Incomplete: some results are still to come.",
    "preliminary": "Incomplete: this is a preliminary result and may change.",
    "corrected": "Corrected: this version replaces an earlier one that was wrong.",
    "amended": "Amended: this version replaces an earlier one.",
    "appended": "Amended: something was added to an earlier version.",
}
_PRELIMINARY = frozenset({"registered", "partial", "preliminary"})
_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def narrative(report: Report) -> str:
    """Write the narrative as one escaped XHTML `div`."""
    parts = "".join(_parts(report))
    return f'<div xmlns="http://www.w3.org/1999/xhtml">{parts}</div>'


def _parts(report: Report) -> Iterator[str]:
    # A withdrawal is the laboratory's latest word, so it stands above the earlier ones.
    if report.status in ("cancelled", "entered-in-error"):
        yield _strong(WITHDRAWN)
    yield from _headline(report)
    yield from map(_strong, _cautions(report))
    yield from _variants(report)
    if any(_uncertain(one.significance) for one in report.implications):
        yield _strong(UNCERTAIN)
    if report.conclusion:
        yield from (_paragraph(text) for text in report.narrative if text)
    yield from _facts(report)


def _headline(report: Report) -> Iterator[str]:
    if report.conclusion:
        yield _strong(report.conclusion)
    elif any(report.narrative):
        yield from (_paragraph(text) for text in report.narrative if text)
    elif report.attachments and not report.variants:
        yield _strong(READ_THE_REPORT)


def _cautions(report: Report) -> Iterator[str]:
    if caution := _STATUS.get(report.status):
        yield caution
    if uncalled := _listed(report.analysis.genes_uncalled):
        yield f"Incomplete: not everything could be read ({uncalled})."
    if about := TESTED.get(report.tested_subject):
        yield f"Tested material: {about}."


def _variants(report: Report) -> Iterator[str]:
    if not report.variants:
        return
    head = "".join(f"<th>{title}</th>" for title in _COLUMNS)
    rows = "".join(_row(report, variant) for variant in report.variants)
    yield f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


_COLUMNS = ("Gene", "Variant", "Result", "Allelic state", "Classification")


def _row(report: Report, given: Variant) -> str:
    names = (given.coding_hgvs, given.genomic_hgvs, given.protein_hgvs, given.iscn)
    meant = (one.significance for one in report.implications if given.key in one.derived_from)
    cells = (
        _listed(given.genes),
        _listed(names) or _listed(given.variation_ids),
        _shown(given.presence),
        _shown(given.allelic_state),
        _listed(meant),
    )
    return f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in cells)}</tr>"


def _facts(report: Report) -> Iterator[str]:
    facts = (
        ("Outcome", _shown(report.outcome)),
        ("Genes studied", _listed(report.analysis.genes_studied)),
        ("Regions studied", "; ".join(report.analysis.regions)),
        ("Document", ", ".join(one.title or one.media_type for one in report.attachments)),
        ("Status", _status(report)),
    )
    yield from (_paragraph(f"{name}: {value}") for name, value in facts if value)


def _status(report: Report) -> str:
    incomplete = " (incomplete)" if report.status in _PRELIMINARY else ""
    return f"{report.status}{incomplete}"


def _uncertain(given: Code) -> bool:
    if given.code:
        return given.code == terms.UNCERTAIN_SIGNIFICANCE
    words = given.text.lower()
    return "uncertain" in words or "vus" in words.split()


def _shown(given: Code) -> str:
    return given.text or given.display or given.code


def _listed(given: Iterable[Code]) -> str:
    return ", ".join(_shown(one) for one in given if one)


def _text(given: str) -> str:
    return escape(_NO_XML.sub(" ", given), quote=False).replace("\n", "<br/>")


def _paragraph(given: str) -> str:
    return f"<p>{_text(given)}</p>"


def _strong(given: str) -> str:
    return f"<p><b>{_text(given)}</b></p>"
