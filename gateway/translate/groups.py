"""Which observations belong together: several OBR of one report, and the OBX-4 tree of LRI.

HL7 2.5.1 LRI clinical genomics, chapter 5: structure lives only in OBX-4. `1`, `1.a` are the
study, `2a`, `2b` … discrete variants, `3a` a complex variant with members `3a.1a`, `4a`
pharmacogenomics.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from gateway.message import Message, Segment

_VARIANT = re.compile(r"2[a-z]+")
_COMPLEX = re.compile(r"3[a-z]+")
_MEMBER = re.compile(r"(3[a-z]+)\.\d+[a-z]+")
_DRUG = re.compile(r"4[a-z]+(?:\.\d*[a-z]*)?")
_UNKNOWN = re.compile(r"[5-9][a-z]+.*")
# A variant is defined by its name, an identifier, or a statement that it is there.
_DEFINING = frozenset(
    ("48004-6", "41103-3", "81290-9", "81291-7", "81252-9", "69548-6", "69547-8", "48005-3")
)
_LONGEST = 40
_OPENING = frozenset({"48018-6", "69548-6"})


class Kind(StrEnum):
    """What a group of observations is about (conversion.md 6.1)."""

    STUDY = "study"
    VARIANT = "variant"
    COMPLEX = "complex variant"
    DRUG = "pharmacogenomic result"
    UNKNOWN = "group that is not agreed"


@dataclass(frozen=True, slots=True)
class Observed:
    """One OBX with its code (OBX-3.1) and the group it belongs to.

    `key` is OBX-4, after the number of its OBR where a report has several; `within` is the key of
    the complex variant that a simple one is part of.
    """

    segment: Segment
    code: str
    kind: Kind
    key: str
    within: str = ""


def result_groups(message: Message) -> Iterator[Message]:
    """Yield the message once per OBR, each with the header segments and its own group.

    A message without OBR is one group. ORC before an OBR belongs to it.
    """
    header: list[Segment] = []
    groups: list[list[Segment]] = []
    waiting: list[Segment] = []
    for segment in message.segments:
        if segment.name == "ORC":
            waiting.append(segment)
        elif segment.name == "OBR":
            groups.append([*waiting, segment])
            waiting = []
        elif groups:
            groups[-1].append(segment)
        else:
            header.append(segment)
    if not groups:
        yield message.only((*header, *waiting))
    for group in groups:
        yield message.only((*header, *group))


def merged_groups(message: Message, number: Callable[[Message], str]) -> Iterator[Message]:
    """Join the groups that carry one report number; a group without one joins the one before."""
    reports: dict[str, list[Segment]] = {}
    last = ""
    shared: set[int] = set()
    for group in result_groups(message):
        last = number(group) or last
        known = reports.setdefault(last, [])
        shared = {id(segment) for segment in known}
        known.extend(segment for segment in group.segments if id(segment) not in shared)
    for segments in reports.values():
        yield message.only(tuple(segments))


def observations(message: Message) -> list[Observed]:
    """Assign every OBX of one report to its group."""
    found = []
    orders = 0
    for segment in message.segments:
        if segment.name == "OBR":
            orders += 1
        elif segment.name == "OBX":
            code = message.piece(segment.raw(3), 1).strip()
            prefix = f"{orders}:" if orders > 1 else ""
            found.append((segment, code, segment.raw(4).strip().lower(), prefix))
    implicit = any(not sub_id and code in _DEFINING for _, code, sub_id, _ in found)
    return list(_implicit(found)) if implicit else [_explicit(*entry) for entry in found]


def _explicit(segment: Segment, code: str, sub_id: str, prefix: str) -> Observed:
    kind, within = _kind(sub_id) if len(sub_id) < _LONGEST else _read_kind(sub_id)
    return Observed(segment, code, kind, prefix + sub_id, prefix + within if within else "")


def _read_kind(sub_id: str) -> tuple[Kind, str]:
    """Return what an OBX-4 is of, and the complex variant that it is part of."""
    if member := _MEMBER.fullmatch(sub_id):
        return Kind.VARIANT, member[1]
    return _alone(sub_id), ""


_kind = lru_cache(maxsize=1024)(_read_kind)
"""A few dozen sub-ids come again and again."""


def _alone(sub_id: str) -> Kind:
    if _VARIANT.fullmatch(sub_id):
        return Kind.VARIANT
    if _COMPLEX.fullmatch(sub_id):
        return Kind.COMPLEX
    if _DRUG.fullmatch(sub_id):
        return Kind.DRUG
    return Kind.UNKNOWN if _UNKNOWN.fullmatch(sub_id) else Kind.STUDY


def _implicit(found: list[tuple[Segment, str, str, str]]) -> Iterator[Observed]:
    """Without sub-ids, a new variant starts where an opening code comes a second time."""
    number, seen = 1, set[str]()
    for segment, code, sub_id, prefix in found:
        if sub_id:
            yield _explicit(segment, code, sub_id, prefix)
            continue
        if code in _OPENING and code in seen and seen & _DEFINING:
            number, seen = number + 1, set()
        seen.add(code)
        yield Observed(segment, code, Kind.VARIANT, f"#{number}")
