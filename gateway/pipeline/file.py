"""File one part: decide the patient and the version, compose, check and write, or hold.

Everything a part changes is one transaction, together with its own state. Reading and keeping
documents come before, so that no transaction is open while they take their time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace

from gateway.access.policy import DEFAULT, Policy
from gateway.config import Settings
from gateway.errors import (
    Evidence,
    GatewayError,
    Hold,
    IdentityHold,
    LookupUnavailable,
    StoreUnavailable,
    VersionConflict,
)
from gateway.fhir.conformance import check, check_all
from gateway.identify.numbers import Issuers, issuers_of
from gateway.parse.er7 import split
from gateway.pipeline.boards import relate_patient
from gateway.pipeline.flags import flag, report_name, unflag
from gateway.pipeline.links import apply_link
from gateway.pipeline.lookup import LOOKUP, Lookup
from gateway.pipeline.merges import Merger
from gateway.pipeline.patients import Feed, apply_update, update_patient
from gateway.pipeline.publish import WITHDRAWN, Publisher
from gateway.pipeline.read import read
from gateway.pipeline.requests import Registrar, order_key
from gateway.pipeline.subject import record_hold
from gateway.report import Notice, PatientUpdate, Report, Translation
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
    policy: Policy = DEFAULT
    lookup: Lookup | None = None

    @property
    def issuers(self) -> Issuers:
        """Whose identifiers count."""
        return issuers_of(self.settings)


def file_part(claim: Claim, part: Part, office: Office) -> str:
    """File one part and return its new state: filed, held, waiting, or lost (lease gone).

    Raises StoreUnavailable; the part then stays as it was.
    """
    mapping = office.mappings.by_name.get(part.sender)
    translation = read_part(part, mapping) if part.crashes < _CRASHES else _poison()
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


def read_part(part: Part, mapping: SenderMapping | None) -> Translation:
    """Translate a part from its raw bytes; whatever is wrong with it is a hold."""
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
    found = office.lookup.missing(office.database, translation) if office.lookup else ()
    for _ in range(_TRIES - 1):
        try:
            return _file(claim, part, office, translation, mapping, found)
        except VersionConflict:
            log.info("another worker was faster", extra={"part": part.key})
    return _file(claim, part, office, translation, mapping, found)


def _file(
    claim: Claim,
    part: Part,
    office: Office,
    translation: Translation,
    mapping: SenderMapping,
    found: Iterable[PatientUpdate],
) -> str:
    keep_documents(office, translation)
    now = office.clock()
    with office.database.write() as connection:
        if not work.still_held(connection, claim):
            return "lost"
        if name := held_before(connection, part, mapping.sender, translation):
            work.wait_behind(
                connection, part, name, now, urgency(translation, office.settings.urgent_tests)
            )
            return "blocked"
        for update in found:
            apply_update(connection, update, Feed(LOOKUP, now, "nhs"), office.issuers, now)
        outcome = file_translation(connection, part, office, translation, mapping, now)
        work.finish(
            connection, part, "filed", now, detail=noted(translation), outcome=outcome,
            account=[asdict(one) for one in translation.account],
        )  # fmt: skip
    return "filed"


def keep_documents(office: Office, translation: Translation) -> None:
    """Put the documents of a part where they stay; before any transaction is open."""
    for report in translation.reports:
        for attachment in report.attachments:
            if attachment.content:  # a pointer has none
                office.files.keep(attachment.content)


def file_translation(
    connection: Connection,
    part: Part,
    office: Office,
    translation: Translation,
    mapping: SenderMapping,
    now: int,
) -> list[str]:
    """Write all that a part means and return the references; raises IdentityHold to hold it."""
    outcome = _others(connection, part, office, translation, mapping, now)
    publisher = Publisher(
        connection, part, mapping, office.issuers, now, check_all, rereader(connection, office),
        office.policy,
    )  # fmt: skip
    for report in translation.reports:
        outcome += publisher.publish(report)
    if part.attempts:  # it was held once, and flagged reports then
        named = {*work.named(connection, part), *map(report_name, translation.reports)}
        for name in sorted(named):
            unflag(connection, name, part.key, now)
    return outcome


def noted(translation: Translation) -> list[dict[str, str]]:
    """Write the notices of a translation as they are kept with its part."""
    return [
        {"place": one.place, "text": one.text, **({"hold": one.hold} if one.hold else {})}
        for one in translation.notices
    ]


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
        relate_patient(connection, office.policy, outcome[-1], now)
    merger = Merger(connection, part, mapping, office.issuers, now, check)
    for merge in translation.merges:
        outcome += merger.merge(merge)
    for link in translation.links:
        outcome += apply_link(connection, link, part, mapping, office.issuers, now)
    registrar = Registrar(connection, part, mapping, office.issuers, now, check, office.policy)
    for request in translation.requests:
        outcome += registrar.file(request)
    return outcome


def rereader(connection: Connection, office: Office) -> Callable[[int, str], Report]:
    """Translate again what an earlier part said of a report; its documents are kept already."""

    def reread(part_key: int, number: str) -> Report:
        earlier = work.bring(connection, part_key)
        translation = read_part(earlier, office.mappings.by_name.get(earlier.sender))
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
    if isinstance(error, VersionConflict | LookupUnavailable):
        # Others were faster again and again, or nobody could be asked: it is tried again later.
        why = "conflict" if isinstance(error, VersionConflict) else LOOKUP
        now = office.clock()
        with office.database.write() as connection:
            if work.still_held(connection, claim):
                retry = now + _pause(office.settings.retry_seconds, part.attempts)
                work.finish(connection, part, "waiting", now, reason=why, ready_at=retry)
        return "waiting"
    reason = error.reason if isinstance(error, IdentityHold) else error.hold
    notice = Notice(error.where, error.text, reason)
    evidence = error.evidence if isinstance(error, IdentityHold) else ()
    return _hold(claim, part, office, _with(translation, notice), evidence)


def _with(translation: Translation, notice: Notice) -> Translation:
    return replace(translation, notices=(notice, *translation.notices))


def _hold(
    claim: Claim, part: Part, office: Office, translation: Translation, evidence: Evidence = ()
) -> str:
    """Hold a part; with the evidence, where it is held for whom it is about."""
    now = office.clock()
    with office.database.write() as connection:
        if not work.still_held(connection, claim):
            return "lost"
        awaits = name_reports(connection, part, translation, now)
        work.finish(
            connection, part, "held", now, reason=why_held(translation),
            detail=noted(translation), awaits=awaits,
            account=[asdict(one) for one in translation.account],
            urgency=urgency(translation, office.settings.urgent_tests),
        )  # fmt: skip
        if evidence:
            record_hold(connection, part, Hold(why_held(translation)), evidence, now)
    return "held"


def why_held(translation: Translation) -> str:
    """Return the first reason why a part is held."""
    return str(translation.holds[0].hold if translation.holds else Hold.DEFECT)


def name_reports(
    connection: Connection, part: Part, translation: Translation, now: int
) -> str | None:
    """Flag at once every published report that a held part names (safety.md 1).

    What comes later for them waits behind it. Returns what it waits for itself, if anything.
    """
    named = [report_name(one) for one in translation.reports]
    for name in named:
        flag(connection, name, now)
    if why_held(translation) == Hold.REPORT_UNKNOWN and (awaits := _awaited(translation, part)):
        return awaits
    work.block(connection, part, named)
    return None


def held_before(
    connection: Connection, part: Part, sender: Sender, translation: Translation
) -> str:
    """Name a report of this part that an earlier held part names too (ingest rule 3.6).

    A withdrawal never waits behind a hold (safety.md 1).
    """
    if not sender.waits:
        return ""
    names = [report_name(one) for one in translation.reports if one.status != WITHDRAWN]
    return next((name for name in names if work.blocked(connection, part, name)), "")


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
    others = translation.requests or translation.patients or translation.merges or translation.links
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
            return report_name(report)
    return None
