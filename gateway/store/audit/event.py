"""One audit event, and the line of a journal that holds it.

A line is a JSON object. Its first member is `digest`: SHA-256 of the digest of the line before
and of the rest of the line, so that each line vouches for all before it. The first line of a
segment names the segment and the digest with which the segment before it ended.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, fields
from typing import Any

import orjson

from gateway.errors import StoreUnavailable

START = "0" * 64
"""What stands for the digest of the line before the first."""

_LINE = re.compile(rb'\{"digest":"([0-9a-f]{64})",(.*)\n')


@dataclass(frozen=True, slots=True)
class Event:
    """One interaction, allowed or refused; `time` in microseconds since 1970 UTC.

    `client` is the client id, empty when nobody known asked; `person` the Person.id who sat
    there; `subject` a name that somebody typed at a command. `target` is `Type`, `Type/id` or
    `Type/id/_history/n`, or what else was acted on; `query` the search as asked; `returned` the
    references that were handed over; `patient` the Patient id concerned, where it is known;
    `status` the HTTP status; `purpose` a code of v3 PurposeOfUse; `address` where it came from;
    `token` the beginning of the digest of the access token; `detail` never patient data.
    """

    time: int
    client: str
    interaction: str
    target: str
    status: int
    query: str = ""
    returned: tuple[str, ...] = ()
    subject: str = ""
    purpose: str = ""
    person: str = ""
    patient: str = ""
    address: str = ""
    token: str = ""
    detail: str = ""


_REQUIRED = ("time", "client", "interaction", "target", "status")
_OPTIONAL = tuple(one.name for one in fields(Event) if one.name not in _REQUIRED)


@dataclass(frozen=True, slots=True)
class Head:
    """The first line of a segment: its name, the process, and how the one before it ended."""

    segment: str
    after: str
    host: str
    time: int


def write_line(previous: str, event: Event | Head) -> tuple[str, bytes]:
    """Return the digest of a line and the line."""
    return _line(previous, _body(event) if isinstance(event, Event) else orjson.dumps(event))


def _line(previous: str, body: bytes) -> tuple[str, bytes]:
    digest = hashlib.sha256(previous.encode() + body).hexdigest()
    return digest, b'{"digest":"%s",%s\n' % (digest.encode(), body[1:])


def _body(event: Event) -> bytes:
    content: dict[str, Any] = {
        "time": event.time,
        "client": event.client,
        "interaction": event.interaction,
        "target": event.target,
        "status": event.status,
    }
    for name in _OPTIONAL:
        if value := getattr(event, name):
            content[name] = value
    return orjson.dumps(content)


def claimed(line: bytes) -> str:
    """Return the digest that a line claims for itself; empty when it is no line of a journal."""
    found = _LINE.fullmatch(line)
    return found[1].decode() if found else ""


def follows(previous: str, line: bytes) -> bool:
    """Whether a line is sound, and the next after the line of digest `previous`."""
    found = _LINE.fullmatch(line)
    if not found:
        return False
    return hashlib.sha256(previous.encode() + b"{" + found[2]).hexdigest().encode() == found[1]


def read_line(line: bytes) -> Event | Head:
    """Read a line; raises StoreUnavailable when it cannot be understood."""
    try:
        content = orjson.loads(line)
        kind = Head if "segment" in content else Event
        names = {one.name for one in fields(kind)}
        # What a newer release says besides is passed over.
        known = {name: value for name, value in content.items() if name in names}
        if "returned" in known:
            known["returned"] = tuple(known["returned"])
        return kind(**known)
    except (orjson.JSONDecodeError, TypeError, KeyError, AttributeError) as error:
        raise StoreUnavailable("a line of the audit journal cannot be read") from error


def read_sound(line: bytes) -> Event | Head | None:
    """Read a line of whoever wrote it; None when it cannot be understood."""
    try:
        return read_line(line)
    except StoreUnavailable:
        return None
