"""What a named person decides about a held part: back to work as it is, or rejected.

A merge that was wrong is undone here too. Each decision is one transaction with its own row in
`decision`: of two people who decide at once one wins, and the other is told what it is now.
"""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from gateway.errors import InvalidRequest, NotFound, VersionConflict
from gateway.fhir.composed import Context
from gateway.fhir.conformance import check
from gateway.pipeline.file import Office
from gateway.pipeline.flags import unflag
from gateway.pipeline.merges import unmerge
from gateway.store import decisions, merges, work
from gateway.store.database import Connection
from gateway.store.decisions import Locked

log = logging.getLogger(__name__)

_WHO, _WHY = 100, 500
_TRIES = 4
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Decision:
    """Who decides, and why; made by `decision_by`."""

    who: str
    why: str

    def same_person(self, who: str) -> bool:
        """Whether this is the same name, however it is written."""
        return _plain(self.who) == _plain(who)


def decision_by(who: str, why: str) -> Decision:
    """Take a name and a reason as they are kept; raises InvalidRequest when one is missing."""
    return Decision(_words(who, _WHO, "--who"), _words(why, _WHY, "--why"))


def release(office: Office, part_key: int, decision: Decision) -> None:
    """Give a held part back to the workers as it is, for instance when the index was put right.

    What waits behind it goes on waiting until it is filed. Raises NotFound, and InvalidRequest
    when it is not held.
    """

    def act() -> None:
        now = office.clock()
        with office.database.write() as connection:
            part = held(connection, part_key)
            refuse_purged(part)
            decisions.to_work(connection, part.key, now)
            record(connection, part, now, decision, decisions.RELEASE)

    persist(act)


def reject(office: Office, part_key: int, decision: Decision) -> None:
    """End a held part for good; what waited behind it goes on. Raises as `release`."""

    def act() -> None:
        now = office.clock()
        with office.database.write() as connection:
            part = held(connection, part_key)
            named = decisions.names(connection, part)
            decisions.reject(connection, part.key, now)
            work.unblock(connection, part.key, now)
            for name in named:
                unflag(connection, name, part.key, now)
            record(connection, part, now, decision, decisions.REJECT)

    persist(act)


def undo_merge(office: Office, merge_key: int, decision: Decision) -> list[str]:
    """Undo one merge of patients and return the reports that a person must look at.

    Raises NotFound for an unknown merge, InvalidRequest for one that was undone already.
    """
    return persist(lambda: _undo_merge(office, merge_key, decision))


def _undo_merge(office: Office, merge_key: int, decision: Decision) -> list[str]:
    now = office.clock()
    with office.database.write() as connection:
        link = merges.lock_link(connection, merge_key)
        if link is None:
            raise NotFound("there is no such merge", where=f"merge {merge_key}")
        if link.undone:
            raise InvalidRequest("this merge was undone already", where=f"merge {merge_key}")
        context = Context(
            received=datetime.fromtimestamp(now / 1e6, UTC).isoformat(timespec="milliseconds"),
            message_id=str(link.message_key), chi_system=office.settings.chi_system,
        )  # fmt: skip
        review = unmerge(connection, link.subsumed_key, context, now, check)
        decisions.record(
            connection, link.part_key, now, decision.who, decisions.UNMERGE, decision.why
        )
    log.info("decision", extra={"part": link.part_key, "state": decisions.UNMERGE})
    return review


def find_held(office: Office, message_key: int, number: int = 0) -> int:
    """Return the key of a message's only held part, or of its part `number` (from 1) in any state.

    Raises NotFound, and InvalidRequest when none or several are held.
    """
    found = _numbered(office, message_key, number)
    if len(found) == 1:
        return found[0][0]
    waiting = [one for one in found if one[2] == "held"]
    if len(waiting) == 1:
        return waiting[0][0]
    numbers = ", ".join(str(ordinal + 1) for _, ordinal, _ in waiting)
    text = f"parts {numbers} are held: name one with --part" if numbers else "none of it is held"
    raise InvalidRequest(text, where=f"message {message_key}")


def find_replayable(office: Office, message_key: int, number: int = 0) -> list[int]:
    """Return the keys of a message's held and filed parts, or of its part `number` alone.

    Raises NotFound, and InvalidRequest when there are none.
    """
    found = _numbered(office, message_key, number)
    keys = [key for key, _, state in found if number or state in ("held", "filed")]
    if not keys:
        text = "none of it is held or filed"
        raise InvalidRequest(text, where=f"message {message_key}")
    return keys


def _numbered(office: Office, message_key: int, number: int) -> list[tuple[int, int, str]]:
    with office.database.read() as connection:
        parts = decisions.parts_of(connection, message_key)
    found = [one for one in parts if number in (0, one[1] + 1)]
    if not found:
        text = f"it has no part {number}" if parts else "there is no such message to work on"
        raise NotFound(text, where=f"message {message_key}")
    return found


def persist(act: Callable[[], _T]) -> _T:
    """Do something at once again when a worker was faster on a row that both change."""
    for _ in range(_TRIES - 1):
        try:
            return act()
        except VersionConflict:
            log.info("a worker was faster")
    return act()


def held(connection: Connection, part_key: int) -> Locked:
    """Lock a part that is held; raises NotFound, or InvalidRequest that says what it is."""
    part = locked(connection, part_key)
    if part.state != "held":
        text = f"it is {part.state}: only a held one can be decided on"
        raise InvalidRequest(text, where=at(part))
    return part


def locked(connection: Connection, part_key: int) -> Locked:
    """Lock a part; raises NotFound."""
    part = decisions.lock(connection, part_key)
    if part is None:
        raise NotFound("there is no such part", where=f"part {part_key}")
    return part


def refuse_purged(part: Locked) -> None:
    """Raise InvalidRequest when the bytes of a part are there no more."""
    if part.purged:
        raise InvalidRequest("its bytes were removed by the retention rule", where=at(part))


def at(part: Locked) -> str:
    """Name a part as people do."""
    return f"message {part.message_key} part {part.ordinal + 1}"


def record(
    connection: Connection, part: Locked, now: int, decision: Decision, action: str,
    digest: str = "",
) -> None:  # fmt: skip
    """Keep a decision with the transaction that carries it out."""
    decisions.record(connection, part.key, now, decision.who, action, decision.why, digest)
    log.info("decision", extra={"part": part.key, "message_key": part.message_key, "state": action})


def _words(text: str, longest: int, where: str) -> str:
    words = " ".join(text.split())
    if not words:
        raise InvalidRequest("a decision needs who and why", where=where)
    if len(words) > longest or not words.isprintable():
        raise InvalidRequest(f"at most {longest} characters, all printable", where=where)
    return words


def _plain(who: str) -> str:
    return unicodedata.normalize("NFKC", " ".join(who.split())).casefold()
