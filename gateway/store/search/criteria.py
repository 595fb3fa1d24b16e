"""One search parameter as asked, to the condition it means.

R4 search.html: a comma is OR, a backslash escapes `,`, `|`, `$` and itself. A modifier or chain
that is not supported is refused by name; a parameter nobody knows is None.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.errors import InvalidSearch, TooCostly
from gateway.store.search.asked import (
    Coded,
    Condition,
    Dates,
    Either,
    Hop,
    Ids,
    Linked,
    Not,
    Pairs,
    PatientIdentifiers,
    PatientIds,
    Present,
    Quantities,
    References,
    Rules,
    Strings,
    Tokens,
)
from gateway.store.search.extraction import Code, is_id, string_key, token_literal
from gateway.store.search.parameters import PARAMETERS, TYPES, Kind, Parameter, Place, find
from gateway.store.search.written import amounts, date_range, split, unescape

DEPTH_MAX = 4
"""Chained parameters and _has, one in another."""
_NEEDS_SYSTEM = "must say system|value: other identifiers may have the same digits"


@dataclass(frozen=True, slots=True)
class Criteria:
    """Reads the parameters of one resource type, `depth` hops from the type that is searched."""

    type: str
    rules: Rules
    depth: int = 0

    def read(self, name: str, values: list[str]) -> Condition | None:
        """Return the condition; None for a parameter that nobody knows."""
        if name.startswith("_has:"):
            return self._has(name, values)
        head, _, chain = name.partition(".")
        base, _, modifier = head.partition(":")
        if base in ("_id", "_lastUpdated") and self.type in PARAMETERS:
            _plain(base, modifier, chain)
            return _ids(values) if base == "_id" else _dates("_lastUpdated", 0, values)
        parameter = find(self.type, base)
        if parameter is None:
            return None
        if chain:
            return self._chain(parameter, modifier, chain, values)
        if modifier == "missing":
            return _missing(parameter, values)
        return self._plain(parameter, modifier, values)

    def _plain(self, parameter: Parameter, modifier: str, values: list[str]) -> Condition:
        if parameter.either:
            return self._combined(parameter, modifier, values)
        match parameter.kind:
            case Kind.TOKEN:
                return self._token(parameter, modifier, values)
            case Kind.REFERENCE:
                return self._reference(parameter, modifier, values)
            case Kind.STRING:
                return _strings(parameter, modifier, values)
        return self._unmodified(parameter, modifier, values)

    def _combined(self, parameter: Parameter, modifier: str, values: list[str]) -> Condition:
        several = [self._plain(self._own(name), modifier, values) for name in parameter.either]
        if modifier in ("not", "not-in"):
            return Not(Either(tuple(one.condition for one in several if isinstance(one, Not))))
        return Either(tuple(several))

    def _unmodified(self, parameter: Parameter, modifier: str, values: list[str]) -> Condition:
        _plain(parameter.name, modifier, "")
        match parameter.kind:
            case Kind.DATE:
                return _dates(parameter.name, parameter.number, values)
            case Kind.URI:
                literals = (token_literal(parameter, unescape(item)) for item in values)
                return Tokens(tuple(literals))
            case Kind.QUANTITY:
                asked = (amounts(parameter.name, item) for item in values)
                return Quantities(parameter.number, tuple(one for some in asked for one in some))
        return self._composite(parameter, values)

    def _own(self, name: str) -> Parameter:
        return PARAMETERS[self.type][name]

    # -- tokens ---------------------------------------------------------------------------

    def _token(self, parameter: Parameter, modifier: str, values: list[str]) -> Condition:
        match modifier:
            case "":
                return self._tokens(parameter, values)
            case "not":
                return Not(self._tokens(parameter, values))
            case "in":
                return self._within(parameter, values)
            case "not-in":
                return Not(self._within(parameter, values))
        raise InvalidSearch("this modifier is not supported", where=parameter.name)

    def _tokens(self, parameter: Parameter, values: list[str]) -> Condition:
        whole = [item for item in values if item.endswith("|") and not item.endswith("\\|")]
        found = [self._system(parameter, item[:-1]) for item in whole]
        codes = [self._code(parameter, item) for item in values if item not in whole]
        if codes:
            found.append(_any_code(parameter, codes))
        return found[0] if len(found) == 1 else Either(tuple(found))

    def _system(self, parameter: Parameter, text: str) -> Condition:
        system = unescape(text)
        if not system or len(split(text, "|")) > 1 or parameter.contact is not None:
            raise InvalidSearch("must be a code, or system|code", where=parameter.name)
        if parameter.system:
            # Stored without its system, which is fixed.
            return _present(parameter) if system == parameter.system else Tokens(())
        return Coded(parameter.number, parameter.place, self.rules.aliases.get(system, system))

    def _code(self, parameter: Parameter, text: str) -> Code:
        system, code = self._coded(parameter.name, text)
        if system is None and parameter.needs_system:
            raise InvalidSearch(_NEEDS_SYSTEM, where=parameter.name)
        if system is None or (system and system == parameter.system):
            return Code(token_literal(parameter, code))
        return Code(token_literal(parameter, code), token_literal(parameter, code, system))

    def _coded(self, name: str, text: str) -> tuple[str | None, str]:
        parts = [unescape(part) for part in split(text, "|")]
        if len(parts) > 2 or not parts[-1]:
            raise InvalidSearch("must be a code, or system|code", where=name)
        if len(parts) == 1:
            return None, parts[0]
        return self.rules.aliases.get(parts[0], parts[0]), parts[1]

    def _within(self, parameter: Parameter, values: list[str]) -> Condition:
        codes = []
        for url in values:
            held = self.rules.expand(unescape(url))
            if held is None:
                raise InvalidSearch("this value set is not held here", where=parameter.name)
            for system, code in held:
                if parameter.system and system == parameter.system:
                    codes.append(Code(token_literal(parameter, code)))
                elif not parameter.system:
                    literal = token_literal(parameter, code, system)
                    codes.append(Code(token_literal(parameter, code), literal))
        return _any_code(parameter, codes) if codes else Tokens(())

    # -- references -----------------------------------------------------------------------

    def _reference(self, parameter: Parameter, modifier: str, values: list[str]) -> Condition:
        if modifier == "identifier":
            return _any_code(parameter, [self._code(parameter, item) for item in values])
        if modifier and modifier not in parameter.targets:
            raise InvalidSearch("this modifier is not supported", where=parameter.name)
        types = (modifier,) if modifier else parameter.targets
        targets = [self._target(parameter, types, unescape(item)) for item in values]
        if parameter.patient:
            return PatientIds(tuple(id_ for types, id_ in targets if types))
        return References(parameter.number, tuple(targets))

    def _target(
        self, parameter: Parameter, types: tuple[str, ...], text: str
    ) -> tuple[tuple[str, ...], str]:
        """Return the types and the id meant; no type when it can match nothing here."""
        local = text.removeprefix(self.rules.base + "/")
        if "://" in local or local.startswith("urn:"):
            return (), ""
        type_, slash, id_ = local.rpartition("/")
        if not is_id(id_) or (slash and type_ not in TYPES):
            raise InvalidSearch("must be an id, Type/id or a URL", where=parameter.name)
        return (tuple(t for t in types if not slash or t == type_)), id_

    # -- other resources ------------------------------------------------------------------

    def _deeper(self, type_: str) -> Criteria:
        if self.depth == DEPTH_MAX:
            raise TooCostly("too many chained parameters")
        return Criteria(type_, self.rules, self.depth + 1)

    def _chain(
        self, parameter: Parameter, modifier: str, chain: str, values: list[str]
    ) -> Condition:
        if parameter.kind is not Kind.REFERENCE:
            raise InvalidSearch("this parameter cannot be chained", where=parameter.name)
        if modifier and modifier not in parameter.targets:
            raise InvalidSearch("this modifier is not supported", where=parameter.name)
        if parameter.patient and chain == "identifier":
            pairs = [self._coded(f"{parameter.name}.{chain}", item) for item in values]
            if any(system is None for system, _ in pairs):
                raise InvalidSearch(_NEEDS_SYSTEM, where=f"{parameter.name}.{chain}")
            return PatientIdentifiers(tuple((system or "", value) for system, value in pairs))
        found = [
            Linked(Hop(parameter.number, (type_,), parameter.patient), condition)
            for type_ in ((modifier,) if modifier else parameter.targets)
            if (condition := self._deeper(type_).read(chain, values))
        ]
        if not found:
            raise InvalidSearch("this chained parameter is not supported", where=parameter.name)
        return found[0] if len(found) == 1 else Either(tuple(found))

    def _has(self, name: str, values: list[str]) -> Condition | None:
        _, type_, reference, rest = (*name.split(":", 3), "", "", "")[:4]
        parameter = find(type_, reference) if type_ in TYPES else None
        if not parameter or parameter.kind is not Kind.REFERENCE or not rest:
            return None
        if self.type not in parameter.targets:
            raise InvalidSearch("no resource of this type is referred to by it", where="_has")
        condition = self._deeper(type_).read(rest, values)
        if condition is None:
            return None
        return Linked(Hop(parameter.number, (type_,), parameter.patient, backwards=True), condition)

    def _composite(self, parameter: Parameter, values: list[str]) -> Condition:
        first, second = (self._own(name) for name in parameter.parts)
        pairs, quantities = [], []
        for item in values:
            parts = split(item, "$")
            if len(parts) != 2:
                raise InvalidSearch("must be code$value", where=parameter.name)
            code = self._code(first, parts[0])
            if second.kind is Kind.QUANTITY:
                several = amounts(parameter.name, parts[1])
                quantities += [amount._replace(code=code) for amount in several]
            else:
                pairs.append((code, self._code(second, parts[1])))
        return Quantities(second.number, tuple(quantities)) if quantities else Pairs(tuple(pairs))


def _any_code(parameter: Parameter, codes: list[Code]) -> Condition:
    if parameter.place is Place.FIRST:
        return Pairs(tuple((code, Code()) for code in codes))
    if parameter.place is Place.SECOND:
        return Pairs(tuple((Code(), code) for code in codes))
    return Tokens(tuple(code.full or code.bare for code in codes))


def _present(parameter: Parameter) -> Condition:
    if parameter.kind in (Kind.TOKEN, Kind.URI):
        return Coded(parameter.number, parameter.place)
    return Present(parameter.number, parameter.kind)


def _missing(parameter: Parameter, values: list[str]) -> Condition:
    if values not in (["true"], ["false"]):
        raise InvalidSearch("must be true or false", where=parameter.name)
    names = parameter.either or (parameter.name,)
    several = [find(parameter.type, name) or parameter for name in names]
    if any(not one.paths for one in several):
        raise InvalidSearch("this modifier is not supported", where=parameter.name)
    there = tuple(_present(one) for one in several)
    found = there[0] if len(there) == 1 else Either(there)
    return Not(found) if values == ["true"] else found


def _plain(name: str, modifier: str, chain: str) -> None:
    if modifier:
        raise InvalidSearch("this modifier is not supported", where=name)
    if chain:
        raise InvalidSearch("this parameter cannot be chained", where=name)


def _ids(values: list[str]) -> Ids:
    # What cannot be an id is simply the id of nothing.
    return Ids(tuple(value for value in values if is_id(value)))


def _dates(name: str, number: int, values: list[str]) -> Dates:
    return Dates(number, tuple(date_range(name, unescape(value)) for value in values))


def _strings(parameter: Parameter, modifier: str, values: list[str]) -> Strings:
    mode = {"": "starts", "exact": "exact", "contains": "contains"}.get(modifier)
    if mode is None:
        raise InvalidSearch("this modifier is not supported", where=parameter.name)
    texts = tuple(string_key(unescape(item)) for item in values)
    if any(not re.search(r"\S", text) for text, _ in texts):
        raise InvalidSearch("must have a letter or a digit", where=parameter.name)
    return Strings(parameter.number, mode, texts)
