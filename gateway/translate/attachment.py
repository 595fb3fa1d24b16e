"""Documents inside OBX-5, found by content: LIMS label them CE, ED, TX or nothing at all.

A PDF in base64 may be cut into pieces over adjacent OBX with the same OBX-3 (DHCW guide: 32 K
each); they are joined again in order. A pointer (RP) to a PDF on the web is a document too.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gateway.errors import InvalidAttachment
from gateway.message import Message, Segment
from gateway.report import Attachment

_PDF_BASE64 = "JVBERi0"  # "%PDF-"
_RTF_BASE64 = "e1xydGY"
_PNG_BASE64 = "iVBORw0KGgo"
# How base64 of a kind of document starts: only where the start is long enough to be sure.
_STARTS = {
    _PDF_BASE64: "application/pdf",
    _RTF_BASE64: "application/rtf",
    _PNG_BASE64: "image/png",
}
_MAGIC = {
    b"%PDF-": "application/pdf",
    b"{\\rtf": "application/rtf",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"II*\x00": "image/tiff",
    b"MM\x00*": "image/tiff",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}
_DECLARED = {
    "pdf": "application/pdf",
    "rtf": "application/rtf",
    "png": "image/png",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "tiff": "image/tiff",
    "tif": "image/tiff",
    "gif": "image/gif",
}
_WORDS = {kind: kind.rpartition("/")[2].upper() for kind in _MAGIC.values()}
_WEB = re.compile(r"https?://[^\s/]+\S*")
_BREAK = re.compile(r"\\\.br\\|\\X(?:0[AaDd])+\\")
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_TAIL = 2048
_PIECE = 1000


@dataclass(frozen=True, slots=True)
class Document:
    """A document and the OBX it was made from; `problem` says why there is none to be had."""

    segments: tuple[Segment, ...]
    attachment: Attachment | None = None
    problem: str = ""

    @property
    def place(self) -> str:
        """Where it starts: `OBX[2]-5`."""
        return f"{self.segments[0].place}-5"


def documents(segments: Sequence[Segment], message: Message) -> tuple[Document, ...]:
    """Find every document in these OBX, pieces joined, in the order of the message.

    A broken one is in the answer too, with its `problem`: its segments hold no other value.
    """
    return tuple(_documents(segments, message))


def find_document(message: Message, segment: Segment) -> Attachment | None:
    """Return the document in one OBX-5, if there is one; raises InvalidAttachment if broken."""
    for found in _documents((segment,), message):
        if found.problem:
            raise InvalidAttachment(found.problem, where=found.place)
        return found.attachment
    return None


def _documents(segments: Sequence[Segment], message: Message) -> Iterator[Document]:
    position = 0
    while position < len(segments):
        segment = segments[position]
        position += 1
        found = _start(segment, message)
        if found is None:
            continue
        payload, kind = found
        used, pieces = [segment], [payload]
        while kind == _STARTS[_PDF_BASE64] and position < len(segments):
            more = _continuation(used[-1], segments[position], message, pieces)
            if not more:
                break
            used.append(segments[position])
            pieces.append(more)
            position += 1
        yield _document(tuple(used), pieces, kind, message)


def _start(segment: Segment, message: Message) -> tuple[str, str] | None:
    """Return what of OBX-5 is the document and what kind it is or claims to be."""
    raw = segment.raw(5)
    if len(raw) <= 8:
        return None
    parts = raw.split(message.delimiters.component) if message.delimiters.component else [raw]
    if _PDF_BASE64 in raw or _RTF_BASE64 in raw or _PNG_BASE64 in raw:
        for part in parts:
            payload = part.lstrip()
            for start, kind in _STARTS.items():
                if payload.startswith(start):
                    return payload, kind
    if segment.raw(2).strip() == "RP" and parts[0].strip():
        return ("", "pointer") if _points(parts) else None
    return _declared(parts)


def _declared(parts: list[str]) -> tuple[str, str] | None:
    """What says that it is base64, as ED does in its fourth component or CE somewhere."""
    if len(parts) < 3 or not any("64" in part for part in parts if len(part) < 40):
        return None
    labels = [part.strip().lower() for part in parts if len(part) < 40]
    if "base64" not in labels:
        return None
    payload = parts[-1] if len(parts[-1].strip()) >= 4 else max(parts, key=len)
    kinds = (_DECLARED.get(label.rpartition("/")[2]) for label in labels)
    if payload.strip().lower() == "base64":
        payload = ""
    return payload, next(filter(None, kinds), "")


def _continuation(before: Segment, segment: Segment, message: Message, pieces: list[str]) -> str:
    """Return the next piece of a document; empty when this OBX is something else."""
    same = all(before.raw(field).strip() == segment.raw(field).strip() for field in (2, 3))
    if not same:
        return ""
    piece = _unbroken(max(segment.raw(5).split(message.delimiters.component), key=len))
    if not _BASE64.fullmatch(piece) or piece.startswith(tuple(_STARTS)):
        return ""
    # After an end mark only what can be nothing else is taken for a further piece.
    return piece if len(piece) >= _PIECE or not _ended(pieces[-1]) else ""


def _ended(piece: str) -> bool:
    tail = _unbroken(piece[-2 * _TAIL :]).rstrip("=")
    # Base64 is read in fours, and where they start is not known here: try all four.
    return any(b"%%EOF" in _some(tail[offset:]) for offset in range(4))


def _some(text: str) -> bytes:
    try:
        return base64.b64decode(text[: len(text) // 4 * 4])
    except binascii.Error:
        return b""


def _document(
    segments: tuple[Segment, ...], pieces: list[str], kind: str, message: Message
) -> Document:
    place = f"{segments[0].place}-5"
    if kind == "pointer":
        url = message.piece(segments[0].raw(5), 1).strip()
        return Document(segments, Attachment("application/pdf", b"", "", place, url))
    word = _WORDS.get(kind, "document")
    try:
        content = b"".join(_decode(one) for one in _joined(pieces))
    except (binascii.Error, ValueError):
        return Document(segments, problem=f"the base64 of this {word} is broken")
    found = next((meant for start, meant in _MAGIC.items() if content.startswith(start)), "")
    if not content or (kind and found != kind):
        return Document(segments, problem=f"declared as {word} in base64, but it is not")
    if found == "application/pdf" and b"%%EOF" not in content[-_TAIL:]:
        return Document(segments, problem="this PDF is cut short: it has no end mark")
    return Document(segments, Attachment(found or "application/octet-stream", content, "", place))


def _joined(pieces: list[str]) -> list[str]:
    """Join pieces of one base64 text; a piece that ends in padding was encoded on its own."""
    joined = [pieces[0]]
    for piece in pieces[1:]:
        if joined[-1].rstrip().endswith("="):
            joined.append(piece)
        else:
            joined[-1] += piece
    return joined


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        # Line breaks, which strict decoding meets early; some senders leave the padding out.
        plain = _unbroken(text).rstrip("=")
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)


def _unbroken(text: str) -> str:
    """Take out the line breaks: splitting is much faster than a pattern on a long text."""
    text = "".join(text.split())
    return _BREAK.sub("", text) if "\\" in text else text


def _points(parts: list[str]) -> bool:
    kinds = {part.strip().lower().rpartition("/")[2] for part in parts[2:4]}
    return "pdf" in kinds and bool(_WEB.fullmatch(parts[0].strip()))
