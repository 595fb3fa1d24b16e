"""A report that comes as a clinical document: MDM^T02 (new) and T10 (in place of another).

HL7 v2 chapter 9: TXA says which document it is and how far it got; what is in it stands in OBX,
as in any other report. OBR is optional.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gateway.errors import Hold
from gateway.message import Message
from gateway.report import Document, Identifier
from gateway.translate.apply import Scope
from gateway.translate.mapping import SenderMapping

EVENTS = frozenset({"T02", "T10"})
SEGMENT = "TXA"
_REPLACEMENT = "T10"
_WITHDRAWN = "entered-in-error"


def is_document(message: Message) -> bool:
    """Whether this message brings a document."""
    return message.value("MSH-9.1") == "MDM"


def read(scope: Scope, mapping: SenderMapping, report: dict[str, Any]) -> None:
    """Read the document of an MDM into the values of its report; its TXA-17 is their status."""
    if not is_document(scope.message):
        return
    found = Document(**scope.fill(mapping.rules["document"]))
    if scope.message.value("MSH-9.2") != _REPLACEMENT:
        found = replace(found, parent=None)
    elif found.parent is None:
        scope.desk.hold("TXA-13", "it is not said which document this one replaces", Hold.STRUCTURE)
    report["document"] = found
    _take_over(report, found)


def _take_over(report: dict[str, Any], found: Document) -> None:
    own = report.get("number")
    if found.parent and isinstance(own, Identifier) and own.value == _value(found.identifier):
        # Without an order number, a replacement belongs to the report of what it replaces.
        report["number"] = replace(own, value=found.parent.value, place=found.parent.place)
    if found.type:
        report.setdefault("title", found.type)
    if found.authors:
        report.setdefault("authors", found.authors)
    if found.availability == _WITHDRAWN:
        report["status"], report["status_from"] = _WITHDRAWN, "TXA-19"
    elif found.completion:
        report["status"], report["status_from"] = found.completion, "TXA-17"


def _value(given: Identifier | None) -> str:
    return given.value if given else ""
