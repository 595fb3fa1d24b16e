"""A running gateway with a clinician, two patients and apps, and a second port that serves an app.

Everything is made as an administrator and a laboratory would: by commands and by messages.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from click.testing import CliRunner

from gateway.cli import main
from gateway.demo import scenario
from gateway.oauth.keys import new_key
from gateway.store.database import Database
from gateway.store.listing import list_messages
from gateway.wire.mllp import send
from tests.postgres import free_port

PASSWORD = "silver teapot canyon"
BOARD = "S08000024"
CHI = "0101625707"
NODE_MODULES = Path(__file__).with_name("node_modules")
SMART_JS = NODE_MODULES / "fhirclient" / "build" / "fhir-client.pure.min.js"
OPENID_CLIENT = NODE_MODULES / "openid-client"
_PERSONAL = "openid fhirUser offline_access patient/*.rs"
_SECONDS = 60.0


class _Pages(SimpleHTTPRequestHandler):
    """The files of the app, the SMART JS client, and what the app must know."""

    def __init__(self, *given: Any, about: dict[str, str]) -> None:
        self._about = about
        super().__init__(*given, directory=str(Path(__file__).with_name("app")))

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/client.json":
            self._answer(json.dumps(self._about).encode(), "application/json")
        elif path == "/fhir-client.js":
            self._answer(SMART_JS.read_bytes(), "text/javascript")
        elif path == "/back":
            self._answer(b"back in the app", "text/plain")
        else:
            super().do_GET()

    def _answer(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *given: object) -> None:
        """Say nothing."""


@dataclass
class Hospital:
    """The addresses, and who and what is known there; `keys` are private JWKs by algorithm."""

    folder: Path
    port: int = field(default_factory=free_port)
    mllp_port: int = field(default_factory=free_port)
    app: str = ""
    app_id: str = ""
    person: str = ""
    patient: str = ""
    about: dict[str, str] = field(default_factory=dict)
    ehr: dict[str, Any] = field(default_factory=dict)

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def fhir(self) -> str:
        return f"{self.base}/fhir"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "GATEWAY_DATA": str(self.folder), "GATEWAY_PORT": str(self.port),
            "GATEWAY_MLLP_PORT": str(self.mllp_port), "GATEWAY_BASE_URL": self.base,
            "GATEWAY_HTTP_PROCESSES": "1", "GATEWAY_LOG_LEVEL": "warning",
            "GATEWAY_DEVELOPMENT": "true",  # apps on loopback
        }  # fmt: skip

    def command(self, *words: str, given: str = "") -> str:
        """Run a `gateway` command; return what it printed."""
        done = CliRunner().invoke(main, words, input=given, env=self.environment)
        assert done.exit_code == 0, done.output
        return done.stdout.strip()

    def add_backend(self, name: str, scope: str, algorithm: str = "ES384") -> dict[str, Any]:
        """Register a client that signs with a key of its own; return its id and private key."""
        private, public = new_key(algorithm)
        keys = self.folder / f"{public['kid']}.json"
        keys.write_text(json.dumps({"keys": [public]}))
        made = self.command("client", "add", name, "--scope", scope, "--jwks", str(keys))
        return {"client_id": made, "key": private}

    def add_app(self, name: str, *words: str) -> str:
        """Register an app without a secret, operated by a board."""
        return self.command("client", "add", name, "--owner", "NHS Example",
                            "--redirect-uri", f"{self.app}/back", *words)  # fmt: skip


def _populate(hospital: Hospital) -> None:
    hospital.person = hospital.command(
        "user", "add", "isla", "--name", "Dr Isla Example", "--role", "clinician",
        "--board", BOARD, given=f"{PASSWORD}\n",
    )  # fmt: skip
    hospital.about |= {"fhir": hospital.fhir, "scope": _PERSONAL}
    hospital.app_id = hospital.about["client_id"] = hospital.add_app(
        "Genomics viewer", "--scope", f"launch launch/patient {_PERSONAL}",
        "--redirect-uri", f"{hospital.app}/index.html",
        "--launch-url", f"{hospital.app}/index.html",
    )  # fmt: skip
    hospital.ehr = hospital.add_backend("Ward EHR", "gateway/launch.write")
    _send_messages(hospital)
    hospital.command("grant", "relate", hospital.patient, "--party", BOARD, "--who", "tests")


def _send_messages(hospital: Hospital) -> None:
    """Two people, two reports of the first and one of the second, through the MLLP door."""
    steps = list(scenario())
    report = next(step.message for step in steps if step.name.startswith("germline positive"))
    other = next(step.message for step in steps if step.name.startswith("negative"))
    second = report.replace(b"D0001", b"D0101").replace(b"LRI-1", b"LRI-101")
    messages = [steps[0].message, steps[1].message, report, second, other]
    assert all(b"MSA|AA" in one for one in send("127.0.0.1", hospital.mllp_port, messages))
    database = Database(f"sqlite:///{hospital.folder / 'gateway.db'}")
    deadline = time.monotonic() + _SECONDS
    while True:
        with database.read() as connection:
            rows = list_messages(connection, limit=len(messages))
        if all(row["state"] == "filed" for row in rows):
            break
        assert time.monotonic() < deadline, [row["state"] for row in rows]
        time.sleep(0.1)
    database.close()
    first = min(rows, key=lambda row: int(row["key"]))
    (patient,) = json.loads(first["outcome"])
    hospital.patient = patient.removeprefix("Patient/")


def _wait(hospital: Hospital, gateway: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _SECONDS
    while True:
        assert gateway.poll() is None
        assert time.monotonic() < deadline
        try:
            with urlopen(f"{hospital.base}/health/ready"):
                list(send("127.0.0.1", hospital.mllp_port, [], 1.0))
                return
        except Exception:
            time.sleep(0.1)


@contextmanager
def _app_pages(hospital: Hospital) -> Iterator[None]:
    """Serve the app at an origin of its own, so that what it asks crosses origins."""
    handler = partial(_Pages, about=hospital.about)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as pages:
        hospital.app = f"http://127.0.0.1:{pages.server_port}"
        thread = threading.Thread(target=pages.serve_forever)
        thread.start()
        try:
            yield
        finally:
            pages.shutdown()
            thread.join()


@contextmanager
def open_hospital(folder: Path, schema: Path) -> Iterator[Hospital]:
    """Start everything on a copy of an empty database, and end it."""
    hospital = Hospital(folder)
    shutil.copy(schema, folder / "gateway.db")
    environment = os.environ | hospital.environment
    gateway = subprocess.Popen([sys.executable, "-m", "gateway.cli", "up"], env=environment)
    try:
        with _app_pages(hospital):
            _wait(hospital, gateway)
            _populate(hospital)
            yield hospital
    finally:
        gateway.terminate()
        gateway.wait()
