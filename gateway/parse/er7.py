"""HL7 v2 ER7 text to a `Message`: tolerant of shape, strict about characters.

CR, LF and CRLF end segments (recorded); Z segments are kept; the character set is MSH-18
(table 0211), else the source's own, and is decoded strictly: nothing is ever replaced.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache

from gateway.errors import FusedMessages, GatewayError, InvalidCharset, InvalidValue, MissingSegment
from gateway.message import Message, Segment, parse_path
from gateway.wire.er7 import Header, read_header

# Table 0211. UTF-16 and UTF-32 cannot travel over MLLP, so they are refused.
_CODECS = {
    "": "", "ASCII": "ascii", "UNICODE UTF-8": "utf-8", "UNICODE": "utf-8", "UTF-8": "utf-8",
    "UTF8": "utf-8", "ISO IR14": "iso2022_jp", "ISO IR87": "iso2022_jp", "ISO IR159": "iso2022_jp",
    "GB 18030-2000": "gb18030", "KS X 1001": "euc_kr", "BIG-5": "big5", "WINDOWS-1252": "cp1252",
    **{f"8859/{number}": f"iso8859-{number}" for number in range(1, 16) if number != 12},
}  # fmt: skip
_NAME = re.compile(r"[A-Z][A-Z0-9]{2}")
_BATCH = (b"FHS", b"BHS", b"BTS", b"FTS")


def split(raw: bytes) -> tuple[bytes, ...]:
    """Return the messages of a batch (FHS/BHS), or the one message; raises FusedMessages."""
    ending = _line_ending(raw)
    lines = raw.split(ending)
    starts = [number for number, line in enumerate(lines) if line.startswith(b"MSH")]
    batch = raw.lstrip(b"\r\n").startswith(_BATCH[:2])
    if not batch:
        if len(starts) > 1:
            raise FusedMessages(where="MSH[2]")
        return (raw,)
    messages = []
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        body = [line for line in lines[start:end] if line and not line.startswith(_BATCH)]
        messages.append(ending.join(body) + ending)
    return tuple(messages)


def parse(raw: bytes, default_charset: str = "UTF-8", charset: str = "") -> Message:
    """Read one message; `charset` (from HTTP) wins over MSH-18.

    Raises UnreadableMessage, FusedMessages, InvalidCharset (naming the segment) or InvalidValue
    (naming the line).
    """
    header = read_header(raw)
    ending = _line_ending(raw)
    codec = _codec(charset or header.first(18) or default_charset)
    separator = header.delimiters.field
    counts: dict[str, int] = {}
    segments = []
    for number, line in enumerate(raw.split(ending), 1):
        if not line.strip():
            continue
        name = line[:3].decode("latin-1")
        if not _NAME.fullmatch(name) or line[3:4].decode("latin-1") not in ("", separator):
            raise InvalidValue("not a segment", where=f"line {number}")
        counts[name] = counts.get(name, 0) + 1
        text = _decode(line, codec, f"{name}[{counts[name]}]")
        fields = text.split(separator)
        if name == "MSH":
            fields.insert(1, separator)
        segments.append(Segment(name, counts[name], tuple(fields)))
    if counts.get("MSH", 0) > 1:
        raise FusedMessages(where="MSH[2]")
    endings = {b"\r": "CR", b"\n": "LF", b"\r\n": "CRLF"}
    return Message(tuple(segments), header.delimiters, codec, endings[ending],
                   hashlib.sha256(raw).hexdigest())  # fmt: skip


def header_of(raw: bytes) -> Header:
    """Read the header of a message or of the first message of a batch."""
    return (
        read_header(split(raw)[0])
        if raw.lstrip(b"\r\n").startswith(_BATCH[:2])
        else (read_header(raw))
    )


def _line_ending(raw: bytes) -> bytes:
    """CR unless the header line ends otherwise: an LF inside a CR message is text."""
    carriage, line_feed = raw.find(b"\r"), raw.find(b"\n")
    if carriage >= 0 and line_feed == carriage + 1:
        return b"\r\n"
    if line_feed >= 0 and (carriage < 0 or line_feed < carriage):
        return b"\n"
    return b"\r"


def _codec(name: str) -> str:
    codec = _CODECS.get(name.strip().upper())
    if not codec:
        raise InvalidCharset("this character set is not supported", where="MSH-18")
    return codec


def _decode(line: bytes, codec: str, where: str) -> str:
    try:
        return line.decode(codec)
    except UnicodeDecodeError as error:
        if codec == "ascii":
            raise InvalidCharset(
                "ASCII was declared and other bytes were sent", where=where
            ) from error
        raise InvalidCharset(where=where) from error


@lru_cache(maxsize=512)
def field_name(path: str) -> str:
    """Return the standard's name of a field (`PID-3` → Patient Identifier List), or ''."""
    from hl7apy import load_library

    where = parse_path(path)
    entry = load_library("2.5.1").SEGMENTS.get(where.segment)
    for name, reference, *_ in entry[1] if entry else ():
        if name == f"{where.segment}_{where.field}":
            return str(reference[3]).replace("_", " ").title()
    return ""


def structure_errors(raw: bytes) -> list[GatewayError]:
    """Check a message against the standard's structure with hl7apy, for senders that ask."""
    from hl7apy.exceptions import HL7apyException
    from hl7apy.parser import parse_message
    from hl7apy.validation import Validator

    text = raw.decode("latin-1").replace("\r\n", "\r").replace("\n", "\r")
    try:
        Validator.validate(parse_message(text, find_groups=True))
    except HL7apyException:
        return [MissingSegment("not of the structure that the standard gives this message")]
    return []
