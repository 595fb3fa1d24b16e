from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from gateway.errors import GatewayError, InvalidRequest
from gateway.wire.address import is_public
from gateway.wire.http import get_foreign


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/keys")
        else:
            self.send_response(404 if self.path == "/none" else 200)
        self.end_headers()
        self.wfile.write(b"x" * 200_000 if self.path == "/long" else b"{}")

    def log_message(self, *args: Any) -> None:
        """Nobody reads it."""


@pytest.fixture(scope="module")
def stranger() -> Iterator[str]:
    running = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{running.server_port}"
    running.shutdown()
    thread.join()
    running.server_close()


@pytest.mark.parametrize(
    "url",
    [
        "http://93.184.215.14/keys", "ftp://gateway.example/", "https://", "keys", "",
        "https://127.0.0.1/keys", "https://10.0.0.1/keys", "https://169.254.169.254/latest",
        "https://[::1]/", "https://[::ffff:10.0.0.1]/", "https://[64:ff9b::a00:1]/",
        "https://0.0.0.0/", "https://2130706433/", "https://0x7f.1/", "https://localhost/",
        "https://me@93.184.215.14/", "https://100.64.0.1/", "https://[fd00::1]/",
        "https://[2002:a00:1::]/", "https://224.0.0.1/", "https://x:99999/",
    ],
)  # fmt: skip
def test_what_is_not_public_is_not_asked(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(*_: Any, **__: Any) -> None:
        pytest.fail("a connection was opened")

    monkeypatch.setattr("urllib3.util.connection.create_connection", connect)
    with pytest.raises(InvalidRequest):
        get_foreign(url)


def test_a_name_with_one_inner_address_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 443))
             for one in ("93.184.215.14", "10.0.0.1")]  # fmt: skip
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(InvalidRequest):
        get_foreign("https://keys.example/")


def test_the_connection_goes_to_the_address_that_was_judged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    went: list[Any] = []

    def look_up(host: str, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.215.14", 443))]

    def connect(address: Any, *_: Any, **__: Any) -> None:
        went.append(address)
        raise OSError

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr("urllib3.util.connection.create_connection", connect)
    with pytest.raises(GatewayError):
        get_foreign("https://keys.example/")
    assert asked == ["keys.example"]
    assert went == [("93.184.215.14", 443)]


def test_in_development_a_server_inside_is_asked_within_the_limits(stranger: str) -> None:
    assert get_foreign(f"{stranger}/keys", inside=True) == b"{}"
    for path in ("moved", "none", "long"):
        with pytest.raises(GatewayError):
            get_foreign(f"{stranger}/{path}", inside=True)


@pytest.mark.parametrize(
    ("address", "public"), [("93.184.215.14", True), ("2606:2800::1", True), ("192.168.1.1", False)]
)
def test_an_address_is_public_or_not(address: str, public: bool) -> None:
    assert is_public(address) is public
