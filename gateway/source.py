"""Sources: who stands at the other end of a connection, and what is agreed with them.

A source is known by its client certificate, its network address, its OAuth client or its drop
folder, never by what a message says. Without a file of sources every address and every client
is a source of its own name.
"""

from __future__ import annotations

import ipaddress
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from gateway.errors import InvalidSetting

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_POLICIES = ("", "hold", "ae")


@dataclass(frozen=True, slots=True)
class Source:
    """One source. Empty `senders`, `charset`, `policy`, `processing_ids`: as the sender says.

    `certificates` are names (subject alternative DNS name, else common name) or
    `sha256:<hex of the DER certificate>`; `connections` 0 means no limit of its own;
    `bytes_a_second` 0 means as fast as it can; `back_load` marks history: nobody is told.
    """

    name: str
    senders: tuple[str, ...] = ()
    certificates: tuple[str, ...] = ()
    addresses: tuple[Network, ...] = ()
    clients: tuple[str, ...] = ()
    folder: Path | None = None
    connections: int = 0
    bytes_a_second: int = 0
    charset: str = ""
    policy: str = ""
    processing_ids: tuple[str, ...] = ()
    back_load: bool = False


@dataclass(frozen=True, slots=True)
class Sources:
    """The table of sources; `open` when there is none, and every address is one of its own."""

    known: tuple[Source, ...] = ()
    open: bool = True

    def of_address(self, address: str) -> Source | None:
        """Return the source of a plain connection from this IP address."""
        if self.open:
            return Source(f"mllp:{address}")
        place = ipaddress.ip_address(address.partition("%")[0])
        if isinstance(place, ipaddress.IPv6Address) and place.ipv4_mapped:
            place = place.ipv4_mapped
        return next((one for one in self.known if any(place in net for net in one.addresses)), None)

    def of_certificate(self, names: Iterable[str]) -> Source | None:
        """Return the source of a client certificate known by any of these names."""
        given = tuple(names)
        if self.open:
            return Source(f"tls:{given[0]}") if given else None
        return next((one for one in self.known if set(given) & set(one.certificates)), None)

    def of_client(self, client: str) -> Source | None:
        """Return the source of an OAuth client."""
        if self.open:
            return Source(f"http:{client}")
        return next((one for one in self.known if client in one.clients), None)


def load_sources(path: Path | None) -> Sources:
    """Read the file of sources; raises InvalidSetting that names the table and the key."""
    if path is None:
        return Sources()
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidSetting("the file cannot be read", where="sources") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidSetting("the file is not valid TOML", where="sources") from error
    known = tuple(_source(name, table) for name, table in given.items())
    for where, text in _shared(known):
        raise InvalidSetting(text, where=where)
    return Sources(known, open=False)


def _source(name: str, table: Any) -> Source:
    if not isinstance(table, Mapping):
        raise InvalidSetting("each source is a table", where=f"sources [{name}]")
    allowed = {field.name for field in fields(Source)} - {"name"}
    values: dict[str, Any] = {}
    for key, value in table.items():
        where = f"sources [{name}] {key}"
        if key not in allowed:
            raise InvalidSetting("there is no such key", where=where)
        try:
            values[key] = _value(key, value)
        except (TypeError, ValueError) as error:
            raise InvalidSetting("not of the right kind", where=where) from error
    return Source(name, **values)


def _value(key: str, value: Any) -> Any:
    if key == "addresses":
        return tuple(ipaddress.ip_network(one) for one in _texts(value))
    if key in ("senders", "certificates", "clients", "processing_ids"):
        return _texts(value)
    if key == "folder":
        return Path(value)
    if key == "policy" and value not in _POLICIES:
        raise ValueError
    kind = type(getattr(_PLAIN, key))
    if type(value) is not kind or (kind is int and value < 0):
        raise TypeError
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
        raise TypeError
    return tuple(value)


def _shared(known: Iterable[Source]) -> Iterator[tuple[str, str]]:
    """Yield what two sources claim both: nobody could say then which of them it was."""
    owners: dict[tuple[str, str], str] = {}
    for one in known:
        claims = [("certificates", name) for name in one.certificates]
        claims += [("clients", name) for name in one.clients]
        claims += [("folder", str(one.folder.resolve()))] if one.folder else []
        for claim in claims:
            if owners.setdefault(claim, one.name) != one.name:
                yield f"sources [{one.name}] {claim[0]}", f"{owners[claim]} claims the same"
        for other in known:
            if other.name < one.name and _overlap(one, other):
                yield f"sources [{one.name}] addresses", f"{other.name} claims the same"


def _overlap(one: Source, other: Source) -> bool:
    return any(
        mine.version == theirs.version and mine.overlaps(theirs)
        for mine in one.addresses
        for theirs in other.addresses
    )


_PLAIN = Source("")
