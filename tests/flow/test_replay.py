"""Replay after a mapping fix: held parts are filed; what is published changes by two people."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from gateway import demo
from gateway.errors import Forbidden, Hold, InvalidRequest, NotFound
from gateway.pipeline.decide import decision_by, reject
from gateway.pipeline.replay import Replayed, Result, confirm, replay, replayable
from gateway.store.database import Database
from tests.flow.mended import NO_PRESENT, WRONG_CLASS, broken, mend
from tests.flow.office import Desk

MORAG = demo._PEOPLE[0]
ANN = decision_by("Ann Example", "the table was wrong")
BEA = decision_by("Bea Example", "looked at it")


@pytest.fixture
def desk(database: Database, tmp_path: Path) -> Desk:
    opened = Desk(database, tmp_path)
    assert opened.send(demo._patient(*MORAG, 1))["state"] == "filed"
    return opened


def _result(
    control: str = "C1", number: str = "R-1", status: str = "F", when: str = "20260302101500"
) -> bytes:
    return demo._germline(control, number, MORAG, when, status, "Advice.")


def _published(desk: Desk) -> list[tuple[Any, ...]]:
    rows = desk.rows("SELECT type, id, version, body FROM resource ORDER BY key")
    return [tuple(row) for row in rows]


def _everything(desk: Desk) -> list[Any]:
    tables = ("part", "report", "edition", "identity", "resource_version", "variant_occurrence",
              "decision", "part_report", "index_reference", "index_token", "file")  # fmt: skip
    return [sorted(map(str, desk.rows(f"SELECT * FROM {table}"))) for table in tables]


def _decided(desk: Desk) -> list[tuple[str, str]]:
    rows = desk.rows("SELECT action, who FROM decision ORDER BY key")
    return [(row.action, row.who) for row in rows]


def _report(desk: Desk) -> dict[str, Any]:
    (report,) = desk.resources("DiagnosticReport")
    return report


def _wrongly(desk: Desk, table: str = "resource") -> int:
    """How many resources say the wrong class."""
    return int(desk.rows(f"SELECT count(*) FROM {table} WHERE body LIKE '%LA26332-9%'")[0][0])


def _wrong(desk: Desk, folder: Path) -> int:
    """A report that was published with a wrong classification, and a table that is right now."""
    place = broken(desk, folder, WRONG_CLASS)
    row = desk.send(_result())
    assert row["state"] == "filed"
    mend(desk, place, WRONG_CLASS)
    return int(row["part"])


def test_a_held_part_is_filed_after_the_mapping_was_mended(desk: Desk, tmp_path: Path) -> None:
    place = broken(desk, tmp_path, NO_PRESENT)
    row = desk.send(_result())
    assert (row["state"], row["reason"]) == ("held", "code")
    mend(desk, place, NO_PRESENT)
    done = replay(desk.office(), row["part"], ANN)
    assert (done.was, done.result, done.digest) == ("held", Result.FILED, "")
    assert {one.kind for one in done.differences} == {"added"}
    (part,) = desk.rows(f"SELECT state, reason, outcome FROM part WHERE key = {row['part']}")
    assert (part.state, part.reason) == ("filed", "")
    assert _report(desk)["id"] in part.outcome
    assert _report(desk)["status"] == "final"
    assert desk.rows("SELECT * FROM part_report") == []
    assert _decided(desk) == [("replay", "Ann Example")]


def test_a_dry_run_changes_nothing(desk: Desk, tmp_path: Path) -> None:
    place = broken(desk, tmp_path, NO_PRESENT)
    key = desk.send(_result())["part"]
    mend(desk, place, NO_PRESENT)
    before = _published(desk), _everything(desk)
    looked = replay(desk.office(), key)
    assert looked.result is Result.WOULD
    assert looked.differences
    assert (_published(desk), _everything(desk)) == before


def test_a_held_part_that_is_still_wrong_tells_why_and_stays_as_old_as_it_is(
    desk: Desk, tmp_path: Path
) -> None:
    place = broken(desk, tmp_path, NO_PRESENT)
    key = desk.send(_result().replace(MORAG[2].encode(), b"19620102"))["part"]
    unchanged = replay(desk.office(), key, ANN)
    assert unchanged.result is Result.HELD
    assert _decided(desk) == []
    since = desk.rows(f"SELECT changed_at FROM part WHERE key = {key}")[0].changed_at
    mend(desk, place, NO_PRESENT)
    done = replay(desk.office(), key, ANN)
    assert done.result is Result.HELD
    assert done.notices[0].place == "PID-7"
    (part,) = desk.rows(f"SELECT state, reason, changed_at FROM part WHERE key = {key}")
    assert tuple(part) == ("held", "patient-mismatch", since)
    assert _decided(desk) == [("replay", "Ann Example")]
    # Now that its report is known, later messages about it wait behind it.
    assert [row.part_key for row in desk.rows("SELECT part_key FROM part_report")] == [key]


def test_a_replay_of_a_held_correction_clears_the_flag(desk: Desk, tmp_path: Path) -> None:
    desk.send(_result("C1"))
    place = broken(desk, tmp_path, NO_PRESENT)
    key = desk.send(_result("C2", status="C", when="20260309101500"))["part"]
    assert "tag" in _report(desk)["meta"]
    mend(desk, place, NO_PRESENT)
    done = replay(desk.office(), key, ANN)
    assert done.result is Result.FILED
    assert (_report(desk)["status"], "tag" in _report(desk)["meta"]) == ("corrected", False)


def test_a_replay_that_changes_what_is_published_is_only_proposed(
    desk: Desk, tmp_path: Path
) -> None:
    key = _wrong(desk, tmp_path)
    before = _published(desk)
    first = replay(desk.office(), key, ANN)
    assert first.result is Result.PROPOSED
    assert len(first.digest) == 64
    assert _published(desk) == before
    assert _wrongly(desk) == 1
    assert _decided(desk) == [("propose", "Ann Example")]
    again = replay(desk.office(), key, ANN)
    assert again == first
    assert _decided(desk) == [("propose", "Ann Example")]
    assert replay(desk.office(), key).digest == first.digest


def test_a_second_person_confirms_and_it_becomes_a_new_version(desk: Desk, tmp_path: Path) -> None:
    key = _wrong(desk, tmp_path)
    digest = replay(desk.office(), key, ANN).digest
    done = confirm(desk.office(), digest, BEA)
    assert done.result is Result.FILED
    report = _report(desk)
    # It was final, and says something else now: whoever read it must see that it was amended.
    assert (report["status"], report["meta"]["versionId"]) == ("amended", "2")
    assert (_wrongly(desk), _wrongly(desk, "resource_version")) == (0, 1)
    assert _decided(desk) == [("propose", "Ann Example"), ("replay", "Bea Example")]
    assert desk.rows("SELECT count(*) FROM edition")[0][0] == 1
    with pytest.raises(NotFound):
        confirm(desk.office(), digest, BEA)
    assert replay(desk.office(), key, ANN).result is Result.UNCHANGED
    assert _report(desk)["meta"]["versionId"] == "2"


@pytest.mark.parametrize("who", ["Ann Example", "ann  example ", "ANN EXAMPLE"])
def test_the_same_person_cannot_confirm(desk: Desk, tmp_path: Path, who: str) -> None:
    key = _wrong(desk, tmp_path)
    digest = replay(desk.office(), key, ANN).digest
    before = _published(desk)
    with pytest.raises(Forbidden):
        confirm(desk.office(), digest, decision_by(who, "me again"))
    assert _published(desk) == before
    assert _decided(desk) == [("propose", "Ann Example")]


def test_of_two_people_who_confirm_at_once_one_does_it(desk: Desk, tmp_path: Path) -> None:
    digest = replay(desk.office(), _wrong(desk, tmp_path), ANN).digest
    start = threading.Barrier(3)
    told: list[str] = []

    def act(name: str) -> None:
        start.wait()
        try:
            told.append(confirm(desk.office(), digest, decision_by(name, "checked")).result)
        except NotFound as error:
            told.append(error.text)

    threads = [threading.Thread(target=act, args=(name,)) for name in ("Bea", "Cat", "Dan")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told) == [Result.FILED, *["nothing is proposed under this digest"] * 2]
    assert [action for action, _ in _decided(desk)] == ["propose", "replay"]
    assert _report(desk)["meta"]["versionId"] == "2"


def test_replays_that_race_workers_on_one_report_lose_nothing(desk: Desk, tmp_path: Path) -> None:
    place = broken(desk, tmp_path, NO_PRESENT)
    held = [desk.send(_result(f"C{one}", when=f"2026030{one}101500"))["part"] for one in (1, 2)]
    mend(desk, place, NO_PRESENT)
    for one in (3, 4):
        desk.accept(_result(f"C{one}", status="C", when=f"2026030{one}101500"))
    office = desk.office()
    threads = [
        threading.Thread(target=desk.work),
        *(threading.Thread(target=replay, args=(office, key, ANN)) for key in held),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [row.state for row in desk.rows("SELECT state FROM part")] == ["filed"] * 5
    assert desk.rows("SELECT count(*) FROM edition")[0][0] == 4
    assert _report(desk)["status"] == "corrected"
    assert "tag" not in _report(desk)["meta"]


def test_a_failure_of_ours_leaves_everything_as_it_was(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = broken(desk, tmp_path, NO_PRESENT)
    key = desk.send(_result())["part"]
    mend(desk, place, NO_PRESENT)
    before = _published(desk), _everything(desk)

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("gateway.pipeline.file.Publisher.publish", fail)
    done = replay(desk.office(), key, ANN)
    assert (done.was, done.result, done.notices[0].hold) == ("held", Result.HELD, Hold.DEFECT)
    assert (_published(desk), _everything(desk)) == before


def test_a_difference_that_is_another_by_now_is_not_carried_out(desk: Desk, tmp_path: Path) -> None:
    key = _wrong(desk, tmp_path)
    digest = replay(desk.office(), key, ANN).digest
    desk.send(_result("C2", status="C", when="20260309101500"))
    before = _published(desk)
    with pytest.raises(InvalidRequest, match="not the one that was proposed"):
        confirm(desk.office(), digest, BEA)
    assert _published(desk) == before
    assert _decided(desk) == [("propose", "Ann Example")]


def test_an_unknown_digest_confirms_nothing(desk: Desk, tmp_path: Path) -> None:
    _wrong(desk, tmp_path)
    with pytest.raises(NotFound):
        confirm(desk.office(), "0" * 64, BEA)


def test_a_replay_without_a_fix_changes_nothing(desk: Desk) -> None:
    key = desk.send(_result())["part"]
    before = _published(desk), _everything(desk)
    assert replay(desk.office(), key, ANN).result is Result.UNCHANGED
    assert (_published(desk), _everything(desk)) == before


@pytest.mark.parametrize("message", [demo._patient(*MORAG, 9), demo._pdf("C9", "IG-1", MORAG)])
def test_other_messages_replay_to_nothing_too(desk: Desk, message: bytes) -> None:
    key = desk.send(message)["part"]
    before = _published(desk), _everything(desk)
    assert replay(desk.office(), key, ANN).result is Result.UNCHANGED
    assert (_published(desk), _everything(desk)) == before


def test_the_difference_names_elements_by_path(desk: Desk, tmp_path: Path) -> None:
    key = _wrong(desk, tmp_path)
    looked = replay(desk.office(), key)
    found = {(one.kind, one.type, one.label): one for one in looked.differences}
    report = found["changed", "DiagnosticReport", "DiagnosticReport"]
    status = next(one for one in report.elements if one.path == "status")
    assert (status.before, status.after) == ('"final"', '"amended"')
    implication = found["changed", "Observation", "implication"]
    assert [(one.path, one.before, one.after) for one in implication.elements] == [
        ("component[0].valueCodeableConcept.coding[0].code", '"LA26332-9"', '"LA6668-3"'),
        ("component[0].valueCodeableConcept.coding[0].display", '"Likely pathogenic"',
         '"Pathogenic"'),
    ]  # fmt: skip
    assert {kind for kind, *_ in found} == {"changed"}


def test_a_finding_that_the_mended_mapping_does_not_make_is_gone(
    desk: Desk, tmp_path: Path
) -> None:
    place = broken(desk, tmp_path, WRONG_CLASS)
    key = desk.send(_result())["part"]
    lri = place / "lri/mapping.toml"
    lri.write_text(lri.read_text() + '\n[implication]\nsignificance = "OBX[99]-5"\n')
    mend(desk, place, WRONG_CLASS)
    done = replay(desk.office(), key, ANN)
    assert {one.label for one in done.differences if one.kind == "gone"} == {"implication"}
    confirm(desk.office(), done.digest, BEA)
    statuses = [one["status"] for one in desk.resources("Observation")]
    assert statuses.count("entered-in-error") == 2


def test_an_older_version_that_does_not_stand_is_left_as_it_was(desk: Desk, tmp_path: Path) -> None:
    place = broken(desk, tmp_path, WRONG_CLASS)
    first = desk.send(_result("C1"))["part"]
    second = desk.send(_result("C2", when="20260303101500"))["part"]
    mend(desk, place, WRONG_CLASS)
    office = desk.office()
    assert list(replayable(office, "filed", sender="lri")) == [second, first]
    digest = replay(office, second, ANN).digest
    assert replay(office, first, ANN).result is Result.UNCHANGED
    assert confirm(office, digest, BEA).result is Result.FILED
    assert _report(desk)["status"] == "amended"
    assert replay(office, first, ANN).result is Result.UNCHANGED


def test_a_reading_that_would_be_held_leaves_what_is_published(desk: Desk, tmp_path: Path) -> None:
    key = desk.send(_result())["part"]
    broken(desk, tmp_path, NO_PRESENT)
    before = _published(desk), _everything(desk)
    done = replay(desk.office(), key, ANN)
    assert (done.was, done.result) == ("filed", Result.HELD)
    assert {str(one.hold) for one in done.notices} == {"code"}
    assert (_published(desk), _everything(desk)) == before


def test_a_reading_that_names_another_report_is_refused(desk: Desk, tmp_path: Path) -> None:
    key = desk.send(_result())["part"]
    place = broken(desk, tmp_path, WRONG_CLASS)
    lri = place / "lri/mapping.toml"
    lri.write_text(lri.read_text() + 'number = "MSH-10"\n')
    mend(desk, place, WRONG_CLASS)
    before = _published(desk), _everything(desk)
    done = replay(desk.office(), key, ANN)
    assert done.result is Result.HELD
    assert "no longer names" in done.notices[0].text
    assert (_published(desk), _everything(desk)) == before


def test_a_merge_is_not_filed_again(desk: Desk) -> None:
    twice = ("0101336489", *MORAG[1:])
    desk.send(demo._patient(*twice, 2))
    row = desk.send(demo._lines(
        "MSH|^~\\&|PAS|SCOTLAND|GATEWAY||202604010900||ADT^A40|M1|P|2.5",
        f"PID|1||{MORAG[0]}^^^CHI^NH||{MORAG[1]}||{MORAG[2]}|{MORAG[3]}",
        f"MRG|{twice[0]}^^^CHI^NH",
    ))  # fmt: skip
    assert replay(desk.office(), row["part"], ANN).result is Result.HELD


def test_a_rejected_part_is_not_replayed(desk: Desk, tmp_path: Path) -> None:
    broken(desk, tmp_path, NO_PRESENT)
    key = desk.send(_result())["part"]
    reject(desk.office(), key, ANN)
    with pytest.raises(InvalidRequest, match="it is rejected"):
        replay(desk.office(), key, ANN)


def test_a_part_waits_until_the_earlier_one_about_its_report_is_decided(
    desk: Desk, tmp_path: Path
) -> None:
    place = broken(desk, tmp_path, NO_PRESENT)
    lri = place / "lri/mapping.toml"
    lri.write_text(lri.read_text().replace('reports = "snapshot"', 'reports = "delta"'))
    mend(desk, place, NO_PRESENT)
    wrong = _result("C1").replace(MORAG[2].encode(), b"19620102")
    first, fixed = desk.send(wrong)["part"], desk.mappings
    broken(desk, tmp_path / "again", NO_PRESENT)
    second = desk.send(_result("C2", when="20260303101500"))["part"]
    desk.mappings = fixed
    done = replay(desk.office(), second, ANN)
    assert "earlier message" in done.notices[0].text
    reject(desk.office(), first, ANN)
    assert replay(desk.office(), second, ANN).result is Result.FILED


def test_many_held_parts_are_found_in_their_order(desk: Desk, tmp_path: Path) -> None:
    place = broken(desk, tmp_path, NO_PRESENT)
    keys = [desk.send(_result(f"C{one}", f"R-{one}"))["part"] for one in range(3)]
    desk.send(_result("C8", "R-8").replace(MORAG[2].encode(), b"19620102"))
    mend(desk, place, NO_PRESENT)
    office = desk.office()
    with desk.database.write() as connection:
        connection.execute(text("UPDATE part SET reason = 'defect' WHERE key > :key"),
                           {"key": keys[-1]})  # fmt: skip
    found = list(replayable(office, "held", sender="lri", reason="code"))
    assert found == keys
    done: list[Replayed] = [replay(office, key, ANN) for key in found]
    assert {one.result for one in done} == {Result.FILED}
    assert list(replayable(office, "held", sender="lri", reason="code")) == []


def test_a_back_loaded_message_files_as_any_other(desk: Desk) -> None:
    desk.accept(_result())
    with desk.database.write() as connection:
        connection.execute(text("UPDATE message SET back_load = :yes"), {"yes": True})
    desk.work()
    assert _report(desk)["status"] == "final"
