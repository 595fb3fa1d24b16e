"""Who sends, and what is agreed with them: the `[sender]` table of a mapping."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gateway.errors import InvalidMapping

_VERSIONS = ("2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.7.1", "2.8")
_REPORTS = {"snapshot": True, "delta": False, "undeclared": None}


@dataclass(frozen=True, slots=True)
class Sender:
    """What is agreed with one sender.

    `matches` are (MSH-3.1, MSH-4.1) pairs, where an empty facility matches any. `snapshot` is
    None while undeclared. `discipline` is genomics, laboratory, or mixed: each report is what its
    content says. `policy` is `hold` (answer AA, then hold) or `ae` (refuse). `behind_held` says
    whether later messages of a report wait behind a held one (`wait`) or do not (`pass`); empty:
    they wait unless each says everything, for then it is the correction of what is held.
    `creates_patients`: a patient that the index does not have is made of what a report says.
    """

    name: str
    matches: tuple[tuple[str, str], ...] = ()
    types: frozenset[str] = frozenset()
    versions: frozenset[str] = frozenset(_VERSIONS)
    processing_ids: frozenset[str] = frozenset({"P"})
    charset: str = "UTF-8"
    time_zone: str = "Europe/London"
    policy: str = "hold"
    snapshot: bool | None = None
    discipline: str = "mixed"
    trusted_patients: bool = False
    creates_patients: bool = False
    strict: bool = False
    record_class: str = "nhs"
    behind_held: str = ""

    @property
    def waits(self) -> bool:
        """Whether later messages of a report wait behind a held one."""
        return self.behind_held == "wait" or (not self.behind_held and self.snapshot is not True)


@dataclass(frozen=True, slots=True)
class Senders:
    """The senders the live inbox knows, found through a table built at start."""

    by_match: Mapping[tuple[str, str], Sender]

    @classmethod
    def of(cls, senders: Iterable[Sender]) -> Senders:
        """Build the table; raises InvalidMapping when two senders claim one match."""
        known = tuple(senders)
        for _, error in claim_mistakes(known):
            raise error
        return cls(MappingProxyType({match: one for one in known for match in one.matches}))

    def find(self, application: str, facility: str) -> Sender | None:
        """Return the sender of these MSH-3.1 and MSH-4.1 values."""
        exact = self.by_match.get((application, facility))
        return exact or self.by_match.get((application, ""))


def claim_mistakes(senders: Iterable[Sender]) -> Iterator[tuple[str, InvalidMapping]]:
    """Yield each sender that claims the match of an earlier one: its name and what is wrong."""
    table: dict[tuple[str, str], Sender] = {}
    for sender in senders:
        for match in sender.matches:
            first = table.setdefault(match, sender)
            if first is not sender:
                text = f"{first.name} claims the same application and facility"
                yield (
                    sender.name,
                    InvalidMapping(text, where=f"{sender.name}/mapping.toml [sender]"),
                )


_KEYS = (
    "match", "types", "versions", "processing_ids", "charset", "time_zone", "policy", "reports",
    "trusted_patients", "strict", "record_class", "systems", "discipline",
    "behind_held", "creates_patients",
)  # fmt: skip


_ALLOWED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "reports": tuple(_REPORTS),
        "policy": ("hold", "ae"),
        "behind_held": ("wait", "pass"),
        "discipline": ("genomics", "laboratory", "mixed"),
    }
)
_FLAGS = ("trusted_patients", "creates_patients", "strict")
_PLAIN = ("charset", "discipline", "time_zone", "trusted_patients", "creates_patients", "strict",
          "record_class", "behind_held")  # fmt: skip
_SETS = ("types", "versions", "processing_ids")


def make_sender(name: str, given: Mapping[str, Any]) -> Sender:
    """Read the `[sender]` table; raises InvalidMapping that names the key."""
    for _, error in sender_mistakes(given, f"{name}/mapping.toml [sender]"):
        raise error
    matches = tuple((one["application"], one.get("facility", "")) for one in given.get("match", []))
    values: dict[str, Any] = {key: given[key] for key in _PLAIN if key in given}
    values |= {key: frozenset(given[key]) for key in _SETS if key in given}
    snapshot = _REPORTS[given.get("reports", "undeclared")]
    return Sender(name, matches, policy=given.get("policy", "hold"), snapshot=snapshot, **values)


def sender_mistakes(given: Mapping[str, Any], at: str) -> Iterator[tuple[str, InvalidMapping]]:
    """Yield everything that is wrong in a `[sender]` table: the key, and what."""
    for key, value in given.items():
        if key not in _KEYS:
            yield key, unknown_word(key, _KEYS, at)
        elif key in _ALLOWED:
            if value not in _ALLOWED[key]:
                yield key, unknown_word(value, _ALLOWED[key], at, key)
        elif text := _wrong_kind(key, value):
            yield key, InvalidMapping(text, where=at)


def _wrong_kind(key: str, value: Any) -> str:
    """Say what a key needs when its value is of another kind, else nothing."""
    if key in _SETS and not _texts(value):
        return f"`{key}` needs a list of texts"
    if key in _FLAGS and not isinstance(value, bool):
        return f"`{key}` is true or false"
    if key in ("charset", "record_class") and not isinstance(value, str):
        return f"`{key}` needs a text"
    if key == "time_zone" and not _is_zone(value):
        return "`time_zone` is not a zone such as Europe/London"
    if key == "match" and not _is_match(value):
        return '`match` needs a list of { application = "…", facility = "…" }'
    if key == "systems" and not (isinstance(value, dict) and _texts(list(value.values()))):
        return "`systems` needs a table of field = system"
    return ""


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _is_match(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(one, dict)
        and "application" in one
        and one.keys() <= {"application", "facility"}
        and _texts(list(one.values()))
        for one in value
    )


def _is_zone(value: Any) -> bool:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError):
        return False
    return True


def unknown_word(word: Any, allowed: Iterable[str], at: str, key: str = "") -> InvalidMapping:
    """Make the mistake of a word that is not known, with the nearest that is, or a short list."""
    choices = list(allowed)
    near = difflib.get_close_matches(str(word), choices, 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    if key and not near:
        hint = f"; `{key}` is {', '.join(choices[:-1])} or {choices[-1]}"
    return InvalidMapping(f"unknown word {word}{hint}", where=at)
