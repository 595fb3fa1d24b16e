"""ER7 text: the header that every reply needs, and our own ACK and ERR writer.

HL7 v2 chapter 2: MSH-1 and MSH-2 give the delimiters; an ACK swaps MSH-3/4 with MSH-5/6,
copies MSH-11 and MSH-12, and has a control id of its own. MSH is read and written as Latin-1,
so that whatever bytes a sender put there come back to it unchanged.
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.errors import GatewayError, UnreadableMessage
from gateway.message import Delimiters

_LINE_END = re.compile(rb"\r|\n")
_HEADER_BYTES_MAX = 65_536
_HEADER_FIELDS_MAX = 30
_OLD_VERSIONS = ("2.1", "2.2", "2.3", "2.3.1", "2.4")
# MSA-1 (table 0008) when the sender asked for an accept acknowledgement in MSH-15.
_COMMIT = {"AA": "CA", "AE": "CE", "AR": "CR"}
_CONTROL = re.compile(r"[\x00-\x1f]")
_WHERE = re.compile(r"([A-Z][A-Z0-9]{2})(?:\[(\d+)\])?(?:-(\d+)(?:\.(\d+)(?:\.(\d+))?)?)?")


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
        text = self.raw(number)
        if self.delimiters.repetition:
            text = text.split(self.delimiters.repetition)[0]
        parts = text.split(self.delimiters.component)
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


def acknowledge(
    header: Header | None, answer: str, errors: Sequence[GatewayError], *, control_id: str, now: str
) -> bytes:
    """Write the ACK for one message: MSH, MSA and an ERR for each error.

    `answer` is AA, AE or AR and becomes CA, CE or CR where MSH-15 asks for an accept
    acknowledgement (2.9.3.1); `now` is an HL7 time. Without a readable header, MSA-2 is empty.
    """
    header = header or Header(Delimiters(), ("MSH", "|", "^~\\&"))
    mark = header.delimiters
    old = header.version in _OLD_VERSIONS
    if header.first(15) not in ("", "NE", '""'):
        answer = _COMMIT[answer]
    segments = [
        _msh(header, control_id, now),
        _msa(header, answer, errors, old),
        *(_err(error, mark, old) for error in errors),
    ]
    lines = (mark.field.join(segment).rstrip(mark.field) + "\r" for segment in segments)
    return "".join(lines).encode("latin-1")


def _msh(header: Header, control_id: str, now: str) -> list[str]:
    event = _clean(header.first(9, 2))
    names = ["ACK", event] if header.version in ("2.2", "2.3") else ["ACK", event, "ACK"]
    kind = header.delimiters.component.join(names) if event and header.version != "2.1" else "ACK"
    clean = {number: _clean(header.raw(number)) for number in (3, 4, 5, 6, 11, 12, 18)}
    return [
        "MSH", _clean(header.raw(2)), clean[5], clean[6], clean[3], clean[4], now, "", kind,
        control_id, clean[11] or "P", clean[12] or "2.5.1", "", "", "", "", "", clean[18],
    ]  # fmt: skip


def _msa(header: Header, answer: str, errors: Sequence[GatewayError], old: bool) -> list[str]:
    segment = ["MSA", answer, _clean(header.control_id)]
    if old and errors:
        segment += [_escape(errors[0].text, header.delimiters)]
    return segment


def _err(error: GatewayError, mark: Delimiters, old: bool) -> list[str]:
    place = _WHERE.fullmatch(error.where)
    location = [part or "" for part in place.groups()] if place else []
    if location and not location[1]:
        location[1] = "1"
    if old:
        # ERR-1: segment^sequence^field^code and text
        position = ([*location, "", "", ""])[:3]
        return ["ERR", mark.component.join([*position, error.code])]
    if location and location[2]:
        location = [*location[:3], "1", *location[3:]]
    where = mark.component.join(location).rstrip(mark.component)
    text = _escape(f"{error.text} ({error.where})" if error.where else error.text, mark)
    code = mark.component.join([error.code, "", "HL70357"])
    return ["ERR", "", where, code, "E", "", "", "", text]


def _clean(text: str) -> str:
    """Drop control characters, so that nothing echoed can start a segment or end a frame."""
    return _CONTROL.sub("", text)


def _escape(text: str, mark: Delimiters) -> str:
    out = _CONTROL.sub(" ", text).encode("ascii", "replace").decode("ascii")
    if not mark.escape:
        return "".join(" " if char in "|^~\\&" else char for char in out)
    out = out.replace(mark.escape, f"{mark.escape}E{mark.escape}")
    for letter, char in zip(
        "FSRT", (mark.field, mark.component, mark.repetition, mark.subcomponent), strict=True
    ):
        if char:
            out = out.replace(char, f"{mark.escape}{letter}{mark.escape}")
    return out
