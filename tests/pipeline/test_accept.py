import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.errors import FusedMessages, MessageTooLarge, StoreUnavailable
from gateway.pipeline.accept import Arrival, accept
from gateway.source import Source
from gateway.store.database import Database
from tests.receive.door import BODY, answer, codes, field, header, intake, message, rows

BATCH = b"BHS|^~\\&|IGENE|GLASGOW\r"


@pytest.mark.parametrize(
    ("raw", "expected", "state"),
    [
        (message(), ("AA", ""), "accepted"),
        (message(processing="T"), ("AA", ""), "accepted"),
        (message(rest="||||||UNICODE UTF-8", body=BODY + b"NTE|1||\xff\r"), ("AA", ""), "accepted"),
        (message(rest="||||||KLINGON"), ("AA", ""), "accepted"),
        (header(), ("AA", ""), "accepted"),
        (message(body=b"free text\r"), ("AA", ""), "accepted"),
        (message(body=BODY + b"NTE|1||\0\r"), ("AA", ""), "accepted"),
        (message().replace(b"\r", b"\n"), ("AA", ""), "accepted"),
        (message().replace(b"\r", b"\r\n"), ("AA", ""), "accepted"),
        (message(application="NOBODY"), ("AR", "200"), "rejected"),
        (message(facility="NOWHERE"), ("AR", "200"), "rejected"),
        (message(kind="MDM^T02"), ("AR", "200"), "rejected"),
        (message(kind="ORU^R30"), ("AR", "201"), "rejected"),
        (message(kind="ORU"), ("AR", "201"), "rejected"),
        (message(processing="D"), ("AR", "202"), "rejected"),
        (message(processing=""), ("AR", "202"), "rejected"),
        (message(version="2.2.9"), ("AR", "203"), "rejected"),
        (message(version="3.0"), ("AR", "203"), "rejected"),
        (message() + message("C2"), ("AR", "100"), "rejected"),
        (BATCH + message() + message("C2") + b"BTS|2\r", ("AA", ""), "accepted"),
        (BATCH + message() + b"BTS|2\r", ("AA", ""), "accepted"),
        (BATCH + message() + message("C2", processing="D") + b"BTS|2\r", ("AR", "202"), "rejected"),
        (BATCH + message() + message("C2", application="LRI") + b"BTS\r", ("AR", "200"),
         "rejected"),
    ],
)  # fmt: skip
def test_the_answer_table(
    sqlite: Database, raw: bytes, expected: tuple[str, str], state: str
) -> None:
    reply = answer(sqlite, raw)
    found = (field(reply, "MSA", 1), _code(reply))
    assert found == expected
    assert field(reply, "MSA", 2) == "C1"
    (row,) = rows(sqlite)
    assert (bytes(row.raw), bytes(row.reply), row.state) == (raw, reply, state)
    parts = len(rows(sqlite, "SELECT 1 FROM part"))
    assert parts == (0 if state == "rejected" else 2 if b"C2" in raw else 1)


def _code(reply: bytes) -> str:
    return codes(reply)[1] or field(reply, "ERR", 3).partition("^")[0]


@pytest.mark.parametrize("raw", [b"", b"hello", b"GET / HTTP/1.1\r\n\r\n", b"\0\0", b"PID|1\r"])
def test_what_has_no_header_is_kept_and_refused(database: Database, raw: bytes) -> None:
    reply = answer(database, raw)
    assert (field(reply, "MSA", 1), field(reply, "MSA", 2)) == ("AR", "")
    assert [bytes(row.raw) for row in rows(database)] == [raw]


@pytest.mark.parametrize(("defect", "code"), [(FusedMessages(), "100"), (MessageTooLarge(), "104")])
@pytest.mark.parametrize("raw", [message(), b"no header"])
def test_a_defect_of_the_frame_decides(
    sqlite: Database, defect: FusedMessages, code: str, raw: bytes
) -> None:
    reply = answer(sqlite, raw, defect=defect)
    assert (field(reply, "MSA", 1), _code(reply)) == ("AR", code)
    assert rows(sqlite)[0].reason == type(defect).__name__


def test_a_repeat_gets_the_same_bytes_and_no_new_work(database: Database) -> None:
    first = answer(database, message())
    assert answer(database, message()) == first
    assert answer(database, message().replace(b"|20260304||ORU", b"|20260305||ORU")) == first
    assert [row.state for row in rows(database)] == ["accepted", "duplicate", "duplicate"]
    assert len(rows(database, "SELECT 1 FROM part")) == 1


