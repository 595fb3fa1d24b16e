"""ER7 text: the header that acceptance and every reply need.

HL7 v2 chapter 2: MSH-1 and MSH-2 give the delimiters. MSH is read and written as Latin-1, so
that whatever bytes a sender put there come back to it unchanged.
"""

from __future__ import annotations

import re
import string
from dataclasses import dataclass

from gateway.errors import UnreadableMessage
from gateway.message import Delimiters

_LINE_END = re.compile(rb"\r|\n")
_HEADER_BYTES_MAX = 65_536
_HEADER_FIELDS_MAX = 30


@dataclass(frozen=True, slots=True)
class Header:
    """MSH, read as Latin-1: what acceptance and the reply need."""

    delimiters: Delimiters
    fields: tuple[str, ...]

    def raw(self, number: int) -> str:
        """Return MSH-`number`, as sent."""
        return self.fields[number] if number < len(self.fields) else ""

    def first(self, number: int, component: int = 1) -> str:
        """Return one component of the first repetition of MSH-`number`."""
        text, mark = self.raw(number), self.delimiters
        if mark.repetition and mark.repetition in text:
            text = text.split(mark.repetition)[0]
        if mark.component not in text:
            return text.strip() if component == 1 else ""
        parts = text.split(mark.component)
        return parts[component - 1].strip() if component <= len(parts) else ""

    @property
    def type(self) -> str:
        """MSH-9.1 and MSH-9.2: `ORU^R01`; `ACK` alone where there is no event."""
        event = self.first(9, 2)
        return f"{self.first(9)}^{event}" if event else self.first(9)

    @property
    def control_id(self) -> str:
        """MSH-10, byte for byte."""
        return self.raw(10)

    @property
    def version(self) -> str:
        """MSH-12.1."""
        return self.first(12)


def from_start(raw: bytes) -> bytes:
    """Leave out what editors put before a message: a byte order mark, empty lines."""
    return raw.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n")


def read_header(raw: bytes) -> Header:
    """Read the first segment, which must be MSH; raises UnreadableMessage."""
    start = from_start(raw[:_HEADER_BYTES_MAX])
    end = _LINE_END.search(start)
    if end is None and len(raw) > _HEADER_BYTES_MAX:
        raise UnreadableMessage("MSH does not end", where="MSH")
    line = start[: end.start() if end else len(start)].decode("latin-1")
    if not line.startswith("MSH") or len(line) < 5:
        raise UnreadableMessage(where="MSH")
    fields = line[4:].split(line[3], _HEADER_FIELDS_MAX)
    return Header(_delimiters(line[3], fields[0]), ("MSH", line[3], *fields))


def _delimiters(separator: str, encoding: str) -> Delimiters:
    """Read MSH-1 and MSH-2: one to five marks, the fifth (2.7: truncation) is not used here."""
    if separator not in string.punctuation:
        raise UnreadableMessage("MSH-1 is not a field separator", where="MSH-1")
    distinct = len(set(encoding)) == len(encoding)
    if not 1 <= len(encoding) <= 5 or not distinct or set(encoding) - set(string.punctuation):
        raise UnreadableMessage("MSH-2 does not name the delimiters", where="MSH-2")
    return Delimiters(separator, *(encoding[at : at + 1] for at in range(4)))
