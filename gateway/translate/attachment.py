"""Documents inside OBX-5, found by content: LIMS label them CE, ED, TX or nothing at all."""

from __future__ import annotations

import base64
import binascii
import re

from gateway.errors import InvalidAttachment
from gateway.message import Message, Segment
from gateway.report import Attachment

_PDF_BASE64 = "JVBERi0"  # "%PDF-"
_DECLARED = re.compile(r"(?i)(?:^|[\^/])(?:application/pdf|pdf)\^(?:[^^]*\^)?base64\^")
_WHITE = re.compile(r"[\s]+|\\\.br\\|\\X0[AD](?:0[AD])?\\")
_TAIL = 2048


def find_document(message: Message, segment: Segment) -> Attachment | None:
    """Return the PDF in OBX-5, if there is one; raises InvalidAttachment when it is broken."""
    raw = segment.raw(5)
    place = f"{segment.place}-5"
    for component in raw.split(message.delimiters.component) if len(raw) > 8 else ():
        if component.lstrip().startswith(_PDF_BASE64):
            return Attachment("application/pdf", _decode(component, place), "", place)
    if _DECLARED.search(raw.replace(message.delimiters.component, "^")):
        raise InvalidAttachment("declared as a PDF in base64, but it is not one", where=place)
    return None


def _decode(text: str, place: str) -> bytes:
    try:
        content = base64.b64decode(_WHITE.sub("", text), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidAttachment("the base64 of this PDF is broken", where=place) from error
    if b"%%EOF" not in content[-_TAIL:]:
        raise InvalidAttachment("this PDF is cut short: it has no end mark", where=place)
    return content
