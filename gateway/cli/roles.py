"""Commands that run until they are told to stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import FrameType

import click

from gateway.app import open_parts
from gateway.cli.environment import settings
from gateway.config import Settings

_HEADER_MILLISECONDS = 10_000
_HEADER_BYTES = 65_536


def _until_told(stop: Callable[[], None]) -> None:
    """Wait for SIGTERM or SIGINT, then stop."""
    told = threading.Event()

    def tell(_number: int, _frame: FrameType | None) -> None:
        told.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, tell)
    told.wait()
    stop()


@click.command()
def serve() -> None:
    """Serve FHIR, OAuth, HL7 over HTTP and health."""
    from granian import Granian
    from granian.constants import HTTPModes, Interfaces
    from granian.http import HTTP1Settings

    given = settings()
    Granian(
        "gateway.app:create_app", factory=True, interface=Interfaces.WSGI, address=given.host,
        port=given.port, workers=given.http_processes,
        blocking_threads=given.http_threads, log_access=False, http=HTTPModes.http1,
        websockets=False, http1_settings=HTTP1Settings(
            header_read_timeout=_HEADER_MILLISECONDS, max_buffer_size=_HEADER_BYTES
        ),
    ).serve()  # fmt: skip


@click.command()
def listen() -> None:
    """Receive HL7 v2 over MLLP, with and without TLS, and from drop folders."""
    doors = open_parts(settings()).doors()
    for door in doors:
        door.start()

    def stop() -> None:
        for door in doors:
            door.stop()

    _until_told(stop)


@click.command()
def work() -> None:
    """File what was accepted."""
    parts = open_parts(settings())
    worker, watch = parts.worker(), parts.watch()
    worker.start()
    watch.start()

    def stop() -> None:
        watch.stop()
        worker.stop()

    _until_told(stop)


@click.command()
def up() -> None:
    """Run everything on this host: HTTP, MLLP and workers."""
    given = settings()
    parts = open_parts(given, upgrade=True)
    parts.database.close()
    roles = [
        subprocess.Popen([sys.executable, "-m", "gateway.cli", role])  # noqa: S603 - our own words
        for role in ("serve", "listen", "work")
        if role != "listen" or parts.listens
    ]
    ended = threading.Event()

    def watch(role: subprocess.Popen[bytes]) -> None:
        role.wait()
        ended.set()
        os.kill(os.getpid(), signal.SIGTERM)

    def stop() -> None:
        for role in roles:
            role.terminate()
        for role in roles:
            role.wait()

    for role in roles:
        threading.Thread(target=watch, args=(role,), daemon=True).start()
    _until_told(stop)
    sys.exit(1 if any(role.returncode not in (0, -signal.SIGTERM) for role in roles) else 0)


@click.command()
@click.option("--once", is_flag=True, help="Stop after the table; exit 0 when all is as expected.")
@click.option("--port", default=8000, show_default=True)
@click.option("--mllp-port", default=2575, show_default=True)
@click.option("--data", type=click.Path(path_type=Path), default=None, help="An empty folder.")
def demo(once: bool, port: int, mllp_port: int, data: Path | None) -> None:
    """Start everything with invented patients, send sample messages, show what became of them."""
    from gateway.demo import run

    settings = replace(
        Settings(), port=port, mllp_port=mllp_port, base_url=f"http://127.0.0.1:{port}",
        development=True,
    )  # fmt: skip
    sys.exit(run(settings, data, once))
