"""Who sends, and what is agreed with them: the `[sender]` table of a mapping."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
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
    content says. `policy` is `hold` (answer AA, then hold) or `ae` (refuse).
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
    strict: bool = False
    record_class: str = "nhs"


@dataclass(frozen=True, slots=True)
class Senders:
    """The senders the live inbox knows, found through a table built at start."""

    by_match: Mapping[tuple[str, str], Sender]

    @classmethod
    def of(cls, senders: Iterable[Sender]) -> Senders:
        """Build the table; raises InvalidMapping when two senders claim one match."""
        table: dict[tuple[str, str], Sender] = {}
        for sender in senders:
            for match in sender.matches:
                if match in table:
                    raise InvalidMapping(
                        f"{table[match].name} claims the same application and facility",
                        where=f"{sender.name}/mapping.toml [sender]",
                    )
                table[match] = sender
        return cls(MappingProxyType(table))

    def find(self, application: str, facility: str) -> Sender | None:
        """Return the sender of these MSH-3.1 and MSH-4.1 values."""
        exact = self.by_match.get((application, facility))
        return exact or self.by_match.get((application, ""))


_KEYS = (
    "match", "types", "versions", "processing_ids", "charset", "time_zone", "policy", "reports",
    "trusted_patients", "strict", "record_class", "systems", "discipline",
)  # fmt: skip


_DISCIPLINES = ("genomics", "laboratory", "mixed")
_PLAIN = ("charset", "discipline", "time_zone", "trusted_patients", "strict", "record_class")
_SETS = ("types", "versions", "processing_ids")


def make_sender(name: str, given: Mapping[str, Any]) -> Sender:
    """Read the `[sender]` table; raises InvalidMapping that names the key."""
    at = f"{name}/mapping.toml [sender]"
    for key in given:
        if key not in _KEYS:
            near = difflib.get_close_matches(key, _KEYS, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise InvalidMapping(f"unknown word {key}{hint}", where=at)
    reports = given.get("reports", "undeclared")
    policy = given.get("policy", "hold")
    if reports not in _REPORTS or policy not in ("hold", "ae"):
        raise InvalidMapping(
            "`reports` is snapshot, delta or undeclared; `policy` is hold or ae", where=at
        )
    if given.get("discipline", "mixed") not in _DISCIPLINES:
        raise InvalidMapping("`discipline` is genomics, laboratory or mixed", where=at)
    try:
        ZoneInfo(given.get("time_zone", "Europe/London"))
        matches = tuple(
            (one["application"], one.get("facility", "")) for one in given.get("match", [])
        )
    except (ZoneInfoNotFoundError, ValueError, KeyError, TypeError) as error:
        raise InvalidMapping("`time_zone` or `match` is not right", where=at) from error
    values: dict[str, Any] = {key: given[key] for key in _PLAIN if key in given}
    values |= {key: frozenset(given[key]) for key in _SETS if key in given}
    return Sender(name, matches, policy=policy, snapshot=_REPORTS[reports], **values)
