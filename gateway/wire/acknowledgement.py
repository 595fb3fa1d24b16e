"""Acknowledgements: our own writer of ACK and ERR, and who wants which (HL7 v2 chapter 2, 2.9).

Original mode (MSH-15 and MSH-16 empty): one reply, AA, AE or AR. Enhanced mode: an accept
acknowledgement (CA, CE, CR) by MSH-15, and by MSH-16 an application acknowledgement, a message
of its own that comes when the work is done. An ACK swaps MSH-3/4 with MSH-5/6, copies MSH-11 and
MSH-12, and has a control id of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from gateway.errors import GatewayError, UnreadableMessage
from gateway.message import Delimiters
from gateway.wire.er7 import Header, read_header

_OLD_VERSIONS = ("2.1", "2.2", "2.3", "2.3.1", "2.4")
# MSA-1 (table 0008) when the sender asked for an accept acknowledgement in MSH-15.
_COMMIT = {"AA": "CA", "AE": "CE", "AR": "CR"}
_CONTROL = re.compile(r"[\x00-\x1f]")
_ANSWER = re.compile(rb"\rMSA.([AC][AER])", re.DOTALL)
_WHERE = re.compile(r"([A-Z][A-Z0-9]{2})(?:\[(\d+)\])?(?:-(\d+)(?:\.(\d+)(?:\.(\d+))?)?)?")
_LINE_END = re.compile(rb"[\r\n]+")
_BATCH_HEADERS = (b"FHS", b"BHS")
_ACKNOWLEDGEMENTS = frozenset({"ACK", "MCF"})
# Table 0155; whatever else stands there is taken for always.
_WHEN = {"AL": (True, True), "NE": (False, False), "ER": (False, True), "SU": (True, False)}


def is_acknowledgement(header: Header) -> bool:
    """Whether this message is itself a reply, which nobody must answer."""
    return header.first(9) in _ACKNOWLEDGEMENTS


def reply_code(header: Header | None, answer: str) -> str:
    """Return MSA-1 of the reply to send at once for this `answer` (AA, AE, AR); empty for none.

    What is refused is never worked on: where only MSH-16 asks, it is told so at once.
    """
    accept, application = _modes(header)
    if not accept and not application:
        return answer
    good = answer == "AA"
    if wants(accept, good):
        return _COMMIT[answer]
    return answer if not good and wants(application, good) else ""


def application_wanted(header: Header) -> str:
    """Return when an application acknowledgement is wanted: AL, ER, SU, or empty for never."""
    _, application = _modes(header)
    if application in ("", "NE"):
        return ""
    return application if application in _WHEN else "AL"


def _modes(header: Header | None) -> tuple[str, str]:
    if header is None:
        return "", ""
    return header.first(15).replace('""', ""), header.first(16).replace('""', "")


def wants(mode: str, good: bool) -> bool:
    """Whether a mode of table 0155 (AL, NE, ER, SU) wants to hear of this success or failure."""
    return _WHEN.get(mode or "NE", _WHEN["AL"])[0 if good else 1]


def acknowledge_batch(raw: bytes, replies: Sequence[bytes], *, control_id: str, now: str) -> bytes:
    """Mirror a batch: its FHS and BHS answered, a reply for each message, its counts (2.10.3)."""
    return b"".join(_mirrored(raw, replies, control_id, now))


def _mirrored(raw: bytes, replies: Sequence[bytes], control_id: str, now: str) -> Iterator[bytes]:
    waiting, written, batches = iter(replies), 0, 0
    for line in _LINE_END.split(raw):
        if line.startswith(_BATCH_HEADERS):
            yield _batch_header(line, control_id, now)
            written, batches = (0, batches + 1) if line.startswith(b"BHS") else (written, batches)
        elif line.startswith(b"MSH"):
            yield next(waiting, b"")
            written += 1
        elif line.startswith(b"BTS"):
            yield b"BTS%b%d\r" % (line[3:4] or b"|", written)
        elif line.startswith(b"FTS"):
            yield b"FTS%b%d\r" % (line[3:4] or b"|", batches)


def _batch_header(line: bytes, control_id: str, now: str) -> bytes:
    # BHS and FHS have the delimiters, parties and time where MSH has them.
    try:
        header = read_header(b"MSH" + line[3:])
    except UnreadableMessage:
        header = Header(Delimiters(), ("BHS", "|", "^~\\&"))
    sent = {number: _clean(header.raw(number)) for number in (3, 4, 5, 6, 11)}
    fields = [
        line[:3].decode("ascii"), _clean(header.raw(2)), sent[5], sent[6], sent[3], sent[4], now,
        "", "", "", control_id, sent[11],
    ]  # fmt: skip
    mark = header.delimiters.field
    return (mark.join(fields).rstrip(mark) + "\r").encode("latin-1")


def acknowledge(
    header: Header | None, answer: str, errors: Sequence[GatewayError], *, control_id: str, now: str
) -> bytes:
    """Write the ACK for one message: MSH, MSA and an ERR for each error.

    `answer` is the MSA-1 code (table 0008); `now` is an HL7 time. Without a readable header,
    MSA-2 is empty. Raises nothing, whatever the header holds.
    """
    header = header or Header(Delimiters(), ("MSH", "|", "^~\\&"))
    mark = header.delimiters
    old = header.version in _OLD_VERSIONS
    segments = [
        _msh(header, control_id, now),
        _msa(header, answer, errors, old),
        *(_err(error, mark, old) for error in errors),
    ]
    lines = (mark.field.join(segment).rstrip(mark.field) + "\r" for segment in segments)
    return "".join(lines).encode("latin-1")


def is_positive(reply: bytes) -> bool:
    """Whether every MSA of a reply that we wrote says AA or CA."""
    answers = set(_ANSWER.findall(reply))
    return bool(answers) and answers <= {b"AA", b"CA"}


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
        condition = header.delimiters.component.join([errors[0].code, "", "HL70357"])
        segment += [_escape(errors[0].text, header.delimiters), "", "", condition]
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
    return text if text.isprintable() else _CONTROL.sub("", text)


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
