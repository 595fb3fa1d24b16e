"""The client gives one error for whatever may go wrong on the network."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from gateway.errors import GatewayError
from gateway.wire.http import get, post_bytes, post_form


@pytest.fixture
def breaking_off() -> Iterator[str]:
    """A server that promises more than it sends."""
    with socket.create_server(("127.0.0.1", 0)) as door:

        def answer() -> None:
            connection, _ = door.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")

        thread = threading.Thread(target=answer)
        thread.start()
        yield f"http://127.0.0.1:{door.getsockname()[1]}/"
        thread.join()


@pytest.mark.parametrize(
    "call", [get, lambda url: post_form(url, {"a": "b"}), lambda url: post_bytes(url, b"a", {})]
)
def test_an_answer_that_breaks_off_is_an_error_of_ours(
    breaking_off: str, call: Callable[[str], object]
) -> None:
    with pytest.raises(GatewayError, match="cannot be reached"):
        call(breaking_off)


def test_a_server_that_is_not_there_is_an_error_of_ours() -> None:
    with pytest.raises(GatewayError, match="cannot be reached"):
        get("http://127.0.0.1:9/")
