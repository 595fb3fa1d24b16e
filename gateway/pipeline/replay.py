"""Replay after a mapping fix: read a part again from its raw bytes, and file what it says now.

Every replay is tried in a savepoint, so that the difference shown is what filing itself gives,
not a guess at it. A held part is filed at once. Where a part was filed before and what is
published would change, a person only proposes; a second one confirms just that difference
(safety.md 12), and it becomes new versions: an amended report, with its history.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from enum import StrEnum

from gateway.errors import (
    Forbidden,
    GatewayError,
    Hold,
    IdentityHold,
    InvalidRequest,
    NotFound,
    StoreUnavailable,
    VersionConflict,
)
from gateway.pipeline.decide import Decision, at, locked, persist, record, refuse_purged
from gateway.pipeline.difference import Difference, differences, digest_of
from gateway.pipeline.file import (
    Office,
    file_translation,
    held_before,
    keep_documents,
    name_reports,
    noted,
    read_part,
    urgency,
    why_held,
)
from gateway.pipeline.flags import laboratory_key
from gateway.report import Notice, Translation
from gateway.store import decisions, reports, work
from gateway.store.changes import changes, roles
from gateway.store.database import Connection
from gateway.store.decisions import Locked
from gateway.store.resources import note_saved
from gateway.store.work import Part
from gateway.translate.mapping import SenderMapping

log = logging.getLogger(__name__)

_STEP = 100


class Result(StrEnum):
    """What became of a replay."""

    UNCHANGED = "unchanged"
    HELD = "held"
    WOULD = "would change"
    PROPOSED = "proposed"
    FILED = "filed"


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay of one part did or, without a decision, would do.

    `notices` say why it would be held; it then stays what it was. `number` counts from one.
    """

    message_key: int
    number: int
    was: str
    result: Result
    differences: tuple[Difference, ...] = ()
    notices: tuple[Notice, ...] = ()
    digest: str = ""


@dataclass(frozen=True, slots=True)
class _Reading:
    part: Part
    translation: Translation
    mapping: SenderMapping | None
    was: str


@dataclass(frozen=True, slots=True)
class _Tried:
    translation: Translation
    outcome: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()
    digest: str = ""

    @property
    def holds(self) -> tuple[Notice, ...]:
        return tuple(self.translation.holds)


def replay(office: Office, part_key: int, decision: Decision | None = None) -> Replayed:
    """Read a held or filed part again and file it, propose that, or (undecided) only look.

    Raises NotFound, and InvalidRequest when the part is neither held nor filed.
    """
    return _replay(office, part_key, decision, "")


def confirm(office: Office, digest: str, decision: Decision) -> Replayed:
    """Carry out a replay that somebody else proposed, if it still makes just that difference.

    Raises NotFound when nothing is proposed under this digest, Forbidden when the same person
    proposed it, InvalidRequest when the difference is another one by now.
    """
    with office.database.read() as connection:
        proposed = decisions.proposed(connection, digest)
    if not proposed:
        raise NotFound("nothing is proposed under this digest", where="--confirm")
    return _replay(office, proposed[0][0], decision, digest)


def replayable(office: Office, state: str, *, sender: str = "", reason: str = "") -> Iterator[int]:
    """Yield the parts of a sender in a state: held ones in their order, filed ones newest first.

    Of several versions of a report the newest stands, so it is the one to look at first.
    """
    after, newest_first = 0, state == "filed"
    while True:
        with office.database.read() as connection:
            found = decisions.chosen(
                connection, state, sender=sender, reason=reason, after=after,
                newest_first=newest_first, limit=_STEP,
            )  # fmt: skip
        yield from found
        if len(found) < _STEP:
            return
        after = found[-1]


def _replay(office: Office, part_key: int, decision: Decision | None, digest: str) -> Replayed:
    reading = _read(office, part_key)
    if decision and (digest or reading.was == "held"):
        keep_documents(office, reading.translation)
    try:
        return persist(lambda: _once(office, reading, decision, digest))
    except GatewayError:
        raise
    except Exception:
        log.exception("a replay failed; nothing changed", extra={"part": part_key})
        notice = Notice("", "the gateway failed on this message", Hold.DEFECT)
        return Replayed(
            reading.part.message_key, reading.part.ordinal + 1, reading.was, Result.HELD,
            notices=(notice,),
        )  # fmt: skip


def _read(office: Office, part_key: int) -> _Reading:
    with office.database.read() as connection:
        known = decisions.look(connection, part_key)
        if known is None:
            raise NotFound("there is no such part", where=f"part {part_key}")
        refuse_purged(known)
        part = work.bring(connection, part_key)
    mapping = office.mappings.by_name.get(part.sender)
    return _Reading(part, read_part(part, mapping), mapping, known.state)


