"""XML from elsewhere, read so that it can do no harm: no DTD, no entities, no network, a size.

Bytes in, a plain tree out: whoever reads a document needs no XML library.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lxml import etree

from gateway.errors import InvalidValue, MessageTooLarge

_BYTES_MAX = 10_000_000
_DEPTH_MAX = 100


@dataclass(frozen=True, slots=True)
class Element:
    """One element: local name, namespace, attributes without namespaces, elements inside.

    `text` is all character data directly inside; `source` the whole element as canonical XML,
    kept only where `read_xml` was asked to.
    """

    name: str
    namespace: str
    attributes: Mapping[str, str]
    children: tuple[Element, ...]
    text: str = ""
    source: str = ""


def read_xml(
    raw: bytes, *, verbatim: frozenset[str] = frozenset(), largest: int = _BYTES_MAX
) -> Element:
    """Parse a document; elements of the namespaces `verbatim` are kept as they were written.

    Raises MessageTooLarge, and InvalidValue for what is not well formed, nested too deeply, or
    has a document type declaration.
    """
    if len(raw) > largest:
        raise MessageTooLarge
    # Without huge_tree, libxml2 itself limits depth, names and text.
    parser = etree.XMLParser(
        resolve_entities=False, load_dtd=False, dtd_validation=False, no_network=True,
        huge_tree=False, remove_comments=True, remove_pis=True, recover=False,
    )  # fmt: skip
    try:
        root = etree.fromstring(raw, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise InvalidValue("is not well-formed XML") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise InvalidValue("a document type declaration is not accepted")
    return _element(root, verbatim, 0)


def _element(node: etree._Element, verbatim: frozenset[str], depth: int) -> Element:
    if depth > _DEPTH_MAX:
        raise InvalidValue("is nested too deeply")
    found = etree.QName(node)
    space = found.namespace or ""
    attributes = {etree.QName(str(key)).localname: str(item) for key, item in node.attrib.items()}
    if space in verbatim:
        source = etree.tostring(node, method="c14n", exclusive=True, with_tail=False).decode()
        return Element(found.localname, space, attributes, (), source=source)
    children = tuple(
        _element(child, verbatim, depth + 1) for child in node if isinstance(child.tag, str)
    )
    text = "".join([node.text or "", *(child.tail or "" for child in node)])
    return Element(found.localname, space, attributes, children, text)
