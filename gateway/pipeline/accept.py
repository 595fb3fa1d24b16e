"""Accept: one frame to one reply, by the answer table of the design; nothing accepted is lost."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from gateway.errors import (
    GatewayError,
    StoreUnavailable,
    UnexpectedProcessingId,
    UnknownSender,
    UnsupportedEvent,
    UnsupportedMessage,
    UnsupportedVersion,
    error_of,
)
from gateway.identify import chi
from gateway.parse.er7 import header_of, split
from gateway.pipeline.acknowledge import Acknowledger
from gateway.pipeline.read import read
from gateway.source import Source
from gateway.store.inbox import Entry, Inbox
from gateway.store.tally import Tally
from gateway.translate.mapping import Mappings
from gateway.translate.sender import Sender
from gateway.wire.acknowledgement import (
    acknowledge,
    acknowledge_batch,
    application_wanted,
    is_acknowledgement,
    reply_code,
)
from gateway.wire.er7 import Header, from_start, read_header

log = logging.getLogger(__name__)

_LINE_END = re.compile(rb"[\r\n]")
_PATIENT = re.compile(rb"[\r\n](PID[^\r\n]*)")
_IDENTIFIER_FIELDS = (3, 2, 19)


@dataclass(frozen=True, slots=True)
class Arrival:
    """One frame as it came: its bytes, the source of the connection, when, and any defect."""

    raw: bytes
    source: Source
    received_at: int
    defect: GatewayError | None = None
    charset: str = ""


@dataclass(frozen=True, slots=True)
class Intake:
    """What acceptance needs: where to keep, whom we know, and fresh control ids.

    In `tally` the doors count what they receive and what they answer. `asking`
    are the sources that want application acknowledgements, which `acknowledger` writes.
    """

    inbox: Inbox
    mappings: Mappings
    new_control_id: Callable[[], str]
    tally: Tally = field(default_factory=Tally)
    acknowledger: Acknowledger | None = None
    asking: set[str] = field(default_factory=set)


def accept(arrival: Arrival, intake: Intake, *, must_keep: bool = False) -> bytes:
    """Keep one arrival and return its acknowledgement, or nothing where none is wanted.

    AA only after the bytes and their work are durable. With the store down nothing is kept and
    the answer is AE 207, or StoreUnavailable where the door `must_keep` or nothing may be said.
    Raises nothing else, whatever the bytes.
    """
    header: Header | None = None
    errors: list[GatewayError] = []
    entry = Entry(
        arrival.received_at, arrival.source.name, arrival.raw, "AA", b"",
        charset=arrival.charset, back_load=arrival.source.back_load,
    )  # fmt: skip
    try:
        header = header_of(arrival.raw)
        _describe(entry, header)
        if not is_acknowledgement(header):
            errors = _welcome(entry, arrival, header, intake)
    except GatewayError as error:
        errors = [arrival.defect or error]
    except Exception as error:
        log.exception("acceptance failed; the bytes are kept", extra={"source": entry.source})
        errors = [GatewayError()]
        errors[0].__cause__ = error
    if header and is_acknowledgement(header):
        return _note(entry, intake)
    return _answer(entry, header, errors, intake, must_keep)


def _note(entry: Entry, intake: Intake) -> bytes:
    """Keep an acknowledgement that was sent to us; to answer one would never end."""
    entry.state, entry.reason = "rejected", "acknowledgement"
    _count_silence(intake.inbox.keep(entry), intake)
    log.info("an acknowledgement was kept", extra={"source": entry.source})
    return b""


def _count_silence(kept: Entry, intake: Intake) -> None:
    """What is answered by nothing is answered once it is stored; doors count what they send."""
    if not kept.reply:
        intake.tally.answered(kept.source, kept.answer == "AA")


def _answer(
    entry: Entry,
    header: Header | None,
    errors: list[GatewayError],
    intake: Intake,
    must_keep: bool,
) -> bytes:
    if errors:
        entry.answer, entry.state = errors[0].answer, "rejected"
        entry.dedupe_key, entry.lanes = None, ()
        entry.reason = f"{type(errors[0]).__name__} {errors[0].where}".strip()
    elif header:
        entry.application_wanted = application_wanted(header)
        if entry.application_wanted:
            intake.asking.add(entry.source)
    entry.reply = _reply(entry, header, errors, intake)
    try:
        kept = intake.inbox.keep(entry)
    except StoreUnavailable as error:
        log.error("not kept: the store is unavailable", extra={"source": entry.source})  # noqa: TRY400 - the sender keeps it; a trace per frame would drown the log
        entry.answer = "AE"
        reply = _reply(entry, header, [error], intake)
        if must_keep or not reply:
            raise
        return reply
    _count_silence(kept, intake)
    log.info(
        "message",
        extra={"message_key": kept.key, "source": kept.source, "sender": kept.sender,
               "answer": kept.answer, "state": kept.state, "reason": kept.reason},
    )  # fmt: skip
    return kept.reply


def _reply(
    entry: Entry, header: Header | None, errors: Sequence[GatewayError], intake: Intake
) -> bytes:
    """Write the reply that is wanted at once; a batch is answered by a batch."""
    now = datetime.fromtimestamp(entry.received_at / 1e6, UTC).strftime("%Y%m%d%H%M%S+0000")
    code = reply_code(header, entry.answer)
    if not code:
        return b""
    parts = split(entry.raw) if entry.lanes else ()
    if parts in ((), (entry.raw,)):
        control_id = intake.new_control_id()
        return acknowledge(header, code, errors, control_id=control_id, now=now)
    replies = [
        acknowledge(read_header(part), code, errors, control_id=intake.new_control_id(), now=now)
        for part in parts
    ]
    return acknowledge_batch(entry.raw, replies, control_id=intake.new_control_id(), now=now)


def _describe(entry: Entry, header: Header) -> None:
    entry.sending_application, entry.sending_facility = header.first(3), header.first(4)
    entry.control_id, entry.type = header.control_id, header.type


def _welcome(entry: Entry, arrival: Arrival, header: Header, intake: Intake) -> list[GatewayError]:
    """Give the entry its sender, its key and its lanes; raises or returns what refuses it."""
    if arrival.defect:
        raise arrival.defect
    sender = _agreed(header, arrival.source, intake, "MSH")
    entry.sender = sender.name
    parts = split(arrival.raw)
    for number, part in enumerate(parts if len(parts) > 1 else (), 1):
        # A batch is one unit: each of its messages must be of the one sender, and agreed.
        if _agreed(read_header(part), arrival.source, intake, f"MSH[{number}]") is not sender:
            raise UnknownSender("a batch holds messages of one sender", where=f"MSH[{number}]-3")
    if not entry.charset and not header.first(18):
        entry.charset = arrival.source.charset
    if errors := _examined(parts, entry.charset, arrival.source, intake.mappings, sender):
        return errors
    entry.dedupe_key = _dedupe_key(arrival, header)
    entry.lanes = [_lane(part, entry) for part in parts]
    return []


def _agreed(header: Header, source: Source, intake: Intake, where: str) -> Sender:
    sender = intake.mappings.senders.find(header.first(3), header.first(4))
    if sender is None:
        raise UnknownSender(where=f"{where}-3")
    if source.senders and sender.name not in source.senders:
        raise UnknownSender("this connection may not send as this sender", where=f"{where}-3")
    if header.type not in sender.types:
        known = any(header.first(9) == one.partition("^")[0] for one in sender.types)
        raise (UnsupportedEvent if known else UnsupportedMessage)(where=f"{where}-9")
    if header.version not in sender.versions:
        raise UnsupportedVersion(where=f"{where}-12")
    if header.first(11) not in (source.processing_ids or sender.processing_ids):
        raise UnexpectedProcessingId(where=f"{where}-11")
    return sender


def _examined(
    parts: Sequence[bytes], charset: str, source: Source, mappings: Mappings, sender: Sender
) -> list[GatewayError]:
    """For a policy of `ae`: everything that would hold the message, before AA."""
    if (source.policy or sender.policy) != "ae":
        return []
    for raw in parts:
        holds = read(raw, mappings.by_name[sender.name], charset).holds
        if holds:
            return [error_of(str(one.hold), one.text, one.place) for one in holds]
    return []


def _dedupe_key(arrival: Arrival, header: Header) -> str:
    """Source, MSH-3, MSH-4, MSH-10 and the digest of all that follows MSH (ingest rule 3.3).

    What says how to read the rest (delimiters, type, version, character set) counts too: a
    message sent again with its character set put right is not a repeat. The time (MSH-7) is not.
    """
    fields = map(header.raw, (1, 2, 3, 4, 9, 10, 11, 12, 18))
    names = [arrival.source.name, arrival.charset, *fields]
    digest = hashlib.sha256("\0".join(names).encode("utf-8", "surrogatepass"))
    raw = from_start(arrival.raw)
    end = _LINE_END.search(raw)
    digest.update(memoryview(raw)[end.start() :] if end else b"")
    return digest.hexdigest()


def _lane(raw: bytes, entry: Entry) -> str:
    """One lane for each patient, as far as can be told now; else for each source and identifier."""
    found = list(_patient_identifiers(raw))
    for value in found:
        if chi.check(value) is chi.Verdict.VALID:
            return _hashed("chi", chi.normalise(value))
    return _hashed(entry.source, found[0] if found else hashlib.sha256(raw).hexdigest())


def _patient_identifiers(raw: bytes) -> Iterator[str]:
    """Yield the numbers in PID-3, PID-2 and PID-19: enough for a lane, without reading the rest."""
    line = _PATIENT.search(raw)
    if line is None:
        return
    mark = header_of(raw).delimiters
    fields = line.group(1).decode("latin-1").split(mark.field)
    for number in _IDENTIFIER_FIELDS:
        field = fields[number] if number < len(fields) else ""
        for one in field.split(mark.repetition) if mark.repetition else [field]:
            if value := one.split(mark.component)[0].strip():
                yield value


def _hashed(*words: str) -> str:
    return hashlib.sha256("\0".join(words).encode()).hexdigest()[:32]