def _once(office: Office, reading: _Reading, decision: Decision | None, digest: str) -> Replayed:
    now = office.clock()
    with office.database.write() as connection:
        part = locked(connection, reading.part.key)
        if part.state not in ("held", "filed"):
            raise InvalidRequest(f"it is {part.state}: nothing to replay", where=at(part))
        if digest and decision:
            _second_person(connection, part, decision, digest)
        savepoint = connection.begin_nested()
        tried = _try(connection, office, reading, part, now)
        result = _result(part, tried, decision, digest)
        if result is Result.FILED:
            savepoint.commit()
        else:
            savepoint.rollback()
        if decision:
            _carry_out(connection, office, reading.part, part, tried, result, decision, now)
    return Replayed(
        part.message_key, part.ordinal + 1, part.state, result, tried.differences, tried.holds,
        tried.digest if result in (Result.WOULD, Result.PROPOSED) else "",
    )  # fmt: skip


def _second_person(connection: Connection, part: Locked, decision: Decision, digest: str) -> None:
    proposers = [who for key, who in decisions.proposed(connection, digest) if key == part.key]
    if not proposers:
        raise NotFound("nothing is proposed under this digest", where="--confirm")
    if all(decision.same_person(who) for who in proposers):
        raise Forbidden("a second person must confirm this", where="--who")


def _result(part: Locked, tried: _Tried, decision: Decision | None, digest: str) -> Result:
    if digest and digest != tried.digest:
        raise InvalidRequest(
            "the difference is not the one that was proposed: replay it again", where=at(part)
        )
    if tried.holds:
        return Result.HELD
    if part.state == "filed" and not tried.differences:
        return Result.UNCHANGED
    if decision is None:
        return Result.WOULD
    return Result.FILED if part.state == "held" or digest else Result.PROPOSED


def _try(
    connection: Connection, office: Office, reading: _Reading, part: Locked, now: int
) -> _Tried:
    """File a reading inside a savepoint, and tell what that changed or why it is held."""
    translation, mapping = reading.translation, reading.mapping
    if translation.holds or mapping is None:
        return _Tried(translation)
    if notice := _refused(connection, reading.part, part, translation, mapping):
        return _Tried(_with(translation, notice))
    saved = note_saved(connection)
    try:
        outcome = file_translation(connection, reading.part, office, translation, mapping, now)
    except (VersionConflict, StoreUnavailable):
        raise
    except GatewayError as error:
        reason = error.reason if isinstance(error, IdentityHold) else error.hold
        return _Tried(_with(translation, Notice(error.where, error.text, reason)))
    if set(part.outcome) - set(outcome) and part.state == "filed":
        text = "it no longer names what was filed from it: the laboratory must withdraw that"
        return _Tried(_with(translation, Notice("", text, Hold.REPORT_UNKNOWN)))
    found = changes(connection, saved)
    return _Tried(
        translation, tuple(outcome), differences(found, roles(connection, _owners(
            connection, translation))), digest_of(part.key, found),
    )  # fmt: skip


def _refused(
    connection: Connection, part: Part, known: Locked, translation: Translation,
    mapping: SenderMapping,
) -> Notice | None:  # fmt: skip
    if known.state == "filed" and translation.merges:
        text = "a merge is not replayed: somebody may have undone it"
        return Notice("MRG", text, Hold.PATIENT_MISMATCH)
    if known.state == "held" and held_before(connection, part, mapping.sender, translation):
        text = "an earlier message about this report is held: decide on that first"
        return Notice("", text, Hold.REPORT_ORDER)
    return None


def _owners(connection: Connection, translation: Translation) -> list[int]:
    found = [
        reports.find(connection, laboratory_key(one.laboratory), one.number.value)
        for one in translation.reports
    ]
    return [one.key for one in found if one]


def _carry_out(
    connection: Connection,
    office: Office,
    raw: Part,
    part: Locked,
    tried: _Tried,
    result: Result,
    decision: Decision,
    now: int,
) -> None:
    """Write what the replay makes of the part, and the decision."""
    account = [asdict(one) for one in tried.translation.account]
    if result is Result.FILED:
        decisions.file(
            connection, part.key, now, detail=noted(tried.translation), account=account,
            outcome=tried.outcome,
        )  # fmt: skip
        work.unblock(connection, part.key, now)
        digest = tried.digest if part.state == "filed" else ""
        record(connection, part, now, decision, decisions.REPLAY, digest)
    elif result is Result.PROPOSED:
        proposed = decisions.proposed(connection, tried.digest)
        if not any(decision.same_person(who) for _, who in proposed):
            record(connection, part, now, decision, decisions.PROPOSE, tried.digest)
    elif part.state == "held" and decisions.differs(
        part, why_held(tried.translation), noted(tried.translation)
    ):
        decisions.hold_still(
            connection, part.key, reason=why_held(tried.translation),
            detail=noted(tried.translation), account=account,
            awaits=name_reports(connection, raw, tried.translation, now),
            urgency=urgency(tried.translation, office.settings.urgent_tests),
        )  # fmt: skip
        record(connection, part, now, decision, decisions.REPLAY)


def _with(translation: Translation, notice: Notice) -> Translation:
    return replace(translation, notices=(notice, *translation.notices))
