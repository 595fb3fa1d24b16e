"""How like two people are: it explains a hold and ranks candidates for a person. It never files."""

from __future__ import annotations

from dataclasses import dataclass

from rapidfuzz.distance import DamerauLevenshtein, JaroWinkler

from gateway.identify.names import agreement, family_agrees, given_agrees
from gateway.report import Patient, PersonName
from gateway.value import letters

_NEAR_NAME = 0.9


@dataclass(frozen=True, slots=True)
class Likeness:
    """How like a candidate is, from 0 to 1, and what agrees and what does not."""

    score: float
    agree: tuple[str, ...]
    differ: tuple[str, ...]


def difference_of_dates(one: str, other: str) -> str:
    """Say how two dates (ISO) differ, in words that name no value; nothing for no known way."""
    if not one:
        return ": it is missing"
    if len(one) < 10 or len(other) < 10:
        return ": it is not complete"
    if one[:5] == other[:5] and (one[5:7], one[8:]) == (other[8:], other[5:7]):
        return ": day and month are exchanged"
    apart = DamerauLevenshtein.distance(one, other)
    return ": one digit differs, or two are exchanged" if apart == 1 else ""


def difference_of_names(one: PersonName, other: PersonName) -> str:
    """Say how two names differ, in words that name no value; nothing for no known way."""
    if not one.family or not one.given:
        return ": a part of it is missing"
    family, given = family_agrees(one.family, other.family), given_agrees(one, other)
    if given and not family:
        return ": the family name differs" + _slightly(one.family, other.family)
    if family and not given:
        return ": the given name differs" + _slightly(_given(one), _given(other))
    return ""


def likeness(asserted: Patient, known: Patient) -> Likeness:
    """Compare all that two descriptions of a person say; equal numbers weigh most."""
    numbers = {(one.system, one.value) for one in known.identifiers}
    same = any((one.system, one.value) in numbers for one in asserted.identifiers)
    found = (
        ("number", 4.0, 1.0 if same else 0.0),
        ("birth date", 3.0, _dates(asserted.birth_date, known.birth_date)),
        ("family name", 2.0, _names(asserted.name.family, known.name.family)),
        ("given name", 2.0, _names(_given(asserted.name), _given(known.name))),
        ("postcode", 1.0, _same(asserted.postcode, known.postcode)),
        ("sex", 0.5, _same(asserted.sex, known.sex)),
    )
    said = [(name, weight, value) for name, weight, value in found if value is not None]
    whole = bool(agreement(asserted.name, known.name))
    agree = tuple(
        name for name, _, value in said if value == 1 or (whole and name.endswith(" name"))
    )
    score = sum(weight * value for _, weight, value in said) / sum(weight for _, weight, _ in said)
    return Likeness(round(score, 4), agree, tuple(name for name, _, _ in said if name not in agree))


def _slightly(one: str, other: str) -> str:
    near = JaroWinkler.similarity(letters(one), letters(other)) >= _NEAR_NAME
    return " a little" if near else ""


def _given(name: PersonName) -> str:
    return " ".join(name.given)


def _names(one: str, other: str) -> float | None:
    if not one or not other:
        return None
    return float(JaroWinkler.normalized_similarity(letters(one), letters(other)))


def _dates(one: str, other: str) -> float | None:
    if not one or not other:
        return None
    if one == other:
        return 1.0
    return 0.6 if difference_of_dates(one, other) else 0.0


def _same(one: str, other: str) -> float | None:
    plain = ["".join(text.split()).upper() for text in (one, other)]
    return float(plain[0] == plain[1]) if all(plain) else None
