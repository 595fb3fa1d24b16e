"""Which patient a report is about: the rules, on one page, for a clinical safety officer.

1. One number of a trusted issuer leads to the patient (`identify.numbers`). All counting numbers
   must lead to one patient of the index. None: the report is held, or the index is asked
   elsewhere, or a patient is made where that was agreed with the sender. Two: held.
2. The birth date must be the same, to the day. Exchanged, mistyped or missing: held.
3. The name must agree with the one of the index, or one it had before, by a rule that has a name
   (`identify.names`). The strict rule is: the same letters.
4. Any other rule counts only when nobody else of the index has this birth date and a name that
   agrees as well: twins and namesakes are held. With the strict rule, a namesake of the same
   birth date is held where the postcode is theirs and not this patient's.
5. Sex never decides, nor does the ninth digit of a CHI; both are noted.
6. Likeness never files. It only says why something is held, and ranks whom to look at.

Each decision says what agreed and what did not, rule by rule.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.errors import Evidence, Hold, IdentityHold
from gateway.identify.likeness import difference_of_dates, difference_of_names
from gateway.identify.names import LETTERS, agreement
from gateway.report import Patient, PersonName

AGREE, DIFFER, ABSENT = "agree", "differ", "absent"


@dataclass(frozen=True, slots=True)
class Known:
    """A patient of the index, as far as matching needs it; `names` are others, earlier ones too."""

    key: int
    name: PersonName
    birth_date: str
    names: tuple[PersonName, ...] = ()
    sex: str = ""
    postcode: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """The one patient that was found, and what spoke for and against it."""

    known: Known
    evidence: Evidence


def decide(
    asserted: Patient,
    candidates: Sequence[Known],
    born_then: Callable[[str], Sequence[Known]] = lambda _: (),
) -> Decision:
    """Return the one patient that the report is about; raises IdentityHold with the evidence.

    `candidates` are those that its counting numbers lead to; `born_then` gives everybody in the
    index with a birth date.
    """
    known = _only(asserted, candidates)
    rule = best_rule(asserted.name, known)
    evidence = weigh(asserted, known, rule)
    if not asserted.birth_date or asserted.birth_date != known.birth_date:
        why = difference_of_dates(asserted.birth_date, known.birth_date)
        raise _held(f"the birth date does not agree with the index{why}", "PID-7", evidence)
    if not rule:
        why = difference_of_names(asserted.name, known.name)
        raise _held(f"the name does not agree with the index{why}", "PID-5", evidence)
    if rule == LETTERS and not _elsewhere(asserted, known):
        return Decision(known, evidence)
    rivals = [one for one in born_then(asserted.birth_date)
              if one.key != known.key and best_rule(asserted.name, one)]  # fmt: skip
    if rivals and rule != LETTERS:
        text = "the name agrees only in part, and somebody else has this birth date and a like name"
        raise _held(text, "PID-5", (*evidence, ("nobody else", DIFFER)))
    if any(_plain(asserted.postcode) == _plain(one.postcode) for one in rivals):
        text = "somebody else has this name, this birth date and this postcode"
        raise _held(text, "PID-11", (*evidence, ("nobody else", DIFFER)))
    return Decision(known, (*evidence, ("nobody else", AGREE)))


def best_rule(name: PersonName, known: Known) -> str:
    """Return the rule by which a name agrees with one that a patient has or had, or nothing."""
    rules = {agreement(name, one) for one in (known.name, *known.names)} - {""}
    return LETTERS if LETTERS in rules else min(rules, default="")


def weigh(asserted: Patient, known: Known, rule: str) -> Evidence:
    """Say of each thing that is compared whether it agrees; `name` with the rule."""
    return (
        ("number", AGREE),
        ("birth date", _compared(asserted.birth_date, known.birth_date)),
        ("name", f"{AGREE}: {rule}" if rule else DIFFER if asserted.name.family else ABSENT),
        ("sex", _compared(asserted.sex, known.sex)),
        ("postcode", _compared(_plain(asserted.postcode), _plain(known.postcode))),
    )


def _only(asserted: Patient, candidates: Sequence[Known]) -> Known:
    place = asserted.identifiers[0].place if asserted.identifiers else "PID-3"
    distinct = {known.key: known for known in candidates}
    if not distinct:
        raise IdentityHold(
            Hold.PATIENT_UNKNOWN, "the index has no such patient", where=place,
            evidence=(("number", ABSENT),),
        )  # fmt: skip
    if len(distinct) > 1:
        text = "the identifiers belong to different patients"
        raise _held(text, place, (("number", DIFFER),))
    return next(iter(distinct.values()))


def _held(text: str, where: str, evidence: Evidence) -> IdentityHold:
    return IdentityHold(Hold.PATIENT_MISMATCH, text, where=where, evidence=evidence)


def _compared(one: str, other: str) -> str:
    if not one or not other:
        return ABSENT
    return AGREE if one == other else DIFFER


def _elsewhere(asserted: Patient, known: Known) -> bool:
    """Whether a postcode is said, and it is not this patient's."""
    return bool(asserted.postcode) and _plain(asserted.postcode) != _plain(known.postcode)


def _plain(postcode: str) -> str:
    return "".join(postcode.split()).upper()
