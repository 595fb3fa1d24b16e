"""Search values: what `parameters` names, found in a resource's content.

Pure: content in; tokens, references, dates, strings, pairs and quantities out, as they are
hashed or stored by `indexing`.
"""

from __future__ import annotations

import hashlib
import math
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gateway.errors import InvalidValue
from gateway.store.dates import FIRST, LAST, interval
from gateway.store.search.parameters import PARAMETERS, Kind, Parameter, Place, indexed

_ID = re.compile(r"[A-Za-z0-9.-]{1,64}", re.ASCII)
TEXT_MAX = 500
"""Characters of a text that are searched: an index row holds no more in PostgreSQL."""
UNIT = 0
"""The number of the tokens that are units."""
_WORDS = (
    "text", "family", "given", "prefix", "suffix",
    "line", "city", "district", "state", "postalCode", "country",
)  # fmt: skip


class Code(NamedTuple):
    """A token without and with its system, as `token_literal` writes them; empty for none."""

    bare: str = ""
    full: str = ""


class Amount(NamedTuple):
    """A quantity: the interval it means, its unit, and the code it is the value of."""

    number: int
    low: float
    high: float
    unit: Code
    code: Code


@dataclass(frozen=True, slots=True)
class Values:
    """The search values of one resource.

    `tokens` are literals as `token_literal` writes them; `references` are
    (parameter number, element path, type, id); `dates` are (parameter number, low, high);
    `strings` are (parameter number, folded text, hash of the text); `pairs` are (code, value).
    """

    tokens: set[str] = field(default_factory=set)
    references: set[tuple[int, str, str, str]] = field(default_factory=set)
    dates: set[tuple[int, int, int]] = field(default_factory=set)
    strings: set[tuple[int, str, int]] = field(default_factory=set)
    pairs: set[tuple[Code, Code]] = field(default_factory=set)
    quantities: set[Amount] = field(default_factory=set)

    def literals(self) -> set[str]:
        """Return every literal that is stored as its hash."""
        codes = {code for pair in self.pairs for code in pair}
        codes |= {code for one in self.quantities for code in (one.unit, one.code)}
        return self.tokens | {text for code in codes for text in code if text}


def values(type_: str, content: Mapping[str, Any]) -> Values:
    """Extract every indexed value; raises InvalidValue with the place of a bad date."""
    found = Values()
    for parameter in indexed(type_):
        if parameter.place is Place.ALONE and not parameter.code:
            for path in parameter.paths:
                for value in at(content, path):
                    _take(found, parameter, path, value)
    for code, valued in _groups(type_):
        _take_group(found, code, valued, content)
    return found


def _take(found: Values, parameter: Parameter, path: str, value: Any) -> None:
    match parameter.kind:
        case Kind.TOKEN:
            found.tokens.update(_tokens(parameter, value))
        case Kind.URI:
            found.tokens.add(token_literal(parameter, value))
        case Kind.DATE:
            found.dates.add((parameter.number, *_dates(f"{parameter.type}.{path}", value)))
        case Kind.STRING:
            found.strings.update((parameter.number, *string_key(text)) for text in _texts(value))
        case _:
            if place := local_reference(value.get("reference", "")):
                found.references.add((parameter.number, path, *place))
            found.tokens.update(_tokens(parameter, value.get("identifier")))


# -- codes with their values ----------------------------------------------------------------


def _groups(type_: str) -> Iterator[tuple[Parameter, list[Parameter]]]:
    """Yield each parameter that is a code with the parameters that are its values."""
    own = PARAMETERS.get(type_, {})
    codes = {p.code for p in own.values() if p.code}
    for name in sorted(codes):
        yield own[name], [p for p in own.values() if p.code == name]


def _take_group(
    found: Values, code: Parameter, valued: list[Parameter], content: Mapping[str, Any]
) -> None:
    group, _, element = code.paths[0].rpartition(".")
    for item in at(content, group) if group else (content,):
        codes = _pairable(code, at(item, element))
        for parameter in valued:
            seen = list(at(item, parameter.paths[0].rpartition(".")[2]))
            if parameter.kind is Kind.QUANTITY:
                amounts = [amount for one in seen for amount in _amounts(parameter, one)]
                found.quantities.update(a._replace(code=c) for a in amounts for c in codes)
                continue
            values_ = _pairable(parameter, seen)
            if code.place is Place.FIRST or values_ != [Code()]:
                found.pairs.update((c, v) for c in codes for v in values_ if c.bare or v.bare)


