"""Who points to whom inside one resource or Bundle (R4 references, bundle 2.36.4.1)."""

from __future__ import annotations

from typing import Any

from gateway.fhir.conformance.items import Item

Json = dict[str, Any]

_RESOURCES = frozenset({"resource", "outcome"})


class Document:
    """The resources of a document by the references that lead to them."""

    def __init__(self, root: Json) -> None:
        self.resources: list[Item] = []
        self._places: dict[int, str] = {}
        self._containers: dict[int, Json] = {}
        self._index: dict[str, Item] = {}
        self._add(root, str(root.get("resourceType")), "")

    def _inner(self, content: Any, path: str) -> None:
        """Add the resources inside one: entries of a Bundle, parameters."""
        if isinstance(content, list):
            for at, one in enumerate(content):
                self._inner(one, f"{path}[{at}]")
        elif isinstance(content, dict):
            url = content.get("fullUrl")
            for name, value in content.items():
                if name in _RESOURCES and isinstance(value, dict) and "resourceType" in value:
                    self._add(value, f"{path}.{name}", url if isinstance(url, str) else "")
                elif name != "contained":
                    self._inner(value, f"{path}.{name}")

    def _add(self, resource: Json, path: str, url: str) -> None:
        item = Item(resource, {}, path)
        self.resources.append(item)
        self._places[id(resource)] = path
        contained = resource.get("contained")
        for at, one in enumerate(contained if isinstance(contained, list) else ()):
            if isinstance(one, dict):
                self.resources.append(Item(one, {}, f"{path}.contained[{at}]"))
                self._containers[id(one)] = resource
        names = [url, "/".join(url.split("/")[-2:]) if url.startswith("http") else ""]
        names.append(f"{resource.get('resourceType')}/{resource.get('id')}")
        for name in names:
            if name:
                self._index.setdefault(name, item)
        self._inner(resource, path)

    def target(self, reference: Any, container: Json) -> Item | None:
        """Return what a Reference points to, if that is here."""
        literal = reference.get("reference") if isinstance(reference, dict) else None
        if not isinstance(literal, str):
            return None
        if literal.startswith("#"):
            container = self._containers.get(id(container), container)
            return self._contained(literal[1:], container)
        literal = literal.partition("/_history/")[0]
        return self._index.get(literal)

    def _contained(self, id_: str, container: Json) -> Item | None:
        path = self._places.get(id(container), str(container.get("resourceType")))
        if not id_:
            return Item(container, {}, path)
        contained = container.get("contained")
        for at, one in enumerate(contained if isinstance(contained, list) else ()):
            if isinstance(one, dict) and one.get("id") == id_:
                return Item(one, {}, f"{path}.contained[{at}]")
        return None
