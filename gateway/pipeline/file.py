"""File one part: decide the patient and the version, compose, check and write, or hold.

Everything a part changes is one transaction, together with its own state. Reading and keeping
documents come before, so that no transaction is open while they take their time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

from gateway.config import Settings
from gateway.errors import GatewayError, Hold, IdentityHold, StoreUnavailable, VersionConflict
from gateway.fhir.conformance import check
from gateway.identify.match import Issuers
from gateway.parse.er7 import split
from gateway.pipeline.merges import Merger
from gateway.pipeline.patients import update_patient
from gateway.pipeline.publish import WITHDRAWN, Publisher, flag, laboratory_key
from gateway.pipeline.read import read
from gateway.pipeline.requests import Registrar, order_key
from gateway.report import Notice, Report, Translation
from gateway.store import work
from gateway.store.database import Connection, Database
from gateway.store.files import Files
from gateway.store.work import Claim, Part
from gateway.translate.mapping import Mappings, SenderMapping
from gateway.translate.sender import Sender

log = logging.getLogger(__name__)

_TRIES = 4
# A part with which so many workers were lost is not tried again by itself.
_CRASHES = 5
_LONGEST_WAIT = 300.0


@dataclass(frozen=True, slots=True)
class Office:
    """What filing needs; `clock` gives microseconds since 1970."""

    database: Database
    files: Files
    mappings: Mappings
    settings: Settings
    clock: Callable[[], int]

    @property
    def issuers(self) -> Issuers:
        """Whose identifiers count."""
        return Issuers(self.settings.chi_system, self.settings.chi_placeholders)


def file_part(claim: Claim, part: Part, office: Office) -> str:
    """File one part and return its new state: filed, held, waiting, or lost (lease gone).

    Raises StoreUnavailable; the part then stays as it was.
    """
    mapping = office.mappings.by_name.get(part.sender)
    translation = _read(part, mapping) if part.crashes < _CRASHES else _poison()
    try:
        if translation.holds or mapping is None:
            state = _hold(claim, part, office, translation)
        else:
            state = _file_again(claim, part, office, translation, mapping)
    except (IdentityHold, GatewayError) as error:
        if isinstance(error, StoreUnavailable):
            raise
        state = _refused(claim, part, office, translation, error)
    except Exception:
        log.exception("filing failed; the part is held", extra={"part": part.key})
        notice = Notice("", "the gateway failed on this message", Hold.DEFECT)
        state = _hold(claim, part, office, _with(translation, notice))
    log.info("part", extra={"part": part.key, "message_key": part.message_key, "state": state})
    return state


def _read(part: Part, mapping: SenderMapping | None) -> Translation:
    if mapping is None:
        return Translation(notices=(Notice("MSH-3", "its mapping is gone", Hold.DEFECT),))
    try:
        return read(split(part.raw)[part.ordinal], mapping, part.charset)
    except GatewayError as error:
        return Translation(notices=(Notice(error.where, error.text, error.hold),))
    except Exception:
        log.exception("translation failed; the part is held", extra={"part": part.key})
        return Translation(notices=(Notice("", "the gateway failed on this message", Hold.DEFECT),))


def _poison() -> Translation:
    text = "the gateway stopped again and again with this message in hand"
    return Translation(notices=(Notice("", text, Hold.DEFECT),))


def _file_again(
    claim: Claim, part: Part, office: Office, translation: Translation, mapping: SenderMapping
) -> str:
    """File at once again when another worker was faster on a shared row."""
    for _ in range(_TRIES - 1):
        try:
            return _file(claim, part, office, translation, mapping)
        except VersionConflict:
            log.info("another worker was faster", extra={"part": part.key})
    return _file(claim, part, office, translation, mapping)


def _file(
    claim: Claim, part: Part, office: Office, translation: Translation, mapping: SenderMapping
) -> str:
    for report in translation.reports:
        for attachment in report.attachments:
            if attachment.content:  # a pointer has none
                office.files.keep(attachment.content)
    now = office.clock()
    with office.database.write() as connection:
        if not work.still_held(connection, claim):
            return "lost"
        if name := _held_before(connection, part, mapping.sender, translation):
            work.wait_behind(
                connection, part, name, now, urgency(translation, office.settings.urgent_tests)
            )
            return "blocked"
        outcome = _others(connection, part, office, translation, mapping, now)
        publisher = Publisher(
            connection, part, mapping, office.issuers, now, check, _rereader(connection, office)
        )
        for report in translation.reports:
            outcome += publisher.publish(report)
        notes = [{"place": one.place, "text": one.text} for one in translation.notices]
        work.finish(
            connection, part, "filed", now, detail=notes, outcome=outcome,
            account=[asdict(one) for one in translation.account],
        )  # fmt: skip
    return "filed"


def _others(
    connection: Connection,
    part: Part,
    office: Office,
    translation: Translation,
    mapping: SenderMapping,
    now: int,
) -> list[str]:
    """File all that is no report: demographics, merges and orders."""
    outcome: list[str] = []
    for update in translation.patients:
        outcome += update_patient(connection, update, part, mapping, office.issuers, now)
    merger = Merger(connection, part, mapping, office.issuers, now, check)
    for merge in translation.merges:
        outcome += merger.merge(merge)
    registrar = Registrar(connection, part, mapping, office.issuers, now, check)
    for request in translation.requests:
        outcome += registrar.file(request)
    return outcome


def _rereader(connection: Connection, office: Office) -> Callable[[int, str], Report]:
    """Translate again what an earlier part said of a report; its documents are kept already."""

    def reread(part_key: int, number: str) -> Report:
        earlier = work.bring(connection, part_key)
        translation = _read(earlier, office.mappings.by_name.get(earlier.sender))
        for report in translation.reports:
            same = report.number.value == number or report.document is not None
            if same and not translation.holds:
                return report
        raise IdentityHold(
            Hold.REPORT_ORDER, "an earlier version of this report cannot be read any more"
        )

    return reread


def _refused(
    claim: Claim, part: Part, office: Office, translation: Translation, error: GatewayError
) -> str:
    if isinstance(error, VersionConflict):
        # Others were faster again and again: the part is tried again later.
        now = office.clock()
        with office.database.write() as connection:
            if work.still_held(connection, claim):
                retry = now + _pause(office.settings.retry_seconds, part.attempts)
                work.finish(connection, part, "waiting", now, reason="conflict", ready_at=retry)
        return "waiting"
    reason = error.reason if isinstance(error, IdentityHold) else error.hold
    notice = Notice(error.where, error.text, reason)
    return _hold(claim, part, office, _with(translation, notice))


def _with(translation: Translation, notice: Notice) -> Translation:
    return replace(translation, notices=(notice, *translation.notices))


def _hold(claim: Claim, part: Part, office: Office, translation: Translation) -> str:
    """Hold a part, and flag at once every published report that it names (safety.md 1)."""
    now = office.clock()
    notes = [
        {"place": one.place, "text": one.text, **({"hold": one.hold} if one.hold else {})}
        for one in translation.notices
    ]
    reason = translation.holds[0].hold if translation.holds else Hold.DEFECT
    with office.database.write() as connection:
        if not work.still_held(connection, claim):
            return "lost"
        for report in translation.reports:
            flag(connection, report, now)
        awaits = _awaited(translation, part) if reason is Hold.REPORT_UNKNOWN else None
        if awaits is None:
            work.block(connection, part, [_name(one) for one in translation.reports])
        work.finish(
            connection, part, "held", now, reason=str(reason), detail=notes, awaits=awaits,
            account=[asdict(one) for one in translation.account],
            urgency=urgency(translation, office.settings.urgent_tests),
        )  # fmt: skip
    return "held"


def _held_before(
    connection: Connection, part: Part, sender: Sender, translation: Translation
) -> str:
    """Name a report of this part that an earlier held part names too (ingest rule 3.6).

    A withdrawal never waits behind a hold (safety.md 1).
    """
    if not sender.waits:
        return ""
    names = [_name(one) for one in translation.reports if one.status != WITHDRAWN]
    return next((name for name in names if work.blocked(connection, part, name)), "")


def _name(report: Report) -> str:
    return f"{laboratory_key(report.laboratory)}\n{report.number.value}"


def _pause(seconds: float, attempts: int) -> int:
    """Wait twice as long after each attempt, up to five minutes; in microseconds."""
    return int(min(seconds * 2 ** min(attempts, 10), max(_LONGEST_WAIT, seconds)) * 1e6)


def urgency(translation: Translation, urgent_tests: tuple[str, ...]) -> str:
    """How soon a person must look at a part that is held; what could not be read is urgent.

    Urgent too are tests of a fetus, and those whose code starts as a setting names (safety.md 7).
    """
    asked = {one.priority for one in translation.reports}
    asked |= {one.priority for one in translation.requests}
    if asked & {"stat", "asap"}:
        return "stat"
    others = translation.requests or translation.patients or translation.merges
    unread = not translation.reports and not others
    special = any(
        one.tested_subject == "fetus" or one.order.test.code.startswith(urgent_tests)
        for one in translation.reports
    )
    return "urgent" if unread or special or "urgent" in asked else "routine"


def _awaited(translation: Translation, part: Part) -> str | None:
    for request in translation.requests:
        return order_key(request.order, part.sender)
    for report in translation.reports:
        if report.promotes or report.status == WITHDRAWN or report.document:
            return _name(report)
    return None
