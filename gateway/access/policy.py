"""Policy: which roles see what, in one TOML file; a caller in, one `Access` out.

Without a file a sensible default stands: clinicians see patients and reports to which their
board or team is related as requester or as treating; laboratory staff see the reports of their
laboratory; privacy officers see everybody and what is restricted; operators and administrators
see no clinical content; clients without a person see every record of class nhs.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any

from gateway.access.access import LABELS, Access, Right
from gateway.access.caller import Caller
from gateway.access.scopes import parse_scopes
from gateway.errors import Forbidden, InvalidSetting

MEANINGS = ("residence", "requesting", "treating", "laboratory")
"""What a board can be to a patient or to a report (safety.md, boards)."""

_CARE = ("TREAT", "ETREAT", "CAREMGT", "COC")


@dataclass(frozen=True, slots=True)
class Role:
    """What one role, or a client without a person, may see.

    `everybody`: no relationship is needed; otherwise one of `relationships` by a board or team.
    `purposes` are the v3 PurposeOfUse codes under which the role counts. A role may break the
    glass for `break_glass_minutes`, 0 for not at all. `boards` bind a client to boards.
    """

    record_classes: tuple[str, ...] = ("nhs",)
    confidentiality: str = "R"
    everybody: bool = False
    relationships: tuple[str, ...] = ()
    purposes: tuple[str, ...] = _CARE
    restricted: bool = False
    break_glass_minutes: int = 0
    break_glass_restricted: bool = False
    boards: tuple[str, ...] = ()

    def right(self, bound: bool = False) -> Right | None:
        """Return what it lets one see, if anything; `bound` to relationships where there are."""
        everybody = self.everybody and not bound
        if not everybody and not self.relationships:
            return None
        return Right(
            self.record_classes, self.confidentiality, everybody,
            () if everybody else self.relationships, self.restricted, self.break_glass_restricted,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Membership:
    """An organisation (`system|value`) belongs to a board from a day until before another."""

    id: str
    board: str
    since: str = ""
    until: str = "9999"


_ROLES = {
    "clinician": Role(relationships=("requesting", "treating"), break_glass_minutes=60),
    "laboratory": Role(relationships=("laboratory",), purposes=(*_CARE, "HOPERAT")),
    "privacy": Role(
        confidentiality="V", everybody=True, restricted=True,
        purposes=(*_CARE, "HCOMPL", "HLEGAL", "PATADMIN", "RECORDMGT"),
    ),
    "operator": Role(),
    "administrator": Role(),
}  # fmt: skip
_SYSTEM = Role(confidentiality="V", everybody=True, relationships=MEANINGS)


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules of one installation; `boards` lists the earlier codes of a board."""

    roles: Mapping[str, Role] = field(default_factory=lambda: MappingProxyType(_ROLES))
    system: Role = _SYSTEM
    clients: Mapping[str, Role] = field(default_factory=lambda: MappingProxyType({}))
    boards: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    postcodes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    organisations: tuple[Membership, ...] = ()

    def access(self, caller: Caller, now: int = 0) -> Access:
        """Return what a caller may see at a moment (microseconds since 1970).

        `system/` scopes count only without a person, `user/` and `patient/` only with one, and
        `patient/` only in the context of a patient.
        """
        scopes, others = parse_scopes(caller.scopes)
        levels = {"system"}
        if caller.person:
            levels = {"user", "patient"} if caller.patient else {"user"}
        return Access(
            client=caller.client,
            scopes=tuple(one for one in scopes if one.level in levels),
            others=others,
            rights=self._person(caller) if caller.person else self._client(caller),
            patient=caller.patient,
            parties=self._parties(caller),
            grantees=_grantees(caller),
            caller=caller,
            moment=now,
        )

    def break_glass(self, caller: Caller) -> Role:
        """Return the role by which a person may break the glass; raises Forbidden."""
        roles = [role for role in self._roles(caller) if role.break_glass_minutes]
        if not roles or not caller.person:
            raise Forbidden("this caller may not break the glass")
        return max(roles, key=lambda role: role.break_glass_minutes)

    def parties_of(self, organisation: str, day: str) -> tuple[str, ...]:
        """Return whom an organisation (`system|value`) stands for on a day: itself, its boards."""
        boards = (
            one.board
            for one in self.organisations
            if one.id == organisation and one.since <= day < one.until
        )
        return tuple(dict.fromkeys((organisation, *boards)))

    def residence(self, postcode: str) -> str:
        """Return the board of a postcode by its longest known beginning, or nothing."""
        text = postcode.replace(" ", "").upper()
        known = [one for one in self.postcodes if text.startswith(one)]
        return self.postcodes[max(known, key=len)] if known else ""

    def _roles(self, caller: Caller) -> Iterable[Role]:
        known = (self.roles.get(name) for name in caller.roles)
        return (role for role in known if role and caller.purpose in role.purposes)

    def _person(self, caller: Caller) -> tuple[Right, ...]:
        rights = (role.right() for role in self._roles(caller))
        return tuple(one for one in rights if one)

    def _client(self, caller: Caller) -> tuple[Right, ...]:
        role = self.clients.get(caller.client, self.system)
        if caller.purpose not in role.purposes:
            return ()
        right = role.right(bound=bool(role.boards or caller.boards))
        return (right,) if right else ()

    def _parties(self, caller: Caller) -> tuple[str, ...]:
        own = () if caller.person else self.clients.get(caller.client, self.system).boards
        boards = (*caller.boards, *own)
        earlier = (code for board in boards for code in self.boards.get(board, ()))
        return tuple(dict.fromkeys((*boards, *earlier, *caller.teams)))


