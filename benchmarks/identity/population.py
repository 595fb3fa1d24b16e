"""An invented population and the messages about it, with the errors of real life at stated rates.

Everything follows from the seed. Numbers are valid by their rules and nobody's.
"""

from __future__ import annotations

import random
import string
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from benchmarks.identity.names import ORIGINS, Origin
from gateway.config import CHI_SYSTEM
from gateway.identify.chi import checksum_agrees
from gateway.identify.numbers import NHS_NUMBER
from gateway.report import Identifier, Patient, PersonName
from gateway.value import PATIENT_NUMBERS

AUTHORITY = "RHSC"
TODAY = date(2026, 3, 1)

# How often, of all messages (or of those it can happen to).
RATES = {
    "family name mistyped": 0.015, "given name mistyped": 0.015, "day and month exchanged": 0.005,
    "birth date mistyped": 0.005, "birth date missing": 0.003,
    "married name not in the index": 0.01,
    "earlier name": 0.02, "middle name left out": 0.3, "middle name as initial": 0.1,
    "accents and hyphens lost": 0.5, "Mac for Mc": 0.05, "family name first": 0.05,
    "one of two surnames": 0.2, "another spelling": 0.15, "ending of the other sex": 0.1,
    "particle left out": 0.1, "nickname or initial": 0.01, "sex wrong": 0.005,
    "moved house": 0.1, "number of a brother, sister or twin": 0.01, "number of a stranger": 0.003,
    "number mistyped": 0.005, "NHS number in the field of a CHI": 0.002, "placeholder": 0.001,
    "no number": 0.005, "number of the mother": 0.05,
}  # fmt: skip
_TWINS, _NEWBORN, _ENGLISH, _OVERSEAS, _SIBLING = 0.03, 0.01, 0.05, 0.02, 0.3
_VARIANTS = {"Aisha": "Ayesha", "Fatima": "Fatimah", "Omar": "Umar", "Khalid": "Khaled",
             "Hassan": "Hasan", "Usman": "Osman", "Yousef": "Yusuf", "Mohamed": "Muhammad",
             "Mohammed": "Muhammad", "Hussein": "Hussain", "Ahmad": "Ahmed"}  # fmt: skip


@dataclass
class Person:
    """One person as they are; `before` are names that the index knows too."""

    key: int
    origin: Origin
    name: PersonName
    born: date
    sex: str
    postcode: str
    number: Identifier
    before: tuple[PersonName, ...] = ()
    family: list[int] = field(default_factory=list)
    mother: int = 0
    multiple: str = ""

    def patient(self) -> Patient:
        """Return the person as the index has them."""
        return Patient((self.number,), self.name, self.born.isoformat(), self.sex, self.postcode,
                       multiple_birth=self.multiple)  # fmt: skip


@dataclass(frozen=True)
class Message:
    """What a message asserts, whom it is truly about, and what went wrong in it."""

    truth: Person
    asserted: Patient
    errors: tuple[str, ...]


