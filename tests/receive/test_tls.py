import logging
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gateway.app import Parts
from gateway.cli import main
from gateway.config import Settings
from gateway.errors import InvalidSetting, StoreUnavailable
from gateway.receive.mllp import MllpListener
from gateway.receive.tls import ServerTls, TlsFiles, tls_files
from gateway.source import Source, Sources
from gateway.store.database import Database, now_micros
from gateway.wire.mllp import client_context, send, wrap
from tests.receive.certificates import CLIENT, SERVER, Authority, Issued
from tests.receive.door import Client, codes, intake, mappings, message, rows

LAB = Source("aberdeen", ("igene",), ("lims.aberdeen.example",))


class Place:
    """An authority, the files of one TLS door, and who may come in."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder)
        self.server = self.authority.issue("gateway", ["localhost"], purpose=SERVER, file="server")
        self.lab = self.authority.issue("lab", ["lims.aberdeen.example"])
        self.client_ca = folder / "clients.pem"
        self.client_ca.write_bytes(self.authority.ca.read_bytes())

    @property
    def files(self) -> TlsFiles:
        return TlsFiles(*self.server.files, self.client_ca)

    @contextmanager
    def listening(
        self, database: Database, *known: Source, plain: bool = True, **settings: Any
    ) -> Iterator[MllpListener]:
        listener = MllpListener(
            "127.0.0.1", 0 if plain else None, intake(database),
            replace(Settings(), mllp_tls_port=0, **settings), now_micros,
            Sources(known, open=not known), ServerTls(self.files),
        )  # fmt: skip
        listener.start()
        try:
            yield listener
        finally:
            listener.stop()


class TlsClient(Client):
    """The raw client, over TLS."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        super().__init__(port)
        self.socket = context.wrap_socket(self.socket, server_hostname="127.0.0.1")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_client_with_its_certificate_is_heard_as_its_source(
    database: Database, place: Place
) -> None:
    with (
        place.listening(database, LAB) as listener,
        TlsClient(listener.tls_port, place.authority.client(place.lab)) as client,
    ):
        assert client.socket.version() in ("TLSv1.2", "TLSv1.3")
        assert codes(client.ask(message()))[0] == "AA"
        assert codes(client.ask(message("C2", application="NOBODY"))) == ("AR", "200")
    assert [(row.source, row.state) for row in rows(database)] == [
        ("aberdeen", "accepted"), ("aberdeen", "rejected"),
    ]  # fmt: skip


def test_a_source_may_not_send_as_another_sender(sqlite: Database, place: Place) -> None:
    elsewhere = replace(LAB, senders=("lri",))
    with (
        place.listening(sqlite, elsewhere) as listener,
        TlsClient(listener.tls_port, place.authority.client(place.lab)) as client,
    ):
        assert codes(client.ask(message())) == ("AR", "200")
    assert [row.state for row in rows(sqlite)] == ["rejected"]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_fingerprint_is_a_name_and_both_versions_are_spoken(
    sqlite: Database, place: Place, version: ssl.TLSVersion
) -> None:
    context = place.authority.client(place.lab)
    context.minimum_version = context.maximum_version = version
    pinned = Source("pinned", certificates=(place.lab.fingerprint,))
    with (
        place.listening(sqlite, pinned) as listener,
        TlsClient(listener.tls_port, context) as client,
    ):
        assert codes(client.ask(message()))[0] == "AA"
    assert rows(sqlite)[0].source == "pinned"


def test_without_a_table_of_sources_the_certificate_gives_the_name(
    sqlite: Database, place: Place
) -> None:
    with place.listening(sqlite) as listener:
        for context in (place.authority.client(place.lab),) * 2:
            with TlsClient(listener.tls_port, context) as client:
                assert codes(client.ask(message()))[0] == "AA"
    assert {row.source for row in rows(sqlite)} == {"tls:lims.aberdeen.example"}


def _old(place: Place, _: Path) -> ssl.SSLContext:
    context = place.authority.client(place.lab)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1 is deprecated"):
        context.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="TLSv1_1 is deprecated"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


def _stranger(place: Place, folder: Path) -> ssl.SSLContext:
    other = Authority(folder, "Other CA")
    return place.authority.client(other.issue("lab", ["lims.aberdeen.example"], file="other"))


