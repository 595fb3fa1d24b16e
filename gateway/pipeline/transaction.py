"""Batches and transactions of writes and reads (R4 http.html 3.1.0.11).

A transaction is one database transaction: everything or nothing. Entries are done in the order of
the standard (deletions, of which there are none here, creations, updates, reads), answered in the
order they came.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from gateway.errors import GatewayError, InvalidRequest, NotAllowed, PreconditionFailed
from gateway.pipeline.references import literals, renamed
from gateway.pipeline.writes import WRITABLE, Plan, Writer, Written, conditions_in
from gateway.store.resources import Stored

Json = dict[str, Any]

ENTRIES_MAX = 1000
_ORDER = {"DELETE": 0, "POST": 1, "PUT": 2, "PATCH": 2, "GET": 3, "HEAD": 3}
_READS = ("GET", "HEAD")
_URL = re.compile(r"([A-Za-z]+)(?:/([A-Za-z0-9\-.]{1,64}))?(?:\?(.*))?", re.DOTALL)


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One request of a Bundle; `number` is its place, `url` is relative to the base."""

    number: int
    method: str
    url: str
    full_url: str
    resource: Json
    if_match: str = ""
    if_none_exist: str = ""

    @property
    def reads(self) -> bool:
        """Whether it changes nothing."""
        return self.method in _READS

    @property
    def order(self) -> int:
        """When it is done, by its method."""
        return _ORDER[self.method]

    @property
    def where(self) -> str:
        """The FHIRPath place of the entry."""
        return f"Bundle.entry[{self.number}]"

    def target(self) -> tuple[str, str, str]:
        """Return type, id and condition of a write; raises NotAllowed for any other URL."""
        found = _URL.fullmatch(self.url)
        if not found or self.method not in ("POST", "PUT"):
            raise NotAllowed("this request cannot stand in a Bundle", where=f"{self.where}.request")
        return found[1], found[2] or "", found[3] or ""


Read = Callable[[Entry], Any]


def entries(bundle: Json, base: str) -> list[Entry]:
    """Take a Bundle apart; raises InvalidRequest with the place of what cannot be read."""
    listed = bundle.get("entry", [])
    if not isinstance(listed, list) or len(listed) > ENTRIES_MAX:
        raise InvalidRequest("must be a list of at most 1000 entries", where="Bundle.entry")
    made = [_entry(number, one, base) for number, one in enumerate(listed)]
    urls = [one.full_url for one in made if one.full_url and one.method in ("POST", "PUT")]
    if len(urls) != len(set(urls)):
        raise InvalidRequest("two entries have one fullUrl", where="Bundle.entry")
    return made


def _entry(number: int, given: Any, base: str) -> Entry:
    where = f"Bundle.entry[{number}]"
    request = given.get("request") if isinstance(given, dict) else None
    texts = request if isinstance(request, dict) else {}
    if not all(isinstance(value, str) for value in texts.values()) or "url" not in texts:
        raise InvalidRequest("needs a request with method and url", where=f"{where}.request")
    if texts.get("method") not in _ORDER:
        raise InvalidRequest("is not a method of FHIR", where=f"{where}.request.method")
    resource = given.get("resource", {})
    full_url = given.get("fullUrl", "")
    if not isinstance(resource, dict) or not isinstance(full_url, str):
        raise InvalidRequest("is not an entry", where=where)
    if texts["method"] in ("POST", "PUT") and not resource:
        raise InvalidRequest("needs a resource", where=f"{where}.resource")
    url = texts["url"].removeprefix(base).lstrip("/")
    return Entry(number, texts["method"], url, full_url, resource, texts.get("ifMatch", ""),
                 texts.get("ifNoneExist", ""))  # fmt: skip