class Numbers:
    """Gives valid numbers, each once."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.given: set[str] = set()

    def chi(self, born: date, sex: str) -> str:
        while True:
            odd = self.chance.randrange(0, 10, 2) + (sex == "male")
            stem = f"{born:%d%m%y}{self.chance.randrange(100):02}{odd}"
            if number := self._checked(stem):
                return number
            if self.chance.random() < 0.001:  # a full day: as the registrar would, take another
                born += timedelta(days=1)

    def nhs(self) -> str:
        while True:
            if number := self._checked(f"4{self.chance.randrange(10**8):08}"):
                return number

    def _checked(self, stem: str) -> str:
        found = next((d for d in string.digits if checksum_agrees(stem + d)), "")
        number = stem + found
        if not found or number in self.given:
            return ""
        self.given.add(number)
        return number


def population(size: int, seed: int) -> list[Person]:
    """Invent `size` people: families at one address, twins, new-borns, people from elsewhere."""
    chance = random.Random(seed)
    numbers = Numbers(chance)
    people: list[Person] = []
    weights = [one.share for one in ORIGINS]
    while len(people) < size:
        origin = chance.choices(ORIGINS, weights)[0]
        one = _person(chance, numbers, origin, len(people) + 1)
        household = [one]
        if chance.random() < _TWINS:
            household.append(_sibling(chance, numbers, one, len(people) + 2, one.born))
        elif chance.random() < _SIBLING:
            apart = timedelta(days=chance.randrange(400, 4000))
            if one.born + apart < TODAY:
                sibling = _sibling(chance, numbers, one, len(people) + 2, one.born + apart)
                household.append(sibling)
        for member in household:
            member.family = [other.key for other in household if other is not member]
        people += household
    return people[:size]


def _person(chance: random.Random, numbers: Numbers, origin: Origin, key: int) -> Person:
    newborn = chance.random() < _NEWBORN
    born = TODAY - timedelta(days=chance.randrange(60 if newborn else 33_000))
    sex = chance.choice(("female", "male"))
    name = _name(chance, origin, sex)
    before: tuple[PersonName, ...] = ()
    if newborn:
        mother = chance.choice(origin.female) or name.family
        before = (PersonName(name.family, ("Baby", "of", mother)),)
        if chance.random() < 0.5:
            name, before = before[0], ()
    elif sex == "female" and chance.random() < 0.3 and origin.style != "mononym":
        before = (replace(name, family=_name(chance, origin, sex).family),)
    return Person(key, origin, name, born, sex, _postcode(chance),
                  _number(chance, numbers, born, sex), before)  # fmt: skip


def _sibling(chance: random.Random, numbers: Numbers, one: Person, key: int, born: date) -> Person:
    sex = chance.choice(("female", "male"))
    while True:
        other = _name(chance, one.origin, sex)
        if other.given != one.name.given or one.origin.style == "mononym":
            break
    family = other.family if one.origin.style == "mononym" else one.name.family
    baby = one.name if one.name.given[:1] == ("Baby",) else None
    if baby and born == one.born:  # twins before their names were given
        name: PersonName = baby
    else:
        name = PersonName(family, other.given)
    newborn = one.before[:1] and one.before[0].given[:1] == ("Baby",)
    before = one.before if born == one.born and newborn else ()
    if born == one.born:
        one.multiple = "true"
    return Person(key, one.origin, name, born, sex, one.postcode,
                  _number(chance, numbers, born, sex), before,
                  multiple="true" if born == one.born else "")  # fmt: skip


def _name(chance: random.Random, origin: Origin, sex: str) -> PersonName:
    family = chance.choice(origin.families).replace("-der-", " der ")
    given = [chance.choice(origin.female if sex == "female" else origin.male)]
    if origin.style == "mononym":
        return PersonName(family)
    if origin.style == "mohammed" and sex == "male" and chance.random() < 0.6:
        given.insert(0, "Mohammed")
    elif origin.style == "slavic" and sex == "female":
        family = family + "a" if family.endswith("v") else family.replace("ski", "ska")
    elif origin.style == "double":
        family = f"{family} {chance.choice(origin.families)}"
    if len(given) == 1 and origin.style != "order" and chance.random() < 0.4:
        given.append(chance.choice(origin.female if sex == "female" else origin.male))
    return PersonName(family, tuple(given))


def _number(chance: random.Random, numbers: Numbers, born: date, sex: str) -> Identifier:
    where = chance.random()
    if where < _OVERSEAS:
        return Identifier(f"{chance.randrange(10**7)}-{len(numbers.given)}".replace("-", "9"),
                          PATIENT_NUMBERS + AUTHORITY, "MR", AUTHORITY)  # fmt: skip
    if where < _OVERSEAS + _ENGLISH:
        return Identifier(numbers.nhs(), NHS_NUMBER, "NH", "NHS")
    return Identifier(numbers.chi(born, sex), CHI_SYSTEM, "NH", "CHI")


def _postcode(chance: random.Random) -> str:
    letter = chance.choice(("G", "EH", "AB", "DD", "KY", "IV", "PA", "FK"))
    tail = "".join(chance.choices("ABDEFGHJLNPQRSTUWXYZ", k=2))
    return f"{letter}{chance.randrange(1, 60)} {chance.randrange(1, 10)}{tail}"


def messages(people: list[Person], count: int, seed: int) -> Iterator[Message]:
    """Yield messages about people, each with the errors that befell it."""
    from benchmarks.identity.errors import Clerk

    clerk = Clerk(random.Random(seed + 1), people, RATES, _VARIANTS)
    for _ in range(count):
        yield clerk.write()
