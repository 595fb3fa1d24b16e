"""HL7 v2 ER7 text to a `Message`: tolerant of shape, strict about characters.

CR, LF and CRLF end segments (recorded); Z segments are kept; the character set is MSH-18
(table 0211), else the source's own, and is decoded strictly: nothing is ever replaced.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache

from gateway.errors import FusedMessages, GatewayError, InvalidValue, MissingSegment
from gateway.message import Message, Segment, parse_path
from gateway.parse.charset import codec_of, decode
from gateway.wire.er7 import Header, from_start, read_header

_NAME = re.compile(r"[A-Z][A-Z0-9]{2}")
_BATCH_STARTS = (b"FHS", b"BHS")
_BATCH = (*_BATCH_STARTS, b"BTS", b"FTS")
_ENDINGS = {b"\r": "CR", b"\n": "LF", b"\r\n": "CRLF"}
_FIRST_ENDING = re.compile(rb"\r\n|\r|\n")


def split(raw: bytes) -> tuple[bytes, ...]:
    """Return the messages of a batch (FHS/BHS), or the one message; raises FusedMessages.

    A batch without messages, or with other counts than its BTS and FTS declare, stays whole,
    and `parse` says what is wrong with it (chapter 2, 2.10.3: the batch is one unit).
    """
    if not _is_batch(raw):
        _refuse_fused(raw)
        return (raw,)
    lines, ending = _lines(raw)
    starts = [number for number, line in enumerate(lines) if line.startswith(b"MSH")]
    if not starts or not _counts_agree(lines, len(starts)):
        return (raw,)
    mark = next(key for key, name in _ENDINGS.items() if name == ending)
    messages = []
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        body = [line for line in lines[start:end] if line and not line.startswith(_BATCH)]
        messages.append(mark.join(body) + mark)
        _refuse_fused(messages[-1])
    return tuple(messages)


def _is_batch(raw: bytes) -> bool:
    return from_start(raw[:64]).startswith(_BATCH_STARTS)


def _refuse_fused(raw: bytes) -> None:
    """Find a second MSH after any line end, also one that does not end this message's lines."""
    first = raw.find(b"MSH")
    for mark in {b"MSH|", raw[first : first + 4]}:
        at = raw.find(mark, first + 4)
        while at > 0:
            if raw[at - 1] < 0x20:
                raise FusedMessages(where="MSH[2]")
            at = raw.find(mark, at + 4)


def _counts_agree(lines: Sequence[bytes], messages: int) -> bool:
    """Whether BTS-1 adds up to the messages and FTS-1 to the batches; an empty count is silent."""
    separator = lines[0][3:4]
    batches = max(1, sum(line.startswith(b"BHS") for line in lines))
    declared = [_count(line, separator) for line in lines if line.startswith(b"BTS")]
    files = [_count(line, separator) for line in lines if line.startswith(b"FTS")]
    silent = not declared or None in declared
    return (silent or sum(count or 0 for count in declared) == messages) and all(
        count in (None, batches) for count in files
    )


def _count(line: bytes, separator: bytes) -> int | None:
    digits = [*line.split(separator), b""][1].strip() if separator else b""
    if not digits:
        return None
    return int(digits) if digits.isdigit() and len(digits) < 10 else -1


def parse(raw: bytes, default_charset: str = "UTF-8", charset: str = "") -> Message:
    """Read one message; `charset` (from HTTP) wins over MSH-18.

    Raises UnreadableMessage, FusedMessages, InvalidCharset (naming the segment), InvalidValue
    (naming the line) or MissingSegment (a batch that could not be split).
    """
    if _is_batch(raw):
        raise MissingSegment("the batch does not hold what it counts", where="BTS-1")
    header = read_header(raw)
    _refuse_fused(raw)
    codec = codec_of(charset or header.first(18) or default_charset)
    lines, ending = _lines(raw)
    counts: dict[str, int] = {}
    mark = header.delimiters
    marks = mark.field, mark.field.encode("latin-1"), mark.escape.encode("latin-1")
    segments = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            segments.append(_segment(line, number, counts, codec, marks))
    return Message(tuple(segments), header.delimiters, codec, ending,
                   hashlib.sha256(raw).hexdigest())  # fmt: skip


def _segment(
    line: bytes, number: int, counts: dict[str, int], codec: str, marks: tuple[str, bytes, bytes]
) -> Segment:
    separator, edge, escape = marks
    name = line[:3].decode("latin-1")
    known = name in counts or _NAME.fullmatch(name)
    if not known or line[3:4] not in (b"", edge):
        raise InvalidValue("not a segment", where=f"line {number}")
    counts[name] = counts.get(name, 0) + 1
    where = f"{name}[{counts[name]}]"
    if b"\0" in line:
        raise InvalidValue("a NUL is not text", where=where)
    fields = decode(line, codec, escape, where).split(separator)
    if name == "MSH":
        fields.insert(1, separator)
    return Segment(name, counts[name], tuple(fields))


def header_of(raw: bytes) -> Header:
    """Read the header of a message or of the first message of a batch."""
    if not _is_batch(raw):
        return read_header(raw)
    first = next((line for line in _lines(raw)[0] if line.startswith(b"MSH")), b"")
    return read_header(first)


def _lines(raw: bytes) -> tuple[list[bytes], str]:
    """Split into lines, and name the line end of the first.

    CR and CRLF always end a line; LF alone does where the first line ends so, and is text
    elsewhere.
    """
    text = from_start(raw)
    first = _FIRST_ENDING.search(text)
    ending = _ENDINGS[first.group()] if first else "CR"
    if b"\n" in text:
        text = text.replace(b"\r\n", b"\r")
        if ending != "CR":
            text = text.replace(b"\n", b"\r")
    return text.split(b"\r"), ending


@lru_cache(maxsize=512)
def field_name(path: str) -> str:
    """Return the standard's name of a field (`PID-3` → Patient Identifier List), or ''."""
    from hl7apy import load_library  # 30 MB of tables, for diagnostics only

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
    except (HL7apyException, LookupError, ValueError, AttributeError, TypeError):
        # It also fails in ways of its own on what it cannot place.
        return [MissingSegment("not of the structure that the standard gives this message")]
    return []
