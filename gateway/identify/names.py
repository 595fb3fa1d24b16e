"""When two names are of one person: by rules that can be named, never by likeness.

`agreement` returns the rule by which they agree, or nothing. `LETTERS` is the strict rule: the
same letters. All others tell names apart less well, so whoever uses them must see to it that
nobody else fits (`match.decide`). Names have many origins: a person may have one name, several
surnames, a patronymic, or write the family name first.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from gateway.value import PersonName, letters

LETTERS = "the same letters"
MIDDLE = "a middle name left out"
SPELLING = "another spelling of one name"
PARTICLE = "a particle left out"
DOUBLE = "one of two surnames"
ENDING = "the ending that goes with the sex"
ONE_NAME = "a person of one name"
ORDER = "the same words in another order"
NEWBORN = "a name for a new-born"

# What is written for them where there is no such key.
_EXPANDED = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe"})
_BREAKS = re.compile(r"[\s\-\u2010-\u2015/,]+")
_PARTICLES = frozenset(
    {"van", "von", "der", "den", "de", "het", "ten", "ter", "te", "zu", "zur", "af", "av", "del",
     "della", "delle", "dello", "degli", "di", "da", "do", "dos", "das", "du", "des", "la", "le",
     "las", "los", "el", "al", "ul", "bin", "ibn", "ben", "bint", "binti", "abu", "ap", "ab", "y",
     "e", "san", "st"}
)  # fmt: skip
# One name, written in Latin letters in several ways.
_SPELLINGS = tuple(
    frozenset(group.split())
    for group in (
        "mohammed muhammad mohamed mohammad muhammed mohamad md mohd",
        "ahmed ahmad achmed", "hussain hussein husain hossain hussayn", "hassan hasan",
        "yusuf yousef yousuf yusef youssef", "ibrahim ebrahim", "ismail ismael esmail",
        "abdullah abdulla abdallah", "khalid khaled", "omar umar", "osman usman uthman othman",
        "fatima fatimah fatema", "aisha ayesha aysha aishah", "khadija khadijah khadeja",
        "zainab zaynab zeinab", "maryam mariam maryum", "sergei sergey", "andrei andrey",
        "aleksei aleksey alexey alexei", "yulia iuliia yuliya", "mariya mariia", "nataliya natalia"
        " nataliia", "dmitri dmitry dmytro", "oleksiy oleksii", "yevhen yevgen evgeny yevgeny",
        "mhairi mairi vairi", "padraig padraic",
    )
)  # fmt: skip
_SPELLING_OF = {word: min(group) for group in _SPELLINGS for word in group}
_ENDINGS = (("ova", "ov"), ("eva", "ev"), ("ina", "in"), ("ska", "ski"), ("ska", "sky"),
            ("cka", "cki"), ("aya", "iy"))  # fmt: skip
_NEWBORN = frozenset(
    {"baby", "babyboy", "babygirl", "bb", "infant", "newborn", "neonate", "twin", "triplet", "boy",
     "girl"}
)  # fmt: skip
_NO_NAME = frozenset(
    {"unknown", "notknown", "notgiven", "noname", "nogivenname", "nofamilyname", "fnu", "lnu",
     "xx"}
)  # fmt: skip


@lru_cache(maxsize=4096)
def words(text: str) -> tuple[str, ...]:
    """Return the words of a name, each reduced to its letters; what stands for no name is left."""
    found = (letters(word) for word in _BREAKS.split(text))
    return tuple(word for word in found if word and word not in _NO_NAME)


def agreement(one: PersonName, other: PersonName) -> str:
    """Return the rule by which two names are of one person, or nothing."""
    if not one.family and not one.given:
        return ""
    if is_newborn(one) or is_newborn(other):
        return NEWBORN if _whole(one) == _whole(other) else ""
    family, given = family_agrees(one.family, other.family), given_agrees(one, other)
    if family and given:
        return family if given == LETTERS else given
    return _reordered(one, other)


def family_agrees(one: str, other: str) -> str:
    """Return the rule by which two family names are one, or nothing."""
    these, those = words(one), words(other)
    if not these or not those:
        return ""
    if "".join(these) == "".join(those):
        return LETTERS
    if _spelled(one) & _spelled(other):
        return SPELLING
    these, those = _without_particles(these), _without_particles(those)
    if "".join(these) == "".join(those):
        return PARTICLE
    if _within(these, those):
        return DOUBLE
    return ENDING if _same_but_ending(these[-1], those[-1], these[:-1] == those[:-1]) else ""


def given_agrees(one: PersonName, other: PersonName) -> str:
    """Return the rule by which two given names are one, or nothing.

    All words count: `Mohammed Ali` and `Mohammed Hassan` may be brothers. `Ann Marie` and
    `Annmarie` are one.
    """
    these, those = words(" ".join(one.given)), words(" ".join(other.given))
    if not these or not those:
        return ""
    if "".join(these) == "".join(those):
        return LETTERS
    if _shorter(these, those):
        return MIDDLE
    these, those = _one_spelling(these), _one_spelling(those)
    return SPELLING if "".join(these) == "".join(those) or _shorter(these, those) else ""


def is_newborn(name: PersonName) -> bool:
    """Whether the given name stands for one that was not given yet: `Baby of …`, `Twin 1`."""
    given = words(" ".join(name.given))
    first = given[0] if given else (words(name.family) or ("",))[0]
    return first in _NEWBORN and (bool(given) or " of " in f" {name.family.casefold()} ")


def _reordered(one: PersonName, other: PersonName) -> str:
    """The same words, family and given names exchanged; or one name, in whatever field."""
    these, those = _all_words(one), _all_words(other)
    if these and len(set(these)) == 1 == len(set(those)) and set(these) == set(those):
        return ONE_NAME
    return ORDER if len(these) > 1 and sorted(these) == sorted(those) else ""


def _all_words(name: PersonName) -> tuple[str, ...]:
    return (*words(name.family), *words(" ".join(name.given)))


def _whole(name: PersonName) -> str:
    """Everything that is said, digits too: `Twin 1` is not `Twin 2`."""
    text = unicodedata.normalize("NFKD", f"{name.family} {' '.join(name.given)}".casefold())
    return "".join(char for char in text if char.isalnum())


def _shorter(these: tuple[str, ...], those: tuple[str, ...]) -> bool:
    """Whether middle names are left out in one of them, or stand there as initials."""
    fewer, more = sorted((these, those), key=lambda words: len("".join(words)))
    if "".join(fewer) in {"".join(more[:end]) for end in range(1, len(more))}:
        return len("".join(fewer)) > 1
    pairs = list(zip(these, those, strict=False))
    return these[0] == those[0] and all(
        here == there or (1 in (len(here), len(there)) and here[0] == there[0])
        for here, there in pairs
    )


def _one_spelling(found: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_SPELLING_OF.get(word, word) for word in found)


def _spelled(text: str) -> set[str]:
    """The ways a family name is typed: Mac and Mc are one, so are ü and ue."""
    expanded = letters(unicodedata.normalize("NFC", text.casefold()).translate(_EXPANDED))
    plain = letters(text)
    return {_scottish(one) for one in (plain, expanded)}


def _scottish(word: str) -> str:
    return "mc" + word[3:] if word.startswith("mac") and len(word) > 5 else word


def _without_particles(found: tuple[str, ...]) -> tuple[str, ...]:
    left = tuple(word for word in found if word not in _PARTICLES)
    return left or found


def _within(these: tuple[str, ...], those: tuple[str, ...]) -> bool:
    """Whether all surnames of the one are among more of the other; `García García` counts two."""
    fewer, more = sorted((these, those), key=len)
    return (
        len(fewer) < len(more)
        and set(map(_scottish, fewer)) <= set(map(_scottish, more))
        and all(len(word) > 1 for word in fewer)
    )


def _same_but_ending(one: str, other: str, rest: bool) -> bool:
    return rest and any(
        (one.endswith(hers) and other == one[: -len(hers)] + his)
        or (other.endswith(hers) and one == other[: -len(hers)] + his)
        for hers, his in _ENDINGS
        if min(len(one), len(other)) > len(his) + 1
    )
