"""Nobody's name, CHI or birth date leaves by a side door: logs, metrics, answers, errors, notices.

Invented people are sent through the real doors and workers in messages of each kind, with their
words in every field in turn; then everything the gateway said is searched for them.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient

from gateway.access.scopes import SEND_HL7
from gateway.app import Parts, create_app, start_logging
from gateway.cli import main
from gateway.config import Settings
from gateway.demo import scenario
from gateway.oauth.clients import register
from gateway.oauth.keys import new_key
from gateway.store import schema
from gateway.store.clients import Token, save_token, token_digest
from gateway.store.database import Database, now_micros
from gateway.wire.mllp import wrap
from gateway.worker import run_once
from tests.receive.door import Client, rows

NAME, CHI, BORN = "Quixworth", "1904851231", "19850419"
PLANT = f"{NAME} {CHI} {BORN}"
# Letters and digits only, so that each is found whatever stands around it.
TELLING = re.compile(
    r"quixworth|190[ -]?485[ -]?1231|190485[ -]?1231|1985-?04-?19|19/04/1985", re.IGNORECASE
)
HL7 = "application/hl7-v2; charset=UTF-8"
POSITIVE = next(one.message for one in scenario() if b"ORU^R01" in one.message)
PDF = next(one.message for one in scenario() if b"Base64" in one.message)
PATIENT = next(one.message for one in scenario() if b"ADT^A28" in one.message)


def _planted(raw: bytes, number: int) -> bytes:
    """Make a message one of the planted person, with numbers of its own."""
    text = raw.decode()
    for old, new in (("Testpatient^Morag^Ailsa", f"{NAME}^{NAME}"), ("0101625707", CHI),
                     ("19620101", BORN), ("Sample^Callum", f"{NAME}^{NAME}"),
                     ("150 624 1115", CHI), ("19240615", BORN), ("LRI-1", f"LRI-{number}"),
                     ("D0001", f"L{number}"), ("P0001", f"L{number}")):  # fmt: skip
        text = text.replace(old, new)
    return text.encode()


PERSON = _planted(PATIENT, 0)
STRANGER = PERSON.replace(NAME.encode(), b"Otherwise").replace(b"|L0|", b"|L00|")


def _kinds() -> Iterator[tuple[str, bytes]]:
    """Yield a message of each kind; the name says what it is."""
    good = _planted(POSITIVE, 1)
    yield "good", good
    yield "duplicate", good
    for number, (kind, old, new) in enumerate(
        [
            ("charset", b"OBX|2|FT|51969-4^^LN|1|", b"OBX|2|FT|51969-4^^LN|1|\xff\xfe"),
            ("unknown charset", b"|||||||UNICODE UTF-8", b"||||||KLINGON"),
            ("structure", b"\rOBR|", b"\rNTE|"), ("code", b"||GE|F", b"||GE|" + NAME.encode()),
            ("outcome", b"LA6576-8^Positive", f"{CHI}^{PLANT}".encode()),
            ("content", b"|20260210|", f"|{PLANT}|".encode()),
            ("patient identifier", CHI.encode(), CHI.encode()[:-1] + b"0"),
            ("patient unknown", CHI.encode(), b"0707411114"),
            ("patient mismatch", BORN.encode(), b"19850420"),
            ("report order", b"||GE|F", b"||GE|P"), ("unknown event", b"ORU^R01", b"ORU^R30"),
            ("unknown type", b"ORU^R01", b"MDM^T99"), ("unknown sender", b"GENLIMS", b"NOBODY"),
            ("wrong processing id", b"|P|2.5.1", b"|D|2.5.1"),
            ("wrong version", b"|P|2.5.1", b"|P|9.9"),
        ],
        2,
    ):  # fmt: skip
        raw = _planted(POSITIVE, number)
        changed = raw.replace(old, new)
        assert changed != raw, kind
        yield kind, changed
    yield "fused", good + good.replace(b"|L1|", b"|L99|")
    yield "oversize", _planted(POSITIVE, 90) + f"NTE|1||{PLANT * 9_000}\r".encode()
    yield "nothing", PLANT.encode()
    yield "no header fields", f"MSH|^~\\&\r{PLANT}\r".encode()
    yield "broken document", re.sub(rb"Base64\^.{40}", b"Base64^" + b"%" * 40, _planted(PDF, 91))
    yield "document", _planted(PDF, 92)
    yield (
        "correction",
        _planted(POSITIVE, 1).replace(b"||GE|F", b"||GE|C").replace(b"|L1|", b"|C1|"),
    )
    another = good.replace(CHI.encode(), b"0109560000").replace(NAME.encode(), b"Otherwise")
    yield "another's report", another.replace(b"|L1|", b"|L93|")
    yield "promotion", re.sub(rb"(\rOBX[^\r]*\|)F(?=\r)", rb"\1U", _planted(POSITIVE, 94))
    yield "withdrawal", re.sub(rb"(\rOBX[^\r]*\|)F(?=\r)", rb"\1W", _planted(POSITIVE, 96))


def _everywhere() -> Iterator[bytes]:
    """Yield the good message again and again, with the plant in one field each time."""
    segments = _planted(POSITIVE, 1).rstrip(b"\r").split(b"\r")
    for at, segment in enumerate(segments[1:], 1):
        fields = segment.split(b"|")
        for place in range(1, len(fields)):
            number = f"{at}-{place}"
            planted = [*fields[:place], PLANT.encode(), *fields[place + 1 :]]
            lines = [*segments[:at], b"|".join(planted), *segments[at + 1 :]]
            yield (
                b"\r".join((*lines, b""))
                .replace(b"LRI-1", f"E-{number}".encode())
                .replace(b"|L1|", f"|E{number}|".encode())
            )


class House:
    """Every part of the gateway on one database, and all that it says."""

    def __init__(self, folder: Path) -> None:
        self.log = io.StringIO()
        self.said: list[str] = []
        self.settings = Settings(
            data=folder, max_message_bytes=200_000, log_level="debug", mllp_port=1
        )
        self.listen_to_the_log()
        database = Database(self.settings.database_url)
        schema.upgrade(database)
        database.close()
        self.app = create_app(self.settings)
        self.parts: Parts = self.app.extensions["gateway"]
        self.listener = self.parts.listener()
        self.listener.port = 0
        self.office = self.parts.office()

    def __enter__(self) -> House:
        self.listener.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.listener.stop()
        self.parts.database.close()

    def listen_to_the_log(self) -> None:
        """Log as the gateway does, to where we can read it."""
        with contextlib.redirect_stderr(self.log):
            start_logging(self.settings)

    def lines(self) -> list[dict[str, Any]]:
        """Return what was logged; each line must be one JSON object of ours."""
        return [json.loads(line) for line in self.log.getvalue().splitlines()]

    def untold(self) -> None:
        """Nothing that was said or logged tells of the planted person."""
        everything = [*self.said, *map(json.dumps, self.lines())]
        told = [text for text in everything if TELLING.search(text)]
        assert not told, told[:3]

    def hear(self, said: bytes | str) -> None:
        self.said.append(said.decode("latin-1") if isinstance(said, bytes) else said)

    def mllp(self, raw: bytes) -> None:
        with Client(self.listener.port) as client:
            self.hear(client.ask(raw))

    def half(self, raw: bytes) -> None:
        with Client(self.listener.port) as client:
            client.send(wrap(raw)[: len(raw) // 2])
            for reply in client.replies_until_closed():
                self.hear(reply)

    def http(self) -> FlaskClient:
        key = new_key("ES384")[1]
        scope = f"system/*.rs {SEND_HL7}"
        client = register(self.parts.database, "test", scope, {"keys": [key]}, now_micros())
        token = Token(client.id, scope, now_micros(), now_micros() + 600_000_000)
        with self.parts.database.write() as connection:
            save_token(connection, token_digest(client.id), token)
        made = self.app.test_client()
        made.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {client.id}"
        return made

    def get(self, client: FlaskClient, path: str) -> Any:
        reply = client.get(path)
        self.hear(reply.data)
        self.hear(str(reply.headers))
        return reply

    def work(self) -> None:
        while run_once(self.office, "worker"):
            pass

    def command(self, *words: str) -> None:
        shown = CliRunner().invoke(main, words)
        self.listen_to_the_log()  # the command has its own
        self.hear(shown.output)
        if shown.exception and not isinstance(shown.exception, SystemExit):
            raise shown.exception


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setenv("GATEWAY_DATA", str(tmp_path))
    monkeypatch.setenv("GATEWAY_LOG_LEVEL", "debug")
    loggers = [logging.getLogger(name) for name in (None, "gateway")]
    before = [(one, one.handlers[:], one.level) for one in loggers]
    try:
        with House(tmp_path) as made:
            yield made
    finally:
        for one, handlers, level in before:
            one.handlers[:] = handlers
            one.setLevel(level)


def test_the_planted_person_would_be_found() -> None:
    for said in (_planted(POSITIVE, 1), _planted(PDF, 1), PERSON):
        assert len(set(TELLING.findall(said.decode()))) == 3
    assert TELLING.search("1985-04-19")
    assert TELLING.search("190485 1231")


def test_messages_of_each_kind_leave_no_trace_of_anybody(house: House, tmp_path: Path) -> None:
    client = house.http()
    for raw in (PERSON, STRANGER.replace(CHI.encode(), b"0109560000")):
        house.mllp(raw)
    house.work()
    for _, raw in _kinds():
        house.mllp(raw)
        reply = client.post("/hl7", data=raw, content_type=HL7)
        house.hear(reply.data)
        reply.close()
        house.work()
    house.half(_planted(POSITIVE, 95))
    held = {row.reason for row in rows(house.parts.database, "SELECT reason FROM part")} - {""}
    refused = {
        row.reason.split(" ")[0]
        for row in rows(house.parts.database, "SELECT reason FROM message WHERE reason <> ''")
    }
    assert held >= {
        "charset", "structure", "content", "attachment", "code", "patient-identifier",
        "patient-unknown", "patient-mismatch", "report-patient", "report-unknown",
    }  # fmt: skip
    assert refused >= {
        "FusedMessages", "MessageTooLarge", "UnreadableMessage", "UnknownSender",
        "UnsupportedEvent", "UnsupportedMessage", "UnsupportedVersion", "UnexpectedProcessingId",
    }  # fmt: skip
    house.get(client, "/metrics")
    after = ""
    for _ in range(3):
        after = house.get(client, f"/hl7/notices?after={after}").get_json()["after"]
    for number in range(1, 96):
        house.get(client, f"/hl7/messages?control-id=L{number}")
    (tmp_path / "list.csv").write_text(
        f"report number,authorised,CHI,name\nLRI-1,,{CHI},{NAME}\nLRI-2,{PLANT},{CHI},{NAME}\n"
    )
    for option in ("--json", "--csv"):
        house.command("reconcile", str(tmp_path / "list.csv"), "--laboratory", "x",
                      "--since", "2026-01-01", option)  # fmt: skip
    house.command("messages", "list", "--limit", "1000")
    house.command("messages", "list", "--summary")
    for row in rows(house.parts.database, "SELECT key FROM message"):
        house.command("messages", "show", str(row.key))
    assert len(house.lines()) > 60
    house.untold()


def test_no_field_of_a_message_is_told_whatever_is_wrong_with_it(house: House) -> None:
    house.mllp(PERSON)
    for raw in _everywhere():
        house.mllp(raw)
    house.work()
    states = {row.state for row in rows(house.parts.database, "SELECT state FROM part")}
    assert states == {"filed", "held"}
    for row in rows(house.parts.database, "SELECT key FROM message"):
        house.command("messages", "show", str(row.key))
    house.get(house.app.test_client(), "/metrics")
    house.untold()


@pytest.mark.parametrize(
    "path",
    [
        f"/fhir/Patient/{NAME}", f"/fhir/{NAME}", f"/fhir/{NAME}/{CHI}", f"/{NAME}",
        f"/fhir/Patient?birthdate={NAME}", f"/fhir/Patient?nosuch={PLANT}",
        f"/fhir/Patient?_count={PLANT}", f"/fhir/Patient?_sort={NAME}",
        f"/fhir/DiagnosticReport?patient={NAME}%00", f"/fhir/DiagnosticReport?_include={NAME}",
        f"/fhir/Observation?value-quantity={PLANT}", f"/fhir/Patient?_cursor={NAME}",
        f"/fhir/Patient/{NAME}/_history/{CHI}", f"/hl7/messages?control-id={'x' * 300}",
        f"/hl7/notices?after={NAME}", f"/hl7/notices?limit={NAME}",
    ],
)  # fmt: skip
def test_no_error_repeats_what_was_asked(house: House, path: str) -> None:
    for client in (house.http(), house.app.test_client()):
        reply = house.get(client, path)
        assert reply.status_code < 500
    house.untold()


def test_failures_of_the_store_and_of_the_files_tell_nothing(house: House) -> None:
    client = house.http()
    house.mllp(PERSON)
    house.work()
    database = house.parts.database
    with database.write() as connection:
        connection.exec_driver_sql("ALTER TABLE message RENAME TO away")
    house.mllp(_planted(POSITIVE, 1))
    house.hear(client.post("/hl7", data=_planted(POSITIVE, 1), content_type=HL7).data)
    for path in ("/metrics", "/hl7/notices", f"/hl7/messages?control-id={NAME}"):
        house.get(client, path)
    with database.write() as connection:
        connection.exec_driver_sql("ALTER TABLE away RENAME TO message")
    house.mllp(_planted(POSITIVE, 2))
    house.work()
    with database.write() as connection:  # what cannot be read is quoted in the exception
        connection.exec_driver_sql(f"UPDATE resource SET body = '{PLANT}'")
    (house.settings.data / "files").write_text("no folder")
    mismatch = _planted(POSITIVE, 2).replace(BORN.encode(), b"19850420")
    for raw in (mismatch, _planted(PDF, 3)):
        house.mllp(raw)
    worker = house.parts.worker()
    worker.start()
    for _ in range(600):
        if '"error": ' in house.log.getvalue():
            break
        threading.Event().wait(0.05)
    worker.stop()
    assert [line for line in house.lines() if "error" in line]
    house.untold()


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\\X0A\\", "\x85", "\u2028", "\x1b[2J\x08"])
def test_a_control_id_cannot_forge_a_line_of_the_log(house: House, end: str) -> None:
    forged = '{"event": "forged", "level": "error"}'
    for raw in (_planted(POSITIVE, 1), _planted(POSITIVE, 1).replace(b"GENLIMS", b"NOBODY")):
        house.mllp(raw.replace(b"|L1|", f"|L1{end}{forged}{end}|".encode()))
    house.work()
    house.get(house.http(), f"/hl7/messages?control-id=L1{forged}")
    text = house.log.getvalue()
    assert all(json.loads(line)["event"] != "forged" for line in text.splitlines())
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028]", text)