def run_transaction(writer: Writer, given: Sequence[Entry], read: Read) -> list[Any]:
    """Do all entries in the caller's database transaction, or raise what stands in the way."""
    writes = sorted((one for one in given if not one.reads), key=lambda one: one.order)
    done: dict[int, Any] = {}
    names: dict[str, str] = {}
    people = [one for one in writes if one.target()[0] == "Patient"]
    # People first: what is about them needs them to be there.
    for one in people:
        with _placed(one):
            plan = _plan(writer, one, _aim(writer, one), one.resource)
            _announce(writer, names, one, plan.type, plan.id)
            done[one.number] = writer.save([plan])[0]
    aims = {one: _aimed(writer, one, names) for one in writes if one not in people}
    plans = [_renamed_plan(writer, one, aim, names) for one, aim in aims.items()]
    places = [(plan.type, plan.id) for plan in plans if not plan.known]
    if len(places) != len(set(places)):
        raise InvalidRequest("one resource stands twice in one transaction", where="Bundle.entry")
    saved = zip((one.number for one in aims), writer.save(plans), strict=True)
    done |= dict(saved)
    for one in given:
        if one.reads:
            with _placed(one):
                done[one.number] = read(one)
    return [done[one.number] for one in given]


def run_alone(writer: Writer, entry: Entry) -> Written:
    """Do one write of a batch in the caller's database transaction."""
    with _placed(entry):
        plan = _plan(writer, entry, _aim(writer, entry), entry.resource)
        return writer.save([plan])[0]


@dataclass(frozen=True, slots=True)
class _Aim:
    """Which resource an entry is about; `known` stands already and is not touched."""

    type: str
    id: str
    create: bool
    known: Stored | None = None


def _aim(writer: Writer, entry: Entry) -> _Aim:
    type_, id_, condition = entry.target()
    if type_ not in WRITABLE:
        raise NotAllowed(f"{type_} is written by messages, not over FHIR")
    writer.access.require(type_, "c" if entry.method == "POST" else "u")
    if entry.method == "POST":
        if id_ or condition:
            raise InvalidRequest("a resource is made at the URL of its type")
        known = writer.matching(type_, entry.if_none_exist) if entry.if_none_exist else None
        return _Aim(type_, known.id if known else str(uuid4()), known is None, known)
    if id_:
        return _Aim(type_, id_, False)
    found = writer.matching(type_, condition)
    return _Aim(type_, found.id if found else str(uuid4()), found is None)


def _plan(writer: Writer, entry: Entry, aim: _Aim, content: Json) -> Plan:
    if aim.known:
        return Plan(aim.type, aim.id, known=aim.known)
    if aim.create:
        return writer.create(aim.type, content, aim.id)
    return writer.update(aim.type, aim.id, {"id": aim.id, **content}, entry.if_match)


def _aimed(writer: Writer, entry: Entry, names: dict[str, str]) -> _Aim:
    with _placed(entry):
        aim = _aim(writer, entry)
        _announce(writer, names, entry, aim.type, aim.id)
        return aim


def _announce(writer: Writer, names: dict[str, str], entry: Entry, type_: str, id_: str) -> None:
    """Let other entries name this one by its fullUrl."""
    place = f"{type_}/{id_}"
    writer.made.add(place)
    if entry.full_url:
        names[entry.full_url] = place


def _renamed_plan(writer: Writer, entry: Entry, aim: _Aim, names: Mapping[str, str]) -> Plan:
    with _placed(entry):
        found = {reference for _, reference in literals(entry.resource, aim.type)}
        known = dict(names)
        for reference, (type_, condition) in conditions_in(found).items():
            one = writer.matching(type_, condition)
            if one is None:
                raise PreconditionFailed("a conditional reference finds nothing")
            known[reference] = f"{one.type}/{one.id}"
        content = renamed(entry.resource, lambda text: known.get(text, text))
        return _plan(writer, entry, aim, content)


@contextmanager
def _placed(entry: Entry) -> Iterator[None]:
    """Say in an error which entry it is about."""
    try:
        yield
    except GatewayError as error:
        if not error.where.startswith("Bundle."):
            type_, dot, rest = error.where.partition(".")
            inside = f".resource.{rest}" if dot and type_.isalpha() else ""
            error.where = entry.where + inside
        raise
