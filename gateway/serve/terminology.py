"""The codes that this gateway holds: senders' code tables, and the value sets of its profiles."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.errors import InvalidRequest, NotFound
from gateway.fhir.coded import Mapped, codes_of, expansion, table_value_set, translation
from gateway.fhir.conformance.finding import Finding
from gateway.fhir.conformance.package import load_definitions
from gateway.fhir.terms import Json
from gateway.translate.codes import Table
from gateway.translate.mapping import Mappings

if TYPE_CHECKING:
    from gateway.fhir.conformance.validator import Validator


class Terminology:
    """Answers `$translate`, `$expand` and `$validate`; reads the packages when first asked.

    A code table is the ConceptMap `<base>/ConceptMap/<sender>.<table>`; what it leads to is the
    ValueSet of the same name; its local codes may be given the system
    `<base>/CodeSystem/<sender>.<table>`.
    """

    def __init__(self, base: str, mappings: Mappings | None, store: Path) -> None:
        self._base = base
        self._tables: dict[str, Table] = {
            f"{name}.{table.name}": table
            for name, mapping in (mappings.by_name if mappings else {}).items()
            for table in mapping.tables.values()
        }
        self._store = store
        self._lock = threading.Lock()
        self._validator: Validator | None = None

    def names(self) -> list[str]:
        """Return the names of all code tables."""
        return sorted(self._tables)

    def translate(self, url: str, code: str, system: str) -> Json:
        """Say what a local code means; raises NotFound for a table that is not held."""
        name = url.removeprefix(f"{self._base}/ConceptMap/")
        table = self._table(name)
        own = f"{self._base}/CodeSystem/{name}"
        row = table.find(code) if system in ("", own) else None
        return translation([_mapped(row)] if row else [], f"{self._base}/ConceptMap/{name}")

    def expand(self, url: str, timestamp: str, words: str, count: int | None, offset: int) -> Json:
        """Return a value set with its codes; raises NotFound, InvalidRequest."""
        name = url.removeprefix(f"{self._base}/ValueSet/")
        if name in self._tables:
            rows = [_mapped(row) for row in _rows(self._tables[name])]
            full = f"{self._base}/ValueSet/{name}"
            found, codes = table_value_set(full, name.replace("-", "_").replace(".", "_"), rows)
        else:
            with self._lock:
                definitions = self._opened().definitions
                value_set = definitions.value_set(url)
                if value_set is None:
                    raise NotFound("this value set is not installed", where="url")
                found, codes = value_set, codes_of(definitions, url)
        return expansion(found, codes, timestamp, words=words, count=count, offset=offset)

    def codes(self, url: str) -> list[tuple[str, str]] | None:
        """Return (system, code) of a value set, as `:in` asks; None where it cannot be told."""
        try:
            listed = self.expand(url, "", "", None, 0)["expansion"].get("contains", [])
        except (NotFound, InvalidRequest):
            return None
        return [(one.get("system", ""), one["code"]) for one in listed]

    def findings(self, resource: Any, profiles: Sequence[str]) -> list[Finding]:
        """Return all there is to say about a resource; raises NotFound for an unknown profile."""
        with self._lock:
            return self._opened().findings(resource, profiles)

    def _opened(self) -> Validator:
        if self._validator is None:
            # Here and not above: a third of a second, 20 MiB.
            from gateway.fhir.conformance.validator import Validator

            self._validator = Validator(load_definitions(self._store))
        return self._validator

    def _table(self, name: str) -> Table:
        if name not in self._tables:
            raise NotFound("this code table is not held", where="url")
        return self._tables[name]


def _rows(table: Table) -> list[Any]:
    return list({id(row): row for row in (*table.by_source.values(), *table.by_text.values())}
                .values())  # fmt: skip


def _mapped(row: Any) -> Mapped:
    return Mapped(row.source, row.text, row.target, row.display, row.system)


Parameters = Mapping[str, Any]


def given(parameters: Json) -> dict[str, Any]:
    """Return the parameters of a Parameters resource by name, the last of each."""
    made: dict[str, Any] = {}
    for one in parameters.get("parameter", ()):
        values = [item for key, item in one.items() if key.startswith("value")]
        made[one.get("name", "")] = one.get("resource") or next(iter(values), None)
    return made
