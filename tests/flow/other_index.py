"""Another index of patients to ask: one over MLLP (IHE PDQ), one over HTTP (IHE PDQm)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson

from gateway.wire.mllp import Deframer, wrap


@dataclass
class Index:
    """What the other index knows: CHI to (family, given, birth date); how it behaves is set."""

    people: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    up: bool = True
    asked: list[str] = field(default_factory=list)
    url: str = ""


class _Mllp(BaseRequestHandler):
    def handle(self) -> None:
        index: Index = self.server.index  # type: ignore[attr-defined]
        frames = Deframer(100_000)
        while data := self.request.recv(65_536):
            for frame in frames.feed(data):
                self.request.sendall(wrap(self._answer(index, frame.payload.decode())))

    def _answer(self, index: Index, query: str) -> bytes:
        rows = {line[:3]: line.split("|") for line in query.split("\r")}
        control, tag, asked = rows["MSH"][9], rows["QPD"][2], rows["QPD"][3]
        number = asked.partition("@PID.3.1^")[2].partition("~")[0]
        index.asked.append(number)
        person = index.people.get(number)
        code, status = ("AA", "OK" if person else "NF") if index.up else ("AE", "AE")
        lines = ["MSH|^~\\&|PDQ||GATEWAY||20260101||RSP^K22^RSP_K21|1|P|2.5",
                 f"MSA|{code}|{control}", f"QAK|{tag}|{status}", query.split("\r")[1]]  # fmt: skip
        if person and index.up:
            family, given, born = person
            born = born.replace("-", "")
            lines.append(f"PID|1||{number}^^^CHI^NH||{family}^{given}||{born}|F")
        return "".join(f"{line}\r" for line in lines).encode()


class _Fhir(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        identifier = parse_qs(urlsplit(self.path).query)["identifier"][0]
        self._answer(identifier.rpartition("|")[2])

    def do_POST(self) -> None:
        body = orjson.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(body["parameter"][0]["resource"]["identifier"][0]["value"])

    def _answer(self, number: str) -> None:
        index: Index = self.server.index  # type: ignore[attr-defined]
        index.asked.append(number)
        found = [_patient(number, *index.people[number])] if number in index.people else []
        bundle = {"resourceType": "Bundle", "type": "searchset",
                  "entry": [{"resource": one} for one in found]}  # fmt: skip
        self.send_response(200 if index.up else 500)
        self.end_headers()
        self.wfile.write(orjson.dumps(bundle))

    def log_message(self, format: str, *args: Any) -> None:
        pass


def _patient(number: str, family: str, given: str, born: str) -> dict[str, Any]:
    system = "urn:oid:2.16.840.1.113883.2.1.3.2.4.16.53"
    return {"resourceType": "Patient", "identifier": [{"system": system, "value": number}],
            "name": [{"family": family, "given": [given]}], "birthDate": born}  # fmt: skip


@contextmanager
def other_index(kind: str) -> Iterator[Index]:
    """Serve an index over `mllp` or `http` on a free port."""
    index = Index()
    server: Any
    if kind == "mllp":
        server = ThreadingTCPServer(("127.0.0.1", 0), _Mllp)
        server.daemon_threads = True
    else:
        server = HTTPServer(("127.0.0.1", 0), _Fhir)
    server.index = index
    index.url = f"{kind}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield index
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