REFUSED: dict[str, tuple[Callable[[Place, Path], ssl.SSLContext], str]] = {
    "no certificate": (lambda place, _: place.authority.client(), "PEER_DID_NOT_RETURN"),
    "another CA": (_stranger, "unable to get local issuer"),
    "an expired certificate": (
        lambda place, _: place.authority.client(
            place.authority.issue("", ["lims.aberdeen.example"], days=-1, file="old")),
        "expired"),
    "a certificate for servers": (
        lambda place, _: place.authority.client(
            place.authority.issue("", ["lims.aberdeen.example"], purpose=SERVER, file="wrong")),
        "unsuitable certificate purpose"),
    "TLS 1.1": (_old, "UNSUPPORTED_PROTOCOL"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_who_is_not_proved_is_refused_and_the_log_says_why(
    sqlite: Database, place: Place, tmp_path: Path, case: str, caplog: pytest.LogCaptureFixture
) -> None:
    make, reason = REFUSED[case]
    context = make(place, tmp_path)
    with place.listening(sqlite, LAB) as listener:
        with pytest.raises(StoreUnavailable):
            list(send("127.0.0.1", listener.tls_port, [message()], tls=context))
        (refused,) = send(
            "127.0.0.1", listener.tls_port, [message("C2")], tls=place.authority.client(place.lab)
        )
    assert codes(refused)[0] == "AA"
    assert [row.control_id for row in rows(sqlite)] == ["C2"]
    (record,) = [one for one in caplog.records if one.message == "a TLS handshake failed"]
    assert reason in record.reason  # type: ignore[attr-defined]


def test_a_certificate_of_no_known_source_is_closed_before_anything_is_read(
    sqlite: Database, place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    visitor = place.authority.issue("visitor", ["visitor.example"])
    with place.listening(sqlite, LAB) as listener:
        context = place.authority.client(visitor)
        with pytest.raises(StoreUnavailable):
            list(send("127.0.0.1", listener.tls_port, [message()], tls=context))
    assert rows(sqlite) == []
    (record,) = [one for one in caplog.records if one.levelno == logging.WARNING]
    assert record.message == "a certificate of no known source"
    assert record.reason == visitor.fingerprint  # type: ignore[attr-defined]


def test_without_tls_nobody_is_heard_on_the_tls_door(sqlite: Database, place: Place) -> None:
    with place.listening(sqlite, LAB) as listener, Client(listener.tls_port) as client:
        client.send(wrap(message()))
        with suppress(ConnectionResetError):
            while client.socket.recv(1000):  # an alert, and then the end
                pass
    assert rows(sqlite) == []


def test_slow_handshakes_of_one_address_keep_nobody_waiting(
    sqlite: Database, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.receive.tls._HANDSHAKE_SECONDS", 600.0)
    monkeypatch.setattr("gateway.receive.mllp._HANDSHAKES_EACH", 2)
    monkeypatch.setattr("gateway.receive.mllp._HANDSHAKES", 3)
    with place.listening(sqlite) as listener:
        silent = [Client(listener.tls_port) for _ in range(5)]
        door = socket.create_connection(
            ("127.0.0.1", listener.tls_port), 60, source_address=("127.0.0.2", 0)
        )
        context = place.authority.client(place.lab)
        with context.wrap_socket(door, server_hostname="127.0.0.1") as client:
            client.sendall(wrap(message()))
            assert b"MSA|AA|C1" in client.recv(10_000)
        with Client(listener.port) as plain:
            assert codes(plain.ask(message("C2")))[0] == "AA"
        for one in silent:
            one.socket.close()


def test_a_handshake_that_never_ends_is_ended(
    sqlite: Database, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.receive.tls._HANDSHAKE_SECONDS", 0.1)
    monkeypatch.setattr("gateway.receive.mllp._HANDSHAKES_EACH", 1)
    with (
        place.listening(sqlite) as listener,
        Client(listener.tls_port) as silent,
        Client(listener.tls_port) as behind,
    ):
        assert silent.reply() == b""
        assert behind.reply() == b""


def _served(client: TlsClient) -> bytes | None:
    return client.socket.getpeercert(binary_form=True)  # type: ignore[attr-defined, no-any-return]


def _put(issued: Issued, files: tuple[Path, Path]) -> None:
    for new, old in zip(issued.files, files, strict=True):
        new.replace(old)


def test_new_certificates_count_for_new_connections_and_old_ones_go_on(
    sqlite: Database, place: Place
) -> None:
    trust = place.authority.client(place.lab)
    files = place.server.files
    with place.listening(sqlite) as listener, TlsClient(listener.tls_port, trust) as old:
        assert codes(old.ask(message("C1")))[0] == "AA"
        renewed = place.authority.issue("gateway", ["localhost"], purpose=SERVER, file="renewed")
        _put(renewed, files)
        with TlsClient(listener.tls_port, trust) as new:
            assert codes(new.ask(message("C2")))[0] == "AA"
            assert (_served(old), _served(new)) == (place.server.der, renewed.der)
        assert codes(old.ask(message("C3")))[0] == "AA"


def test_bad_new_certificates_change_nothing_and_are_said_once(
    sqlite: Database, place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    trust = place.authority.client(place.lab)
    certificate, key = place.server.files
    renewed = place.authority.issue("gateway", ["localhost"], purpose=SERVER, file="renewed")
    with place.listening(sqlite) as listener:
        renewed.files[0].replace(certificate)  # its key is still to come
        for number in range(3):
            with TlsClient(listener.tls_port, trust) as client:
                assert _served(client) == place.server.der
                assert codes(client.ask(message(f"C{number}")))[0] == "AA"
        assert [one.message for one in caplog.records if one.levelno == logging.ERROR] == [
            "the new TLS certificates cannot be used; the old ones stay"
        ]
        renewed.files[1].replace(key)
        with TlsClient(listener.tls_port, trust) as client:
            assert _served(client) == renewed.der


def test_a_revoked_certificate_is_refused_from_the_next_connection(
    sqlite: Database, place: Place
) -> None:
    other = place.authority.issue("", ["other.example"])
    with place.listening(sqlite) as listener:
        port, trust = listener.tls_port, place.authority.client(place.lab)
        assert len(list(send("127.0.0.1", port, [message("C1")], tls=trust))) == 1
        listed = place.authority.ca.read_bytes() + place.authority.revoke(place.lab)
        place.client_ca.write_bytes(listed)
        with pytest.raises(StoreUnavailable):
            list(send("127.0.0.1", port, [message("C2")], tls=trust))
        good = place.authority.client(other)
        assert len(list(send("127.0.0.1", port, [message("C3")], tls=good))) == 1
    assert [row.control_id for row in rows(sqlite)] == ["C1", "C3"]


def test_the_cap_of_a_source_counts_both_doors(sqlite: Database, place: Place) -> None:
    both = replace(LAB, addresses=(ip_network("127.0.0.1"),), connections=1)
    context = place.authority.client(place.lab)
    with place.listening(sqlite, both) as listener, Client(listener.port) as plain:
        assert codes(plain.ask(message("C1")))[0] == "AA"
        with TlsClient(listener.tls_port, context) as secured:
            secured.send(wrap(message("C2")))
            assert codes(plain.ask(message("C3")))[0] == "AA"
            plain.socket.close()
            assert codes(secured.reply())[0] == "AA"
    assert [row.control_id for row in rows(sqlite)] == ["C1", "C3", "C2"]


def test_the_limit_of_all_connections_counts_both_doors(sqlite: Database, place: Place) -> None:
    context = place.authority.client(place.lab)
    with place.listening(sqlite, mllp_connections=1) as listener:
        with Client(listener.port) as plain:
            assert codes(plain.ask(message("C1")))[0] == "AA"
            secured = TlsClient(listener.tls_port, context)
            secured.send(wrap(message("C2")))
            assert codes(plain.ask(message("C3")))[0] == "AA"
        with secured:
            assert codes(secured.reply())[0] == "AA"
    assert [row.control_id for row in rows(sqlite)] == ["C1", "C3", "C2"]


def test_stopping_ends_those_who_wait_and_those_who_shake_hands(
    sqlite: Database, place: Place
) -> None:
    context = place.authority.client(place.lab)
    with place.listening(sqlite, mllp_connections=1) as listener:
        plain = Client(listener.port)
        assert codes(plain.ask(message("C1")))[0] == "AA"
        silent, waiting = Client(listener.tls_port), TlsClient(listener.tls_port, context)
    for client in (plain, silent, waiting):
        with client:
            assert client.reply() == b""


def test_a_pipelined_batch_over_tls_is_answered_in_order(sqlite: Database, place: Place) -> None:
    context = place.authority.client(place.lab)
    with place.listening(sqlite) as listener, TlsClient(listener.tls_port, context) as client:
        client.send(b"".join(wrap(message(f"C{number}")) for number in range(60)))
        replies = [client.reply() for _ in range(60)]
    assert [row.control_id for row in rows(sqlite)] == [f"C{number}" for number in range(60)]
    assert all(f"|C{number}\r".encode() in one for number, one in enumerate(replies))


def test_with_tls_only_there_is_no_plain_door(sqlite: Database, place: Place) -> None:
    with place.listening(sqlite, plain=False) as listener:
        assert listener.port == 0
        trust = place.authority.client(place.lab)
        assert len(list(send("127.0.0.1", listener.tls_port, [message()], tls=trust))) == 1


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_the_three_files_go_together(tmp_path: Path, missing: int) -> None:
    names = ["tls_certificate", "tls_key", "tls_client_ca"]
    del names[missing]
    settings = replace(Settings(), **{name: tmp_path / name for name in names})
    with pytest.raises(InvalidSetting):
        tls_files(settings)
    assert tls_files(Settings()) is None


def test_files_that_cannot_be_used_are_said_at_the_start(place: Place, tmp_path: Path) -> None:
    good = place.files
    sealed = place.authority.issue("sealed", purpose=CLIENT, passphrase=b"open sesame")
    absent, rubbish = tmp_path / "absent.pem", tmp_path / "rubbish.pem"
    rubbish.write_bytes(b"rubbish")
    for files, where in [
        (replace(good, certificate=absent), "tls_key"),
        (replace(good, key=sealed.files[1]), "tls_key"),
        (TlsFiles(*sealed.files, good.client_ca), "tls_key"),
        (replace(good, client_ca=absent), "tls_client_ca"),
        (replace(good, client_ca=rubbish), "tls_client_ca"),
    ]:
        with pytest.raises(InvalidSetting) as caught:
            ServerTls(files)
        assert caught.value.where == where


@pytest.mark.parametrize(("port", "tls"), [(2575, False), (2575, True), (0, True)])
def test_the_settings_say_which_doors_there_are(
    sqlite: Database, place: Place, port: int, tls: bool
) -> None:
    files = place.files
    settings = replace(Settings(), mllp_port=port)
    if tls:
        settings = replace(
            settings, tls_certificate=files.certificate, tls_key=files.key,
            tls_client_ca=files.client_ca,
        )  # fmt: skip
    listener = Parts(settings, sqlite, mappings(), Sources()).listener()
    assert (listener.port, listener.tls_port) == (port, 2576)


def test_without_any_door_listening_is_refused(sqlite: Database) -> None:
    parts = Parts(replace(Settings(), mllp_port=0), sqlite, mappings(), Sources())
    with pytest.raises(InvalidSetting):
        parts.listener()


def test_the_client_s_own_tls_files_are_checked(place: Place, tmp_path: Path) -> None:
    context = client_context(place.authority.ca, *place.lab.files)
    assert context.verify_mode is ssl.CERT_REQUIRED
    with pytest.raises(InvalidSetting):
        client_context(tmp_path / "absent.pem")
    with pytest.raises(InvalidSetting):
        client_context(place.authority.ca, place.lab.files[0], place.server.files[1])


def test_gateway_send_speaks_tls(sqlite: Database, place: Place, tmp_path: Path) -> None:
    file = tmp_path / "message.hl7"
    file.write_bytes(message())
    certificate, key = map(str, place.lab.files)

    def run(*arguments: str) -> tuple[int, str]:
        shown = CliRunner().invoke(main, ["send", str(file), *arguments])
        return shown.exit_code, shown.output

    with place.listening(sqlite, LAB) as listener:
        to = f"mllps://127.0.0.1:{listener.tls_port}"
        ours = ("--certificate", certificate, "--key", key, "--ca", str(place.authority.ca))
        code, output = run("--to", to, *ours)
        assert (code, "MSA|AA|C1" in output) == (0, True)
        assert run("--to", to, "--ca", str(place.authority.ca))[0] == 1
        code, output = run("--to", to, *ours[:4])
        assert (code, "CERTIFICATE_VERIFY_FAILED" in output) == (1, True)
        assert run("--to", to, *ours[:2])[0] == 2
        assert run("--to", f"mllp://127.0.0.1:{listener.port}", *ours)[0] == 2
        assert run("--to", "mllps://127.0.0.1")[0] == 2