@pytest.mark.parametrize(
    "other",
    [
        message(body=BODY.replace(b"332", b"333")), message("C2"), message(facility="GLASGOW^X"),
        message(rest="||||||UNICODE UTF-8"), message(processing="T"),
    ],
)  # fmt: skip
def test_another_message_is_never_taken_for_a_repeat(sqlite: Database, other: bytes) -> None:
    first = answer(sqlite, message())
    assert answer(sqlite, other) != first
    assert [row.state for row in rows(sqlite)] == ["accepted", "accepted"]
    assert len(rows(sqlite, "SELECT 1 FROM part")) == 2


def test_the_same_bytes_from_another_source_are_another_message(sqlite: Database) -> None:
    answer(sqlite, message(), "mllp:192.0.2.1")
    answer(sqlite, message(), "mllp:192.0.2.2")
    answer(sqlite, message(), "mllp:192.0.2.2", charset="UTF-8")
    assert [row.state for row in rows(sqlite)] == ["accepted"] * 3


def test_what_was_refused_is_examined_again(sqlite: Database) -> None:
    for _ in range(2):
        answer(sqlite, message(application="NOBODY"))
    assert [row.state for row in rows(sqlite)] == ["rejected", "rejected"]


def test_a_reused_control_id_is_a_new_message_with_a_flag(sqlite: Database) -> None:
    answer(sqlite, message())
    answer(sqlite, message(body=BODY.replace(b"332", b"333")))
    assert [bool(row.control_id_reused) for row in rows(sqlite)] == [False, True]


def test_messages_without_a_control_id_are_accepted(sqlite: Database) -> None:
    assert codes(answer(sqlite, message("")))[0] == "AA"
    assert codes(answer(sqlite, message("", BODY.replace(b"332", b"333"))))[0] == "AA"
    assert [row.state for row in rows(sqlite)] == ["accepted", "accepted"]


def test_one_patient_is_one_lane_whatever_the_sender(sqlite: Database) -> None:
    answer(sqlite, message(), "mllp:192.0.2.1")
    answer(sqlite, message("C2", BODY.replace(b"1904851231", b"190485 1231")), "mllp:192.0.2.2")
    answer(sqlite, message("C3", BODY.replace(b"1904851231", b"2902201230")), "mllp:192.0.2.1")
    lanes = [row.lane for row in rows(sqlite, "SELECT lane FROM part ORDER BY message_key")]
    assert lanes[0] == lanes[1] != lanes[2]
    assert not any("1904851231" in lane for lane in lanes)


def test_a_sender_whose_policy_is_ae_is_refused_what_would_be_held(sqlite: Database) -> None:
    bad = message(body=BODY.replace(b"332^NO", b"999^NO"))
    reply = answer(sqlite, bad, policy="ae")
    assert codes(reply)[0] == "AE"
    assert field(reply, "ERR", 1).startswith("OBX")
    assert rows(sqlite)[0].state == "rejected"
    assert codes(answer(sqlite, message("C2"), policy="ae"))[0] == "AA"


def test_with_the_store_down_nothing_is_said_to_be_kept(sqlite: Database) -> None:
    with sqlite.write() as connection:
        connection.exec_driver_sql("ALTER TABLE message RENAME TO away")
    assert codes(answer(sqlite, message())) == ("AE", "207")
    assert codes(answer(sqlite, message(application="NOBODY"))) == ("AE", "207")
    with pytest.raises(StoreUnavailable):
        accept(Arrival(message(), Source("http:x"), 1), intake(sqlite), must_keep=True)
    with sqlite.write() as connection:
        connection.exec_driver_sql("ALTER TABLE away RENAME TO message")
    assert codes(answer(sqlite, message()))[0] == "AA"
    assert len(rows(sqlite)) == 1


