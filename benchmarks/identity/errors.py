"""What goes wrong between a person and a message about them."""

from __future__ import annotations

import random
import string
import unicodedata
from collections.abc import Mapping
from dataclasses import replace
from datetime import date

from benchmarks.identity.population import Message, Person
from gateway.report import Identifier, Patient, PersonName


class Clerk:
    """Writes messages: mostly right, and wrong as often as the rates say."""

    def __init__(
        self,
        chance: random.Random,
        people: list[Person],
        rates: Mapping[str, float],
        variants: Mapping[str, str],
    ) -> None:
        self.chance, self.people, self.rates, self.variants = chance, people, rates, variants
        self.errors: list[str] = []

    def write(self) -> Message:
        """Write one message about somebody."""
        truth = self.chance.choice(self.people)
        self.errors = []
        asserted = Patient(
            identifiers=self._number(truth),
            name=self._name(truth),
            birth_date=self._born(truth.born),
            sex=self._sex(truth.sex),
            postcode="G99 9ZZ" if self._happens("moved house") else truth.postcode,
        )
        return Message(truth, asserted, tuple(self.errors))

    def _happens(self, error: str) -> bool:
        happened = self.chance.random() < self.rates[error]
        if happened:
            self.errors.append(error)
        return happened

    def _number(self, truth: Person) -> tuple[Identifier, ...]:
        right = Identifier(
            truth.number.value, "", truth.number.type, truth.number.authority, "PID-3"
        )
        if self._happens("no number"):
            return ()
        if self._happens("placeholder"):
            return (replace(right, value="1111111111", authority="CHI"),)
        if truth.family and self._happens("number of a brother, sister or twin"):
            other = (
                self.people[truth.family[0] - 1] if truth.family[0] <= len(self.people) else truth
            )
            return (self._of(other),)
        if self._happens("number of a stranger"):
            return (self._of(self.chance.choice(self.people)),)
        if self._happens("number mistyped"):
            return (replace(right, value=self._digit(right.value)),)
        if right.authority == "NHS" and self._happens("NHS number in the field of a CHI"):
            return (replace(right, authority="CHI"),)
        return (right,)

    def _of(self, other: Person) -> Identifier:
        one = other.number
        return Identifier(one.value, "", one.type, one.authority, "PID-3")

    def _digit(self, number: str) -> str:
        at = self.chance.randrange(len(number) - 1)
        if self.chance.random() < 0.3:
            return number[:at] + number[at + 1] + number[at] + number[at + 2 :]
        return number[:at] + self.chance.choice(string.digits) + number[at + 1 :]

    def _born(self, born: date) -> str:
        text = born.isoformat()
        if self._happens("birth date missing"):
            return ""
        if born.day <= 12 and born.day != born.month and self._happens("day and month exchanged"):
            return f"{text[:5]}{text[8:]}-{text[5:7]}"
        if self._happens("birth date mistyped"):
            return f"{text[:3]}{(int(text[3]) + self.chance.randrange(1, 10)) % 10}{text[4:]}"
        return text

    def _sex(self, sex: str) -> str:
        return ("male" if sex == "female" else "female") if self._happens("sex wrong") else sex

    def _name(self, truth: Person) -> PersonName:
        name = truth.name
        if truth.before and self._happens("earlier name"):
            name = truth.before[0]
        if truth.sex == "female" and self._happens("married name not in the index"):
            name = replace(name, family=self.chance.choice(self.people).name.family)
        name = self._of_origin(truth, self._given(name))
        if name.family and self._happens("family name mistyped"):
            name = replace(name, family=self._typo(name.family))
        if name.given and self._happens("given name mistyped"):
            name = replace(name, given=(self._typo(name.given[0]), *name.given[1:]))
        if self._happens("accents and hyphens lost"):
            name = PersonName(_ascii(name.family), tuple(map(_ascii, name.given)))
        return name

    def _given(self, name: PersonName) -> PersonName:
        given = name.given
        if given[:1] == ("Baby",):
            return name
        if len(given) > 1 and self._happens("middle name left out"):
            given = given[:1]
        elif len(given) > 1 and self._happens("middle name as initial"):
            given = (given[0], given[1][:1])
        if given and self._happens("nickname or initial"):
            given = (given[0][:1], *given[1:])
        return replace(name, given=given)

    def _of_origin(self, truth: Person, name: PersonName) -> PersonName:
        style, words = truth.origin.style, name.family.split()
        if name.family.startswith("Mc") and self._happens("Mac for Mc"):
            return replace(name, family="Mac" + name.family[2:])
        if style == "order" and self._happens("family name first"):
            return PersonName(" ".join(name.given), (name.family,))
        if style == "double" and len(words) > 1 and self._happens("one of two surnames"):
            return replace(name, family=words[0])
        hers = style == "slavic" and name.family.endswith(("ova", "eva", "ska"))
        if hers and self._happens("ending of the other sex"):
            cut = name.family[:-1]
            return replace(name, family=cut + "i" if cut.endswith("sk") else cut)
        if style in ("article", "particle") and self._happens("particle left out"):
            return replace(name, family=name.family.replace("-", " ").split()[-1])
        if name.given and name.given[0] in self.variants and self._happens("another spelling"):
            return replace(name, given=(self.variants[name.given[0]], *name.given[1:]))
        return name

    def _typo(self, word: str) -> str:
        at = self.chance.randrange(len(word))
        kind = self.chance.randrange(3)
        letter = self.chance.choice(string.ascii_lowercase)
        if kind == 0:
            return word[:at] + letter + word[at + 1 :]
        return (
            word[:at] + word[at + 1 :]
            if kind == 1 and len(word) > 2
            else word[:at] + letter + word[at:]
        )


def _ascii(text: str) -> str:
    plain = text.replace("ł", "l").replace("Ł", "L").replace("Đ", "D").replace("đ", "d")
    plain = unicodedata.normalize("NFKD", plain).encode("ascii", "ignore").decode()
    return plain.replace("-", " ")