def _pairable(parameter: Parameter, values_: Any) -> list[Code]:
    """Return the codings of an element, or one empty one."""
    found = [
        Code(token_literal(parameter, code), token_literal(parameter, code, system))
        for value in values_
        for system, code in _codings(value)
    ]
    return found or [Code()]


def _amounts(parameter: Parameter, value: Mapping[str, Any]) -> Iterator[Amount]:
    if value.get("value") is None:
        return
    number = float(value["value"])
    comparator = value.get("comparator", "")
    low = -math.inf if comparator.startswith("<") else number
    high = math.inf if comparator.startswith(">") else number
    system, code, unit = value.get("system", ""), value.get("code", ""), value.get("unit", "")
    if code:
        yield Amount(parameter.number, low, high, unit_code(code, system), Code())
    if unit != code or not unit:
        yield Amount(parameter.number, low, high, unit_code(unit), Code())


def unit_code(code: str, system: str | None = None) -> Code:
    """Return a unit as it is hashed; one without system may be a code or a text."""
    bare = f"{UNIT}\x1f{code}"
    return Code(bare if code else "", f"{bare}\x1f{system}" if code and system is not None else "")


# -- single values --------------------------------------------------------------------------


def at(content: Any, path: str) -> Iterator[Any]:
    """Yield every value at an element path, through lists."""
    first, _, rest = path.partition(".")
    value = content.get(first)
    if value is None:
        return
    for item in value if isinstance(value, list) else (value,):
        if not rest:
            yield item
        elif isinstance(item, dict):
            yield from at(item, rest)


def token_literal(parameter: Parameter, code: str, system: str | None = None) -> str:
    """Write one token as it is hashed; without a system it stands for the code in any system."""
    literal = f"{parameter.number}\x1f{code}"
    return literal if system is None else f"{literal}\x1f{system}"


def token_hashes(literal: str) -> tuple[int, int]:
    """Return the place of a literal in the token table, and where it goes if that is taken."""
    digest = hashlib.sha256(literal.encode()).digest()
    # 63 bits: the sign bit stays clear, because a negative key sorts first.
    return (
        int.from_bytes(digest[:8], "big") >> 1,
        int.from_bytes(digest[8:16], "big") >> 1,
    )


def is_id(text: str) -> bool:
    """Whether the text can be the id of a resource."""
    return _ID.fullmatch(text) is not None


def local_reference(text: str) -> tuple[str, str] | None:
    """Split a relative reference `Type/id`; None for anything else."""
    type_, slash, id_ = text.partition("/")
    return (type_, id_) if slash and type_.isalpha() and id_ and "/" not in id_ else None


def fold(text: str) -> str:
    """Write a text without case, accents and double spaces."""
    letters = unicodedata.normalize("NFKD", text.casefold())
    return " ".join("".join(c for c in letters if not unicodedata.combining(c)).split())


def string_key(text: str) -> tuple[str, int]:
    """Return a text as it is searched by its beginning, and the hash of just this text."""
    return fold(text)[:TEXT_MAX], token_hashes(text)[0]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
        return
    for word in _WORDS:
        part = value.get(word)
        yield from part if isinstance(part, list) else (part,) if part else ()


def _tokens(parameter: Parameter, value: Any) -> Iterator[str]:
    if isinstance(value, bool):
        value = "true" if value else "false"
    if isinstance(value, str):
        # A code has one system, fixed by its binding: one row is enough.
        yield token_literal(parameter, value)
        return
    if parameter.contact is not None:
        if value.get("value") and parameter.contact in ("", value.get("system")):
            yield token_literal(parameter, value["value"])
        return
    for system, code in _codings(value):
        yield token_literal(parameter, code, system)
        yield token_literal(parameter, code)


def _codings(value: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(value, dict):
        return
    if "coding" in value:
        for coding in value["coding"]:
            yield from _codings(coding)
    elif code := value.get("value") or value.get("code"):
        yield value.get("system", ""), code


def _dates(where: str, value: Any) -> tuple[int, int]:
    try:
        if isinstance(value, str):
            return interval(value)
        low = interval(value["start"])[0] if "start" in value else FIRST
        high = interval(value["end"])[1] if "end" in value else LAST
    except InvalidValue as error:
        raise InvalidValue(error.text, where=where) from error
    return low, high