def test_a_reply_holds_nothing_of_the_body(sqlite: Database) -> None:
    for raw in (message(), message(kind="X"), message() + message(), message(version="9")):
        reply = answer(sqlite, raw)
        assert not [word for word in (b"Sample", b"1904851231", b"19850419") if word in reply]


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.binary(max_size=60), st.sampled_from([b"", header(), BATCH, BATCH + header(), message()]))
def test_any_bytes_are_kept_and_get_one_reply(sqlite: Database, tail: bytes, start: bytes) -> None:
    before = len(rows(sqlite, "SELECT 1 FROM message"))
    reply = answer(sqlite, start + tail)
    assert field(reply, "MSA", 1) in ("AA", "AE", "AR")
    assert not set(reply) & {0x0B, 0x1C, 0}
    found = rows(sqlite, "SELECT raw, reply FROM message ORDER BY key DESC")
    assert (len(found), bytes(found[0].raw)) == (before + 1, start + tail)


@pytest.mark.parametrize(
    ("modes", "sent", "owed"),
    [
        ("|||AL|NE", "CA", ""),
        ("|||AL|AL", "CA", "AL"),
        ("|||NE|AL", "", "AL"),
        ("|||NE|NE", "", ""),
        ("||||ER", "", "ER"),
    ],
)
def test_enhanced_mode_is_answered_as_asked(
    database: Database, modes: str, sent: str, owed: str
) -> None:
    reply = answer(database, message(rest=modes))
    assert field(reply, "MSA", 1) == sent
    (row,) = rows(database)
    assert (row.state, row.application_wanted, bytes(row.reply)) == ("accepted", owed, reply)
    assert answer(database, message(rest=modes)) == reply
    assert [one.application_wanted for one in rows(database)] == [owed, ""]


def test_what_is_refused_is_told_at_once_and_owed_no_more(sqlite: Database) -> None:
    reply = answer(sqlite, message(rest="|||NE|AL", processing="D"))
    assert field(reply, "MSA", 1) == "AR"
    (row,) = rows(sqlite)
    assert (row.state, row.application_wanted) == ("rejected", "")


def test_nothing_may_be_said_and_nothing_was_kept_so_the_door_is_told(sqlite: Database) -> None:
    with sqlite.write() as connection:
        connection.exec_driver_sql("ALTER TABLE message RENAME TO away")
    with pytest.raises(StoreUnavailable):
        answer(sqlite, message(rest="|||NE|NE"))


def test_an_acknowledgement_is_kept_and_never_answered(sqlite: Database) -> None:
    assert answer(sqlite, header(kind="ACK^R01") + b"MSA|AA|X1\r") == b""
    (row,) = rows(sqlite)
    assert (row.state, row.reason) == ("rejected", "acknowledgement")


def test_a_batch_is_answered_by_a_batch(sqlite: Database) -> None:
    batch = b"BHS|^~\\&|IGENE|GLASGOW|GATEWAY|BOARD|||||B7\r" + message() + message("C2")
    reply = answer(sqlite, batch + b"BTS|2\r")
    lines = reply.split(b"\r")
    assert lines[0].startswith(b"BHS|^~\\&|GATEWAY|BOARD|IGENE|GLASGOW|")
    assert lines[0].endswith(b"|B7")
    assert [line for line in lines if line.startswith(b"MSA")] == [b"MSA|AA|C1", b"MSA|AA|C2"]
    assert lines[-2:] == [b"BTS|2", b""]


def test_a_source_has_the_last_word_on_policy_processing_and_charset(sqlite: Database) -> None:
    source = Source("s", senders=("igene",), processing_ids=("D",), policy="ae", charset="8859/1")
    assert codes(answer(sqlite, message(), source))[0] == "AR"
    assert codes(answer(sqlite, message(processing="D"), source))[0] == "AA"
    broken = message("C3", body=b"PID|1\r", processing="D")
    assert codes(answer(sqlite, broken, source)) == ("AE", "100")
    stored = rows(sqlite)
    assert [(one.state, one.charset) for one in stored] == [
        ("rejected", ""), ("accepted", "8859/1"), ("rejected", "8859/1"),
    ]  # fmt: skip
    other = Source("s", senders=("lri",))
    assert codes(answer(sqlite, message("C4"), other)) == ("AR", "200")


def test_a_batch_of_one_message_is_answered_by_a_batch_too(sqlite: Database) -> None:
    reply = answer(sqlite, b"BHS|^~\\&|IGENE|GLASGOW\r" + message() + b"BTS|1\r")
    assert [line[:3] for line in reply.split(b"\r")] == [b"BHS", b"MSH", b"MSA", b"BTS", b""]
