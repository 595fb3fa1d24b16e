from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from gateway.config import Settings
from gateway.serve.metrics import metrics_blueprint
from gateway.source import Source
from gateway.store import counts
from gateway.store.database import Database, now_micros
from tests.flow.office import Desk
from tests.receive.counted import exchange
from tests.receive.door import BODY, answer, message

BAD = BODY.replace(b"332^NO", b"999^NO")
HOUR = 3_600_000_000


def _client(
    database: Database, folder: Path, clock: Callable[[], int] = now_micros, **settings: object
) -> FlaskClient:
    app = Flask("test")
    given = Settings(data=folder, **settings)  # type: ignore[arg-type]
    app.register_blueprint(metrics_blueprint(database, given, clock))
    return app.test_client()


def _read(client: FlaskClient) -> dict[str, float]:
    """Return the samples by name and labels."""
    reply = client.get("/metrics")
    assert reply.status_code == 200
    assert reply.content_type == "text/plain; version=0.0.4; charset=utf-8"
    assert list(text_string_to_metric_families(reply.text))  # as Prometheus reads it
    lines = [line for line in reply.text.splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z_]+(\{[^{}]*\})? [-0-9.e+]+", line) for line in lines)
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


def test_frames_of_each_source_add_up(database: Database, tmp_path: Path) -> None:
    frames = message("C1"), message("C1"), message("C2", application="NOBODY")
    exchange(database, *frames, half=b"MSH|^~\\&|half a frame")
    found = _read(_client(database, tmp_path))
    label = '{source="mllp:127.0.0.1"}'
    assert found[f"gateway_frames_received_total{label}"] == 3
    answered = 'gateway_frames_answered_total{answer="%s",source="mllp:127.0.0.1"}'
    assert (found[answered % "positive"], found[answered % "negative"]) == (2, 1)
    assert found[f"gateway_frames_open{label}"] == 0
    assert found[f"gateway_fragments_total{label}"] == 1
    assert found[f"gateway_duplicates_total{label}"] == 1
    assert found['gateway_messages_total{answer="negative",sender="",state="rejected"}'] == 1
    assert found['gateway_messages_total{answer="positive",sender="igene",state="accepted"}'] == 1


def test_parts_are_counted_by_state_and_reason(database: Database, tmp_path: Path) -> None:
    at = now_micros()
    answer(database, message("C1", BAD))
    answer(database, message("C1", BAD.replace(b"R208", b"R209")))
    Desk(database, tmp_path).work()
    answer(database, message("C2"))
    found = _read(_client(database, tmp_path, lambda: at + HOUR))
    held = {name: value for name, value in found.items() if 'state="held"' in name}
    assert sum(held.values()) == 2
    assert 'reason=""' not in "".join(held)
    assert found['gateway_parts{reason="",state="received"}'] == 1
    assert found['gateway_parts{reason="",state="filed"}'] == 0
    assert found["gateway_backlog_parts"] == 1
    assert 3500 < found["gateway_backlog_oldest_seconds"] <= 3600
    assert 3500 < found['gateway_held_oldest_seconds{urgency="routine"}'] <= 3600
    assert found['gateway_held_oldest_seconds{urgency="stat"}'] == 0
    assert found['gateway_control_ids_reused_total{source="test"}'] == 1
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE part SET state = 'waiting' WHERE state = 'received'")
        connection.exec_driver_sql("UPDATE part SET state = 'filed' WHERE state = 'held'")
    found = _read(_client(database, tmp_path, lambda: at + HOUR))
    assert found['gateway_parts{reason="",state="filed"}'] == 2
    assert 3500 < found["gateway_backlog_oldest_seconds"] <= 3600


@pytest.mark.parametrize("unsettled", [0, 3, 10_000])
def test_what_was_counted_before_is_counted_once(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unsettled: int
) -> None:
    monkeypatch.setattr(counts, "_UNSETTLED", unsettled)
    client = _client(database, tmp_path)
    stored = 'gateway_messages_total{answer="positive",sender="igene",state="accepted"}'
    for number in range(1, 8):
        answer(database, message(f"C{number}"), Source(f"lab-{number % 2}"))
        found = _read(client)
        assert found[stored] == number
        assert sum(v for k, v in found.items() if k.startswith("gateway_parts{")) == number
    assert _read(client) == _read(_client(database, tmp_path)) | {
        "gateway_backlog_oldest_seconds": pytest.approx(
            _read(client)["gateway_backlog_oldest_seconds"], abs=60
        ),
        "gateway_data_disk_free_bytes": pytest.approx(
            _read(client)["gateway_data_disk_free_bytes"], rel=0.5
        ),
    }


def test_with_the_database_down_it_says_so(sqlite: Database, tmp_path: Path) -> None:
    client = _client(sqlite, tmp_path)
    assert _read(client)["gateway_database_up"] == 1
    with sqlite.write() as connection:
        connection.exec_driver_sql("ALTER TABLE message RENAME TO away")
    found = _read(client)
    assert found["gateway_database_up"] == 0
    assert found["gateway_data_disk_free_bytes"] > 0
    assert not [name for name in found if name.startswith("gateway_messages")]


def test_certificates_show_how_long_they_last(sqlite: Database, tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime(2026, 3, 4, tzinfo=UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).serial_number(1)
        .public_key(key.public_key()).not_valid_before(now)
        .not_valid_after(now + timedelta(days=30)).sign(key, hashes.SHA256())
    )  # fmt: skip
    (tmp_path / "server.pem").write_bytes(made.public_bytes(Encoding.PEM))
    (tmp_path / "ca.pem").write_bytes(b"no certificate")
    found = _read(
        _client(
            sqlite,
            tmp_path,
            lambda: int((now.timestamp() + 86_400) * 1e6),
            tls_certificate=tmp_path / "server.pem",
            tls_client_ca=tmp_path / "ca.pem",
        )
    )
    assert found['gateway_certificate_days_left{certificate="server"}'] == 29
    assert found['gateway_certificate_days_left{certificate="client_ca"}'] == -1


def test_a_name_cannot_add_a_line(sqlite: Database, tmp_path: Path) -> None:
    answer(sqlite, message("C1"), Source('a"} 1\ngateway_database_up 0\n'))
    found = _client(sqlite, tmp_path).get("/metrics").text
    assert "\ngateway_database_up 0" not in found
    assert "gateway_database_up 1.0" in found
