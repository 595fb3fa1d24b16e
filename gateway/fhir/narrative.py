"""The report as a person reads it: `DiagnosticReport.text` (safety.md 9 and 10).

The laboratory's own words come first and nothing is concluded here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html import escape

from gateway.fhir import terms
from gateway.fhir.study import TESTED
from gateway.report import (
    FINDINGS,
    Biomarker,
    Code,
    Haplotype,
    Implication,
    Quantity,
    Range,
    Ratio,
    Report,
    Result,
    Variant,
)

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
_MARKED = re.compile("[\x00-\x08\x0a-\x0c\x0e-\x1f\ufffe\uffff&<>]")


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
    yield from _findings(report)
    yield from _results(report)
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
    elif report.attachments and not any(getattr(report, name) for name in FINDINGS):
        yield _strong(READ_THE_REPORT)


def _cautions(report: Report) -> Iterator[str]:
    if caution := _STATUS.get(report.status):
        yield caution
    gaps = (_listed(report.analysis.genes_uncalled), *report.analysis.regions_uncalled)
    if uncalled := ", ".join(filter(None, gaps)):
        yield f"Incomplete: not everything could be read ({uncalled})."
    if about := TESTED.get(report.tested_subject):
        yield f"Tested material: {about}."


def _findings(report: Report) -> Iterator[str]:
    """Write a table for each kind of finding that the report has."""
    tables = (
        (_COLUMNS, [_row(report, one) for one in report.variants]),
        (_WHOLE_COLUMNS, [_whole(report, one) for one in report.haplotypes]),
        (_BIOMARKER_COLUMNS, [_biomarker(one) for one in report.biomarkers]),
        (_TREATMENT_COLUMNS, [
            _treatment(one) for one in report.implications if one.kind == "therapeutic"
        ]),
    )  # fmt: skip
    yield from (_table(columns, rows) for columns, rows in tables if rows)


_WHOLE_COLUMNS = ("Gene", "Genotype or haplotype", "Type", "Classification")
_BIOMARKER_COLUMNS = ("Biomarker", "Result", "Note")
_TREATMENT_COLUMNS = ("Medication", "Effect", "Evidence")


def _whole(report: Report, given: Haplotype) -> str:
    kind = _shown(given.type) or given.kind.capitalize()
    return _cells((_listed(given.genes), _shown(given.name), kind, _meant(report, given.key)))


def _biomarker(given: Biomarker) -> str:
    return _cells((_shown(given.code), _written(given.value), "\n".join(given.notes)))


def _treatment(given: Implication) -> str:
    about = (*given.medications, *given.therapies)
    return _cells((_listed(about), _listed(given.effects), _listed(given.evidence)))


def _meant(report: Report, key: str) -> str:
    return _listed(one.significance for one in report.implications if key in one.derived_from)


def _results(report: Report) -> Iterator[str]:
    """Write a table for each panel, its name above it where that is not the report's own."""
    panels: dict[str, list[Result]] = {}
    for result in report.results:
        panels.setdefault(_shown(result.panel), []).append(result)
    for name, some in panels.items():
        if name and (len(panels) > 1 or name != _shown(report.title)):
            yield _paragraph(name)
        yield _table(_RESULT_COLUMNS, map(_result_row, some))


def _table(columns: Iterable[str], rows: Iterable[str]) -> str:
    head = "".join(f"<th>{title}</th>" for title in columns)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _cells(cells: Iterable[str]) -> str:
    return f"<tr><td>{'</td><td>'.join(map(_text, cells))}</td></tr>"


_RESULT_COLUMNS = ("Test", "Result", "Flag", "Reference range", "Note")
_RESULT_STATUS = {
    "registered": "no result yet",
    "preliminary": "preliminary",
    "corrected": "corrected",
    "amended": "amended",
    "cancelled": "cancelled",
    "entered-in-error": "withdrawn: do not use",
}


def _result_row(given: Result) -> str:
    status = _RESULT_STATUS.get(given.status, "")
    value = _value(given) or f"No value: {_shown(given.absent).lower() or 'not sent'}"
    shown = f"{value} ({status})" if status else value
    flags = ", ".join(one.display or one.text for one in given.interpretation)
    limits = given.reference_text or _ends(given.reference_range or Range())
    return _cells((_shown(given.code), shown, flags, limits, "\n".join(given.notes)))


def _value(given: Result) -> str:
    text = _written(given.value)
    return text.replace("/", " to ", 1) if given.value_type == "Period" else text


def _written(value: Code | Quantity | Range | Ratio | str) -> str:
    if isinstance(value, Quantity):
        return _measured(value)
    if isinstance(value, Range):
        return _ends(value)
    if isinstance(value, Ratio):
        return f"{_measured(value.numerator)}:{_measured(value.denominator)}"
    if isinstance(value, Code):
        return _shown(value)
    return value


def _measured(given: Quantity) -> str:
    return f"{given.comparator}{given.value:f} {given.unit or given.ucum}".rstrip()


def _ends(given: Range) -> str:
    low, high = given.low, given.high
    if low is not None and high is not None:
        numbers = f"{low:f} to {high:f}"
    elif low is not None:
        numbers = f"{low:f} or more"
    else:
        numbers = f"up to {high:f}" if high is not None else ""
    return f"{numbers} {given.unit}".strip() if numbers else ""


_COLUMNS = ("Gene", "Variant", "Result", "Allelic state", "Classification")


def _row(report: Report, given: Variant) -> str:
    names = (given.coding_hgvs, given.genomic_hgvs, given.protein_hgvs, given.iscn)
    cells = (
        _listed(given.genes),
        _listed(names) or _listed(given.variation_ids),
        _shown(given.presence),
        _shown(given.allelic_state),
        _meant(report, given.key),
    )
    return _cells(cells)


def _facts(report: Report) -> Iterator[str]:
    phenotypes = (code for one in report.implications for code in one.phenotypes)
    facts = (
        ("Outcome", _shown(report.outcome)),
        ("Phenotype", _listed(dict.fromkeys(phenotypes))),
        ("Recommended", _listed(one.action for one in report.recommendations)),
        ("Tested for", _listed(report.analysis.tested)),
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
    if not _MARKED.search(given):
        return given
    return escape(_NO_XML.sub(" ", given), quote=False).replace("\n", "<br/>")


def _paragraph(given: str) -> str:
    return f"<p>{_text(given)}</p>"


def _strong(given: str) -> str:
    return f"<p><b>{_text(given)}</b></p>"
