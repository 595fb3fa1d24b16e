from __future__ import annotations

import base64
from pathlib import Path

import pytest

from gateway.app import create_app
from gateway.config import Settings
from gateway.receive.forwarded import certificate_names
from gateway.store.database import Database
from gateway.store.schema import upgrade
from tests.receive.certificates import Authority
from tests.receive.door import codes, message

PROXIES = ("10.0.0.0/24", "fd00::/8")


@pytest.fixture
def der(tmp_path: Path) -> bytes:
    return Authority(tmp_path).issue("", ["lims.example"]).der


def _field(der: bytes) -> str:
    return f":{base64.b64encode(der).decode()}:"


@pytest.mark.parametrize("address", ["10.0.0.7", "::ffff:10.0.0.7", "fd00::1"])
def test_a_proxy_hands_on_who_the_client_is(der: bytes, address: str) -> None:
    assert certificate_names(_field(der), address, PROXIES)[0] == "lims.example"


@pytest.mark.parametrize(
    ("address", "proxies"),
    [("10.0.1.7", PROXIES), ("10.0.0.7", ()), ("", PROXIES), (None, PROXIES), ("x", PROXIES)],
)
def test_a_stranger_is_not_believed(
    der: bytes, address: str | None, proxies: tuple[str, ...]
) -> None:
    assert certificate_names(_field(der), address, proxies) == ()


@pytest.mark.parametrize("field", ["", ":", "::", "x", ":!!:", "abcd", ":abcd", "abcd:"])
def test_what_is_no_certificate_names_nobody(field: str) -> None:
    assert not [one for one in certificate_names(field, "10.0.0.7", PROXIES)
                if not one.startswith("sha256:")]  # fmt: skip


def test_a_laboratory_sends_with_its_certificate_through_a_proxy(
    tmp_path: Path, der: bytes
) -> None:
    sources = tmp_path / "sources.toml"
    sources.write_text('[lims]\ncertificates = ["lims.example"]\nsenders = ["igene"]\n')
    data = tmp_path / "data"
    data.mkdir()
    database = Database(f"sqlite:///{data / 'gateway.db'}")
    upgrade(database)
    settings = Settings(data=data, sources=sources, trusted_proxies=("10.0.0.5/32",))
    client = create_app(settings).test_client()

    def send(address: str, field: str) -> tuple[int, bytes]:
        reply = client.post(
            "/hl7", data=message(), content_type="application/hl7-v2",
            headers={"Client-Cert": field}, environ_base={"REMOTE_ADDR": address},
        )  # fmt: skip
        return reply.status_code, reply.data

    status, ack = send("10.0.0.5", _field(der))
    assert (status, codes(ack)[0]) == (200, "AA")
    other = Authority(tmp_path, "other").issue("", ["other.example"]).der
    assert send("10.0.0.5", _field(other))[0] == 403
    assert send("192.0.2.1", _field(der))[0] == 401
    with database.read() as connection:
        row = connection.exec_driver_sql("SELECT source FROM message").one()
    assert row.source == "lims"
    database.close()
