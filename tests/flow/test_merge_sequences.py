"""Any sequence of merges, undone merges and results leaves every report where it belongs."""

from __future__ import annotations

import contextlib
import itertools
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway import demo
from gateway.errors import InvalidRequest, NotFound
from gateway.identify.chi import checksum_agrees
from gateway.pipeline.decide import decision_by, undo_merge
from gateway.pipeline.merges import UNDONE
from gateway.store import patients
from gateway.store.database import Database
from tests.flow.office import Desk

_PEOPLE = 3
_REPORTS = 3
_person, _report = st.integers(0, _PEOPLE - 1), st.integers(0, _REPORTS - 1)
_step = st.one_of(
    st.tuples(st.just("result"), _report, _person),
    st.tuples(st.just("merge"), _person, _person),
    st.tuples(st.just("undo"), st.integers(0, 3), st.just(0)),
)


def _numbers() -> itertools.chain[str]:
    """Yield valid CHI numbers of one birth date."""
    stems = (f"010162{at:03}" for at in range(1000))
    return itertools.chain(
        number for stem in stems for digit in range(10)
        if checksum_agrees(number := f"{stem}{digit}")
    )  # fmt: skip


class _Clinic:
    """A few records of one person, and what messages said about them."""

    def __init__(self, desk: Desk, numbers: list[str], first: int) -> None:
        self.desk, self.numbers, self.clock = desk, numbers, itertools.count(first)
        self.filed: dict[str, str] = {}
        self.merges: list[int] = []
        for chi in numbers:
            assert desk.send(demo._patient(chi, *demo._PEOPLE[0][1:], next(self.clock)))

    def result(self, report: int, person: int) -> None:
        number, at = f"R-{self.numbers[0]}-{report}", next(self.clock)
        who = (self.numbers[person], *demo._PEOPLE[0][1:])
        when = f"2026{1 + at // 28 % 12:02}{1 + at % 28:02}101500"
        row = self.desk.send(demo._germline(f"C{at}", number, who, when, "F", f"Version {at}."))
        if row["state"] == "filed":
            self.filed[number] = self.numbers[person]

    def merge(self, stays: int, ends: int) -> None:
        at = next(self.clock)
        message = demo._lines(
            f"MSH|^~\\&|PAS|SCOTLAND|GATEWAY||202604010900||ADT^A40|M{at}|P|2.5",
            f"PID|1||{self.numbers[stays]}^^^CHI^NH||Testpatient^Morag||19620101|F",
            f"MRG|{self.numbers[ends]}^^^CHI^NH",
        )
        self.desk.send(message)
        self.merges = [one.key for one in self.desk.rows("SELECT key FROM patient_merge")]

    def undo(self, which: int, _: int) -> None:
        if which < len(self.merges):
            with contextlib.suppress(NotFound, InvalidRequest):
                undo_merge(self.desk.office(), self.merges[-1 - which], decision_by("A", "test"))

    def check(self) -> None:
        tagged = {
            one["identifier"][0]["value"]
            for one in self.desk.resources("DiagnosticReport")
            if UNDONE in one["meta"].get("tag", [])
        }
        rows = self.desk.rows("SELECT number, patient_key FROM report WHERE status <> ''")
        keys = {one.number: one.patient_key for one in rows}
        owners = {
            one.value: one.patient_key
            for one in self.desk.rows("SELECT value, patient_key FROM patient_identifier")
        }
        with self.desk.database.read() as connection:
            living = {chi: patients.survivor(connection, owners[chi]) for chi in self.numbers}
        for number, chi in self.filed.items():
            assert keys[number] == living[chi] or number in tagged
            assert keys[number] in living.values()


def test_every_report_is_on_the_patient_its_message_asserted_or_in_review(
    database: Database, tmp_path: Path
) -> None:
    desk, numbers, firsts = Desk(database, tmp_path), _numbers(), itertools.count(1, 1000)

    @settings(
        max_examples=8, deadline=None, database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )  # fmt: skip
    @given(st.lists(_step, min_size=3, max_size=9))
    def run(steps: list[tuple[str, int, int]]) -> None:
        clinic = _Clinic(desk, list(itertools.islice(numbers, _PEOPLE)), next(firsts))
        for name, one, other in steps:
            getattr(clinic, name)(one, other)
            clinic.check()

    run()
