"""Decides every message as filing does, on SQLite, and counts what became of it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import insert

from benchmarks.identity.population import AUTHORITY, Message, Person
from gateway import demo
from gateway.config import CHI_SYSTEM
from gateway.errors import IdentityHold
from gateway.identify.numbers import Issuers
from gateway.pipeline.accept import Arrival, Intake, accept
from gateway.pipeline.subject import find_subject
from gateway.source import Source
from gateway.store import schema, work
from gateway.store.database import Database
from gateway.store.inbox import Inbox
from gateway.store.tables import patient, patient_history, patient_identifier
from gateway.translate.mapping import load_mappings
from gateway.value import letters

_MAPPINGS = Path(__file__).parents[2] / "mappings"
_BATCH = 500


@dataclass
class Figures:
    """What became of the messages; `right` and `held` by origin, holds by their reason."""

    wrong: int = 0
    filed: int = 0
    seconds: float = 0.0
    reasons: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)
    seen: Counter[str] = field(default_factory=Counter)
    # Without errors in number, birth date or spelling, which no rule may forgive.
    fair_held: Counter[str] = field(default_factory=Counter)
    fair_seen: Counter[str] = field(default_factory=Counter)

    @property
    def count(self) -> int:
        return sum(self.seen.values())

    def lines(self) -> Iterator[str]:
        """Write the figures as tables."""
        yield f"messages {self.count}, filed {self.filed}, held {sum(self.held.values())}"
        yield f"WRONG-PATIENT FILINGS: {self.wrong}"
        yield f"decisions per second: {self.count / self.seconds:.0f}"
        yield "\nheld, by reason"
        for reason, number in self.reasons.most_common():
            yield f"  {number / self.count:7.2%}  {reason}"
        yield "\nheld, by what was wrong in the message (first of it)"
        for error, number in self.errors.most_common():
            yield f"  {number / self.count:7.2%}  {error}"
        yield "\nheld, by origin of the name: all, and of those without a mistake that must hold"
        for origin in self.seen:
            fair = self.fair_held[origin] / max(1, self.fair_seen[origin])
            yield f"  {self.held[origin] / self.seen[origin]:7.2%}  {fair:7.2%}  {origin}"


_MUST_HOLD = frozenset({
    "family name mistyped", "given name mistyped", "day and month exchanged", "birth date mistyped",
    "birth date missing", "married name not in the index", "nickname or initial",
    "number of a brother, sister or twin", "number of a stranger", "number mistyped",
    "NHS number in the field of a CHI", "placeholder", "no number",
})  # fmt: skip


def run(people: Sequence[Person], sent: Sequence[Message], folder: Path) -> Figures:
    """Load the index and decide every message, with its decision recorded."""
    database = Database(f"sqlite:///{folder / 'identity.db'}")
    schema.upgrade(database)
    _load(database, people)
    mappings = load_mappings(_MAPPINGS)
    intake = Intake(Inbox(database), mappings, lambda: "A")
    accept(Arrival(demo._negative("C1", "R-1", demo._PEOPLE[0]), Source("test"), 1), intake)
    issuers = Issuers(CHI_SYSTEM, ("1111111111",), (AUTHORITY,))
    figures = Figures()
    with database.read() as connection:
        part = work.bring(connection, 1)
    started = time.perf_counter()
    for at in range(0, len(sent), _BATCH):
        with database.write() as connection:
            for one in sent[at : at + _BATCH]:
                try:
                    found = find_subject(
                        connection, one.asserted, part, mappings.standard, issuers, at
                    )
                except IdentityHold as error:
                    _held(figures, one, error)
                else:
                    figures.filed += 1
                    figures.wrong += found.key != one.truth.key
                _seen(figures, one)
    figures.seconds = time.perf_counter() - started
    database.close()
    return figures


def _seen(figures: Figures, one: Message) -> None:
    origin = one.truth.origin.name
    figures.seen[origin] += 1
    figures.fair_seen[origin] += not _MUST_HOLD & set(one.errors)


def _held(figures: Figures, one: Message, error: IdentityHold) -> None:
    origin = one.truth.origin.name
    figures.held[origin] += 1
    figures.reasons[f"{error.reason}: {error.text}"] += 1
    blame = [name for name in one.errors if name in _MUST_HOLD] or [*one.errors, "nothing"]
    figures.errors[blame[0]] += 1
    figures.fair_held[origin] += not _MUST_HOLD & set(one.errors)


def _load(database: Database, people: Sequence[Person]) -> None:
    rows, numbers, earlier = [], [], []
    for one in people:
        given = " ".join(one.name.given)
        row = {"key": one.key, "id": str(one.key), "family": one.name.family, "given": given,
               "birth_date": one.born.isoformat(), "sex": one.sex, "postcode": one.postcode,
               "deceased": "", "record_class": "nhs", "clock": 0, "changed_at": 0,
               "family_letters": letters(one.name.family),
               "multiple_birth": one.multiple}  # fmt: skip
        rows.append(row)
        numbers.append({"system": one.number.system, "value": one.number.value,
                        "patient_key": one.key, "state": "current", "source": "x",
                        "since": 0})  # fmt: skip
        earlier += [
            {"patient_key": one.key, "family": name.family, "given": " ".join(name.given),
             "birth_date": row["birth_date"], "sex": one.sex, "postcode": one.postcode,
             "address_since": "", "deceased": "", "source": "x", "clock": 0, "until": 0}
            for name in one.before
        ]  # fmt: skip
    with database.write() as connection:
        for table, values in ((patient, rows), (patient_identifier, numbers),
                              (patient_history, earlier)):  # fmt: skip
            for at in range(0, len(values), 10_000):
                connection.execute(insert(table), values[at : at + 10_000])
