"""From groups of values to findings: variants, haplotypes, phase, and what they mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.report import (
    Attachment,
    Biomarker,
    Code,
    Haplotype,
    Implication,
    Phase,
    Recommendation,
    Result,
    Variant,
)
from gateway.translate.desk import Desk
from gateway.translate.groups import Kind

PRESENT = Code("Present", "LA9633-4", "http://loinc.org", "Present")
# OBX-11 of a group where its segments differ: what needs most care wins.
_CARE = ("entered-in-error", "corrected", "amended", "preliminary", "registered", "cancelled",
         "final")  # fmt: skip
# 81263-6: these two speak of both copies of a gene or of two genes, so they are no haplotype.
_BOTH_COPIES = frozenset({"LA26217-2", "LA26220-6"})
_KINDS = {"implication": "diagnostic", "therapy": "therapeutic", "consequence": "consequence"}
_EVIDENCE = frozenset({"evidence"})


@dataclass(slots=True)
class Group:
    """The values of one finding while its observations are read, by section of the mapping."""

    key: str
    kind: Kind
    place: str
    within: str = ""
    statuses: list[str] = field(default_factory=list)
    values: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def status(self) -> str:
        """The status of the finding: of its observations, the one that needs most care."""
        return next((one for one in _CARE if one in self.statuses), "")


@dataclass(slots=True)
class Findings:
    """What the observations of one report say; `fields` holds report, order and analysis values."""

    fields: dict[str, dict[str, Any]] = field(default_factory=dict)
    variants: list[Variant] = field(default_factory=list)
    implications: list[Implication] = field(default_factory=list)
    haplotypes: list[Haplotype] = field(default_factory=list)
    phases: list[Phase] = field(default_factory=list)
    biomarkers: list[Biomarker] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    recommendations: list[Recommendation] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    narrative: list[str] = field(default_factory=list)
    statuses: list[str] = field(default_factory=list)


def build(found: Findings, groups: Mapping[str, Group], desk: Desk) -> None:
    """Add to `found` what the groups say, in the order of the message."""
    members: dict[str, list[str]] = {}
    for group in groups.values():
        if group.within:
            members.setdefault(group.within, []).append(group.key)
    for group in groups.values():
        if group.kind is Kind.VARIANT:
            _add_variant(found, group, desk)
        else:
            _add_haplotype(found, group, tuple(members.get(group.key, ())), desk)
    _add_phases(found, groups, desk)
    _add_recommendations(found, groups)


def _add_variant(found: Findings, group: Group, desk: Desk) -> None:
    values = group.values.get("variant", {})
    if "presence" not in values:
        desk.warn(group.place, f"group {group.key}: no 69548-6, so taken as present")
    values = {"presence": PRESENT, **values}
    found.variants.append(
        Variant(group.key, group.place, group.status, notes=tuple(group.notes), **values)
    )
    _add_meanings(found, group)


def _add_haplotype(found: Findings, group: Group, members: tuple[str, ...], desk: Desk) -> None:
    genotype, haplotype = (group.values.get(name, {}) for name in ("genotype", "haplotype"))
    values = {**haplotype, **genotype}
    kind = values.get("type", Code())
    both = "name" in genotype or kind.code in _BOTH_COPIES
    name = values.pop("name", kind)
    if not name:
        about = ", ".join(gene.text for gene in values.get("genes", ()))
        desk.warn(group.place, f"group {group.key}: it has no name, so its gene stands for it")
        name = Code(about or "not named")
    found.haplotypes.append(
        Haplotype(
            group.key, "genotype" if both else "haplotype", group.place, group.status, name,
            derived_from=members, notes=tuple(group.notes), **values,
        )
    )  # fmt: skip
    _add_meanings(found, group)


def _add_meanings(found: Findings, group: Group) -> None:
    meanings = {section: group.values[section] for section in _KINDS if group.values.get(section)}
    # The mapping reads evidence as of either: it is of the treatment where there is one.
    treats = meanings.get("therapy", {}).keys() - _EVIDENCE
    other = "implication" if treats else "therapy"
    both = {"implication", "therapy"} <= meanings.keys()
    if both and meanings[other].keys() == _EVIDENCE:
        del meanings[other]
    for section, meaning in meanings.items():
        found.implications.append(
            Implication(
                group.key, (group.key,), _KINDS[section], group.place, group.status, **meaning
            )
        )


def _add_phases(found: Findings, groups: Mapping[str, Group], desk: Desk) -> None:
    """Join the variants that speak of their phase, within one complex variant or on their own."""
    speaking: dict[str, list[Group]] = {}
    for group in groups.values():
        if group.values.get("phase"):
            speaking.setdefault(group.within, []).append(group)
    for within, some in speaking.items():
        keys = tuple(one.key for one in some)
        said = {one.values["phase"].get("relationship", Code()) for one in some}
        said.discard(Code())
        basis = next((b for one in some if (b := one.values["phase"].get("basis"))), Code())
        if within:
            keys = tuple(one.key for one in groups.values() if one.within == within)
        if len(said) == 1 and len(keys) == 2 and next(iter(said)).code:
            found.phases.append(
                Phase(within or keys[0], keys, some[0].place, some[0].status, said.pop(), basis)
            )
        else:
            _phase_in_words(found, some, desk)


def _phase_in_words(found: Findings, some: list[Group], desk: Desk) -> None:
    """What does not say of exactly two variants how they lie to each other stays words."""
    for group in some:
        phase = group.values["phase"]
        words = [phase[name].text for name in ("relationship", "basis") if name in phase]
        note = f"Phase as reported: {', '.join(words)}"
        found.variants[:] = [
            replace(one, notes=(*one.notes, note)) if one.key == group.key else one
            for one in found.variants
        ]
        if "relationship" in phase:
            desk.warn(group.place, f"group {group.key}: which two variants this phase is of is "
                                   "not clear, so it is kept as words")  # fmt: skip


def _add_recommendations(found: Findings, groups: Mapping[str, Group]) -> None:
    diagnostic = [one.key for one in found.implications if one.kind == "diagnostic"]
    therapeutic = [one.key for one in found.implications if one.kind == "therapeutic"]
    followup = found.fields.pop("recommendation", {}).get("action")
    if followup:
        reason = diagnostic[0] if len(diagnostic) == 1 else ""
        found.recommendations.append(Recommendation("1", followup, reason))
    of_report = found.fields.pop("medication_recommendation", {}).get("action")
    if of_report:
        reason = therapeutic[0] if len(therapeutic) == 1 else ""
        found.recommendations.append(Recommendation("2", of_report, reason, "medication"))
    for group in groups.values():
        action = group.values.get("medication_recommendation", {}).get("action")
        if action:
            reason = group.key if group.key in therapeutic else ""
            found.recommendations.append(Recommendation(group.key, action, reason, "medication"))
