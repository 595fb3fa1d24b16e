"""Reads and searches over HTTP, with token, access and audit: CPU ms per request, and requests
per second of a real server, beside the same server's Flask hello in the same run.

`python -m benchmarks.serve [REPORTS …] [--postgres | --sqlite]`
"""

from __future__ import annotations

import os
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from flask import Flask

from benchmarks.accept import running
from gateway.app import create_app
from gateway.oauth.clients import register
from gateway.oauth.keys import new_key
from gateway.store import schema
from gateway.store.clients import Token, save_token, token_digest
from gateway.store.database import Database, now_micros
from tests import postgres
from tests.store.search.many import fill

PER_PATIENT, RESULTS = 4, 5
SIZES = (2_000, 200_000)
ROUNDS, ROUND_SECONDS = 5, 0.5
TOKEN = "a-token-of-the-benchmark"
# DESIGN.md, "How good it must be": CPU ms; the ratio of requests to hello's; the growth.
BUDGETS = {"read": 0.35, "+_include=result": 1.0, "$everything": 1.2}
HELLO_RATIO, GROWTH = 0.3, 1.3
CONNECTIONS = 8


def paths(patient: int) -> dict[str, str]:
    """What is asked of one patient."""
    who = f"p.copy{patient}"
    search = f"/fhir/DiagnosticReport?patient={who}"
    return {
        "hello": "/hello",
        "read": f"/fhir/DiagnosticReport/r1.copy{patient}",
        "?patient": search,
        "+_include=result": f"{search}&_include=DiagnosticReport:result",
        "$everything": f"/fhir/Patient/{who}/$everything?_count=100",
    }


def application() -> Flask:
    """The gateway as its settings say, and beside it a view that does nothing."""
    app = create_app()
    app.add_url_rule("/hello", "hello", lambda: "hello")
    return app


def prepare(url: str, reports: int) -> int:
    """Fill a new database and let the client in; returns the number of patients."""
    database = Database(url)
    schema.upgrade(database)
    patients = reports // PER_PATIENT
    fill(database, patients, PER_PATIENT, RESULTS)
    if not database.is_sqlite:  # else its own clean-up after the filling is counted as ours
        with database.read() as connection:
            connection.exec_driver_sql("VACUUM (ANALYZE)")
    now = now_micros()
    keys = {"keys": [new_key("ES384")[1]]}
    client = register(database, "a benchmark", "system/*.rs", keys, now)
    with database.write() as connection:
        row = Token(client.id, "system/*.rs", now, now + 3600 * 1_000_000)
        save_token(connection, token_digest(TOKEN), row)
    database.close()
    return patients