def _grantees(caller: Caller) -> tuple[str, ...]:
    if not caller.person:
        return (f"client:{caller.client}",)
    return (f"person:{caller.person}", *(f"team:{team}" for team in caller.teams))


DEFAULT = Policy()


def access(caller: Caller, policy: Policy = DEFAULT, now: int = 0) -> Access:
    """Return what a caller may see under a policy."""
    return policy.access(caller, now)


# -- the file -------------------------------------------------------------------------------


def load_policy(path: Path | None) -> Policy:
    """Read the policy file; raises InvalidSetting that names the table and the key."""
    if path is None:
        return DEFAULT
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidSetting("the file cannot be read", where="policy") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidSetting("the file is not valid TOML", where="policy") from error
    return _policy(given)


def _policy(given: Mapping[str, Any]) -> Policy:
    if unknown := sorted(given.keys() - {one.name for one in fields(Policy)}):
        raise InvalidSetting("there is no such table", where=f"policy {unknown[0]}")
    named = _table(given.get("roles", {}), "roles")
    if unknown := sorted(named.keys() - _ROLES.keys()):
        raise InvalidSetting("there is no such role", where=f"policy [roles.{unknown[0]}]")
    system = _role(_SYSTEM, given.get("system", {}), "system")
    return Policy(
        roles={name: _role(role, named.get(name, {}), f"roles.{name}")
               for name, role in _ROLES.items()},
        system=system,
        clients={name: _role(system, table, f"clients.{name}")
                 for name, table in _table(given.get("clients", {}), "clients").items()},
        boards={name: _texts(codes, f"boards {name}")
                for name, codes in _table(given.get("boards", {}), "boards").items()},
        postcodes={name.replace(" ", "").upper(): _text(board, f"postcodes {name}")
                   for name, board in _table(given.get("postcodes", {}), "postcodes").items()},
        organisations=_memberships(given.get("organisations", [])),
    )  # fmt: skip


def _role(before: Role, table: Any, where: str) -> Role:
    values: dict[str, Any] = {}
    for key, value in _table(table, where).items():
        place = f"[{where}] {key}"
        if key not in _KINDS:
            raise InvalidSetting("there is no such key", where=f"policy {place}")
        kind = _KINDS[key]
        if kind is tuple:
            values[key] = _texts(value, place)
        elif type(value) is not kind or (kind is int and value < 0):
            raise InvalidSetting("not of the right kind", where=f"policy {place}")
        else:
            values[key] = value
    made = replace(before, **values)
    if made.confidentiality not in LABELS:
        raise InvalidSetting(f"must be one of {', '.join(LABELS)}",
                             where=f"policy [{where}] confidentiality")  # fmt: skip
    if unknown := sorted(set(made.relationships) - set(MEANINGS)):
        raise InvalidSetting(f"no such relationship: {unknown[0]}",
                             where=f"policy [{where}] relationships")  # fmt: skip
    return made


_KINDS = {one.name: type(getattr(_SYSTEM, one.name)) for one in fields(Role)}


def _memberships(given: Any) -> tuple[Membership, ...]:
    if not isinstance(given, list):
        raise InvalidSetting("must be tables", where="policy [[organisations]]")
    made = []
    for table in given:
        values = {
            key: _text(value.isoformat() if isinstance(value, date) else value, "organisations")
            for key, value in _table(table, "organisations").items()
        }
        if {"id", "board"} - values.keys() or values.keys() - {"id", "board", "since", "until"}:
            raise InvalidSetting("needs id and board, and may have since and until",
                                 where="policy [[organisations]]")  # fmt: skip
        made.append(Membership(**values))
    return tuple(made)


def _table(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise InvalidSetting("must be a table", where=f"policy [{where}]")
    return value


def _texts(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise InvalidSetting("must be a list", where=f"policy {where}")
    return tuple(_text(one, where) for one in value)


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidSetting("must be text", where=f"policy {where}")
    return value
