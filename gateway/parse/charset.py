r"""Character sets of HL7 v2: table 0211, and changes inside a message by `\C..\` and `\M..\`.

Bytes are decoded strictly: nothing is ever replaced. UTF-16 and UTF-32 cannot travel over MLLP.
"""

from __future__ import annotations

import re

from gateway.errors import InvalidCharset

# Table 0211, and the internet's names for the same sets (HTTP uses them).
_LATIN = [number for number in range(1, 16) if number != 12]
_CODECS = {
    "ASCII": "ascii", "US-ASCII": "ascii", "UNICODE UTF-8": "utf-8", "UNICODE": "utf-8",
    "UTF-8": "utf-8", "UTF8": "utf-8", "ISO IR14": "iso2022_jp", "ISO IR87": "iso2022_jp",
    "ISO IR159": "iso2022_jp_1", "GB 18030-2000": "gb18030", "GB18030": "gb18030",
    "KS X 1001": "euc_kr", "EUC-KR": "euc_kr", "BIG-5": "big5", "BIG5": "big5",
    "WINDOWS-1252": "cp1252",
    **{f"8859/{number}": f"iso8859-{number}" for number in _LATIN},
    **{f"ISO-8859-{number}": f"iso8859-{number}" for number in _LATIN},
}  # fmt: skip
# Chapter 2, 2.7.2: the escape sequence in hexadecimal, and the codec of what follows it.
_CHANGES = {
    b"C2842": "ascii", b"C2D41": "iso8859-1", b"C2D42": "iso8859-2", b"C2D43": "iso8859-3",
    b"C2D44": "iso8859-4", b"C2D4C": "iso8859-5", b"C2D47": "iso8859-6", b"C2D46": "iso8859-7",
    b"C2D48": "iso8859-8", b"C2D4D": "iso8859-9", b"M2442": "iso2022_jp",
    b"M242844": "iso2022_jp_1",
}  # fmt: skip
_CHANGE = re.compile(rb"([CM](?:[0-9A-Fa-f]{2}){2,3})")


def codec_of(name: str) -> str:
    """Return Python's codec for a name of table 0211; raises InvalidCharset."""
    codec = _CODECS.get(name.strip().upper())
    if not codec:
        raise InvalidCharset("this character set is not supported", where="MSH-18")
    return codec


def decode(line: bytes, codec: str, mark: bytes, where: str) -> str:
    r"""Decode one segment; `mark` is the escape character, at which `\C..\` changes the set.

    A change lasts to the end of the field. Raises InvalidCharset that names the segment.
    """
    try:
        if mark and mark in line and (mark + b"C" in line or mark + b"M" in line):
            return _decode_changing(line, codec, mark, where)
        return line.decode(codec)
    except UnicodeDecodeError as error:
        text = "ASCII was declared and other bytes were sent" if codec == "ascii" else ""
        raise InvalidCharset(text, where=where) from error


def _decode_changing(line: bytes, codec: str, mark: bytes, where: str) -> str:
    """Decode the pieces between changes, each in its own set to the end of its field."""
    edge = re.escape(mark)
    pieces = re.split(edge + _CHANGE.pattern + edge, line)
    text = pieces[0].decode(codec)
    separator = line[3:4]
    for change, piece in zip(pieces[1::2], pieces[2::2], strict=True):
        changed = _CHANGES.get(change.upper())
        if changed is None:
            raise InvalidCharset("this change of character set is not supported", where=where)
        double = change[:1] == b"M"
        end = _end_of_field(piece, separator, 2 if double else 1)
        said = piece[:end]
        if double:
            said = b"\x1b" + bytes.fromhex(change[1:].decode("ascii")) + said + b"\x1b(B"
        text += said.decode(changed) + piece[end:].decode(codec)
    return text


def _end_of_field(piece: bytes, separator: bytes, width: int) -> int:
    """Find the separator that is no half of a character."""
    places = range(0, len(piece), width)
    return next((at for at in places if piece[at : at + 1] == separator), len(piece))