def ask(app: Flask, path: str) -> int:
    """One request through the whole application; the size of the answer."""
    route, _, query = path.partition("?")
    environ = {
        "REQUEST_METHOD": "GET", "PATH_INFO": route, "QUERY_STRING": query, "SCRIPT_NAME": "",
        "SERVER_NAME": "127.0.0.1", "SERVER_PORT": "8000", "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "127.0.0.1:8000", "HTTP_AUTHORIZATION": f"Bearer {TOKEN}",
        "wsgi.version": (1, 0), "wsgi.url_scheme": "http", "wsgi.input": None,
        "wsgi.errors": sys.stderr, "wsgi.multithread": False, "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }  # fmt: skip
    status: list[str] = []
    answer = app.wsgi_app(environ, lambda given, headers, info=None: status.append(given))
    size = sum(len(part) for part in answer)
    if not status[0].startswith("200"):
        raise SystemExit(f"{route.split('/')[2]}: {status[0]}")
    return size


def cpu_ms(app: Flask, patients: int, database_cpu: Callable[[], float]) -> dict[str, list[float]]:
    """CPU ms per request of each kind, the database's with it, in interleaved rounds."""
    found: dict[str, list[float]] = {name: [] for name in paths(1)}
    number = 0
    for name in found:
        ask(app, paths(1)[name])
    for _ in range(ROUNDS):
        for name, times in found.items():
            began, there, count = time.process_time(), database_cpu(), 0
            while time.process_time() - began < ROUND_SECONDS:
                number = (number + 7919) % (patients - 1)
                ask(app, paths(number + 1)[name])
                count += 1
            spent = time.process_time() - began + database_cpu() - there
            times.append(spent / count * 1e3)
    return found


def backends(cluster: postgres.Cluster) -> Callable[[], float]:
    """Return what reads the CPU seconds of every process of a cluster."""
    postmaster = int((cluster.folder / "postmaster.pid").read_text().split()[0])
    tick = os.sysconf("SC_CLK_TCK")

    def read() -> float:
        spent = 0
        for folder in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = folder.read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has just ended
            if int(fields[1]) == postmaster:
                spent += int(fields[11]) + int(fields[12])
        return spent / tick

    return read


# -- a real server --------------------------------------------------------------------------


class Reader(threading.Thread):
    """One connection that is kept and asks again as soon as it is answered."""

    def __init__(self, port: int, path: Callable[[int], str], number: int, stop: float) -> None:
        super().__init__()
        self.port, self.path, self.number, self.stop, self.count = port, path, number, stop, 0

    def run(self) -> None:
        with socket.create_connection(("127.0.0.1", self.port)) as sock:
            while time.perf_counter() < self.stop:
                self.number += 7
                sock.sendall(
                    f"GET {self.path(self.number)} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                    f"Authorization: Bearer {TOKEN}\r\n\r\n".encode()
                )
                self.read(sock)
                self.count += 1

    def read(self, sock: socket.socket) -> None:
        data = b""
        while b"\r\n\r\n" not in data:
            data += sock.recv(65536)
        head, _, body = data.partition(b"\r\n\r\n")
        lower = head.lower()
        if b" 200 " not in head[:16] or b"content-length:" not in lower:
            raise SystemExit("the server did not answer as expected")
        left = int(lower.split(b"content-length:")[1].split(b"\r\n")[0]) - len(body)
        while left > 0:
            left -= len(sock.recv(65536))


def per_second(port: int, path: Callable[[int], str]) -> float:
    stop = time.perf_counter() + ROUND_SECONDS * 4
    readers = [Reader(port, path, number * 1000, stop) for number in range(CONNECTIONS)]
    for one in readers:
        one.start()
    for one in readers:
        one.join()
    return sum(one.count for one in readers) / (ROUND_SECONDS * 4)


SERVE = """
import sys
from granian import Granian
from granian.constants import Interfaces
Granian("benchmarks.serve:application", address="127.0.0.1", port=int(sys.argv[1]), factory=True,
        interface=Interfaces.WSGI, workers=1, blocking_threads=1).serve()
"""


def hello_ratio(settings: dict[str, str], patients: int) -> tuple[float, float]:
    """Reads per second of granian with one worker, and their ratio to its hello's."""
    port = postgres.free_port()
    with running([sys.executable, "-c", SERVE, str(port)], port, dict(os.environ) | settings):
        rates: dict[str, list[float]] = {"hello": [], "read": []}
        for _ in range(3):
            for name, some in rates.items():
                some.append(per_second(port, lambda n, name=name: paths(n % patients)[name]))
    read, hello = (statistics.median(rates[name]) for name in ("read", "hello"))
    return read, read / hello


# -- the table ------------------------------------------------------------------------------


@contextmanager
def stores(engine: str) -> Iterator[tuple[Callable[[str], str], Callable[[], float]]]:
    """Open an engine: what makes the URL of an empty database, what reads its CPU seconds."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        if engine == "sqlite":
            yield lambda name: f"sqlite:///{folder}/{name}.db", lambda: 0.0
        else:
            with postgres.cluster() as cluster:
                yield cluster.url, backends(cluster)


def measure(engine: str, url: str, reports: int, cpu: Callable[[], float]) -> dict[str, float]:
    """Print one part of the table; returns the medians."""
    patients = prepare(url, reports)
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as data:
        settings = {
            "GATEWAY_DATA": data, "GATEWAY_DATABASE": url, "GATEWAY_LOG_LEVEL": "error",
            "GATEWAY_BASE_URL": "http://127.0.0.1:8000",
        }  # fmt: skip
        os.environ.update(settings)
        found = cpu_ms(application(), patients, cpu)
        middle = {name: statistics.median(some) for name, some in found.items()}
        for name, some in found.items():
            print(
                f"{engine}, {reports} reports, {name}: {middle[name]:.2f} ms"
                f" ({min(some):.2f} - {max(some):.2f})"
            )
        rate, middle["ratio"] = hello_ratio(settings, patients)
        print(
            f"{engine}, {reports} reports, granian: {rate:.0f} reads per second,"
            f" {middle['ratio']:.2f} of its hello"
        )
    return middle


def main(engines: tuple[str, ...], sizes: tuple[int, ...] = SIZES) -> bool:
    """Print the table; whether every budget is met."""
    met = True
    for engine in engines:
        small: dict[str, float] = {}
        with stores(engine) as (url, cpu):
            for reports in sizes:
                middle = measure(engine, url(f"bench_{reports}"), reports, cpu)
                met &= within(middle, small)
                small = small or middle
    return met


def within(middle: dict[str, float], small: dict[str, float]) -> bool:
    """Compare one part of the table with the budgets, and with the smaller store's."""
    met = told(f"reads to hello {middle['ratio']:.2f}", middle["ratio"] >= HELLO_RATIO)
    for name, budget in BUDGETS.items():
        met &= told(f"{name} at most {budget} ms", middle[name] <= budget)
        if small:
            growth = middle[name] / small[name]
            met &= told(f"{name} grows {growth:.2f} x", growth <= GROWTH)
    return met


def told(what: str, fine: bool) -> bool:
    print(f"  {what}: {'met' if fine else 'missed'}")
    return fine


if __name__ == "__main__":
    names = ("sqlite", "postgres") if postgres.programs() else ("sqlite",)
    asked = tuple(one for one in names if f"--{one}" in sys.argv) or names
    numbers = tuple(int(one) for one in sys.argv[1:] if one.isdigit()) or SIZES
    raise SystemExit(0 if main(asked, numbers) else 1)
