"""The only place where everything meets: settings in, the parts of one process out."""

from __future__ import annotations

import json
import logging
import os
import sys
import uuid
from dataclasses import dataclass
from multiprocessing.util import Finalize
from pathlib import Path

from flask import Flask, request

from gateway.access.policy import DEFAULT, Policy, load_policy
from gateway.access.scopes import SEND_HL7
from gateway.config import Settings, load_settings
from gateway.errors import Forbidden, InvalidSetting
from gateway.identify import chi
from gateway.lookup import open_lookup
from gateway.oauth.keyring import AUDIT, Keyring
from gateway.pipeline.accept import Intake
from gateway.pipeline.acknowledge import Acknowledger
from gateway.pipeline.file import Office
from gateway.receive.folder import FolderDoor
from gateway.receive.forwarded import certificate_names
from gateway.receive.http import hl7_blueprint
from gateway.receive.mllp import MllpListener
from gateway.receive.status import status_blueprint
from gateway.receive.tls import ServerTls, tls_files
from gateway.serve.access import access_blueprint
from gateway.serve.account import account_blueprint
from gateway.serve.caller import caller_access
from gateway.serve.docs import docs_blueprint
from gateway.serve.fhir.views import fhir_blueprint, fhir_routes
from gateway.serve.health import health_blueprint
from gateway.serve.metrics import metrics_blueprint
from gateway.serve.server import open_server
from gateway.serve.sign_in import web_blueprint
from gateway.serve.smart import smart_blueprint
from gateway.source import Source, Sources, load_sources
from gateway.store import schema
from gateway.store.database import Database, now_micros
from gateway.store.files import Files
from gateway.store.inbox import Inbox
from gateway.store.tally import Tally
from gateway.translate.mapping import Mappings, load_mappings
from gateway.watch import Watch
from gateway.worker import Worker

_EXTRAS = ("message_key", "part", "source", "sender", "answer", "state", "reason", "urgency",
           "grant")  # fmt: skip


def mappings_folder(settings: Settings) -> Path:
    """Return the folder of senders: the configured one, or the one that came with the gateway."""
    packaged = Path(__file__).with_name("mappings")
    folder = settings.mappings or (
        packaged if packaged.is_dir() else Path(__file__).parents[1] / "mappings"
    )
    if not folder.is_dir():
        raise InvalidSetting("there is no such folder", where="mappings")
    return folder


def _new_control_id() -> str:
    return uuid.uuid4().hex[:20]


@dataclass(frozen=True, slots=True)
class Parts:
    """What every role of one process shares."""

    settings: Settings
    database: Database
    mappings: Mappings
    sources: Sources
    policy: Policy = DEFAULT

    def intake(self) -> Intake:
        """Return what the doors need."""
        tally = Tally(self.database)
        # At the end of this process, also where a server began it: such run no atexit.
        Finalize(None, tally.stop, exitpriority=0)
        acknowledger = Acknowledger(self.database, _new_control_id, now_micros)
        return Intake(Inbox(self.database), self.mappings, _new_control_id, tally, acknowledger)

    def office(self) -> Office:
        """Return what filing needs."""
        files = Files(self.settings.data / "files")
        lookup = open_lookup(self.settings, self.mappings.standard, now_micros)
        return Office(
            self.database, files, self.mappings, self.settings, now_micros, self.policy, lookup
        )

    def listener(self, intake: Intake | None = None) -> MllpListener:
        """Return the MLLP doors, not yet open; raises InvalidSetting when there is none."""
        settings = self.settings
        files = tls_files(settings)
        if not settings.mllp_port and files is None:
            raise InvalidSetting("there is no MLLP door to open", where="mllp_port")
        return MllpListener(
            settings.mllp_host, settings.mllp_port or None, intake or self.intake(), settings,
            now_micros, self.sources, ServerTls(files) if files else None,
        )  # fmt: skip

    @property
    def listens(self) -> bool:
        """Whether any door other than HTTP is configured."""
        folders = any(one.folder for one in self.sources.known)
        return bool(self.settings.mllp_port or self.settings.tls_certificate or folders)

    def doors(self) -> list[MllpListener | FolderDoor]:
        """Return every door but HTTP, not yet open; raises InvalidSetting when there is none."""
        intake = self.intake()
        folders: list[MllpListener | FolderDoor] = [
            FolderDoor(one, one.folder, intake, self.settings, now_micros)
            for one in self.sources.known
            if one.folder
        ]
        mllp = self.settings.mllp_port or self.settings.tls_certificate
        return [*folders, self.listener(intake)] if mllp or not folders else folders

    def worker(self) -> Worker:
        """Return the workers, not yet running."""
        return Worker(self.office(), self.settings.work_threads)

    def watch(self) -> Watch:
        """Return the watch over held parts, not yet running."""
        key = Keyring(self.settings.key_folder).derive(AUDIT)
        return Watch(self.database, self.settings, now_micros, key)


def open_parts(settings: Settings, *, upgrade: bool = False) -> Parts:
    """Open the database and load the mappings; raises InvalidSetting when the schema is old."""
    settings.data.mkdir(parents=True, exist_ok=True)
    database = Database(settings.database_url)
    if upgrade:
        schema.upgrade(database)
    else:
        schema.check_current(database)
    mappings = load_mappings(mappings_folder(settings))
    sources = load_sources(settings.sources)
    for one in sources.known:
        if unknown := sorted(set(one.senders) - mappings.by_name.keys()):
            raise InvalidSetting(f"no such sender: {unknown[0]}", where=f"sources [{one.name}]")
    return Parts(settings, database, mappings, sources, load_policy(settings.policy))


def create_app(settings: Settings | None = None) -> Flask:
    """Make the Flask application: FHIR, OAuth, HL7 over HTTP and health."""
    if settings is None:
        settings = load_settings(os.environ)
        start_logging(settings)
    parts = open_parts(settings)
    server = open_server(settings, parts.database, chi.ALIASES, now_micros, parts.mappings)
    app = Flask("gateway", static_folder=None)
    app.extensions["gateway"] = parts

    def sender() -> Source:
        field, proxies = request.headers.get("Client-Cert", ""), settings.trusted_proxies
        if names := certificate_names(field, request.remote_addr, proxies):
            source = parts.sources.of_certificate(names)
        else:
            access = caller_access(server)
            access.require_scope(SEND_HL7)
            source = parts.sources.of_client(access.client)
        if source is None:
            raise Forbidden("this client is no known source")
        return source

    app.register_blueprint(fhir_blueprint(server))
    app.register_blueprint(docs_blueprint(settings, fhir_routes()))
    app.register_blueprint(smart_blueprint(server))
    app.register_blueprint(access_blueprint(server))
    app.register_blueprint(web_blueprint(server))
    app.register_blueprint(account_blueprint(server))
    app.register_blueprint(health_blueprint(parts.database, settings.tls_certificate))
    app.register_blueprint(metrics_blueprint(parts.database, settings, now_micros))
    app.register_blueprint(status_blueprint(parts.database, sender, now_micros))
    app.register_blueprint(
        hl7_blueprint(parts.intake(), sender, now_micros, settings.max_message_bytes)
    )
    return app


class _JsonLines(logging.Formatter):
    """One JSON object a line; only fields that never hold patient data."""

    def format(self, record: logging.LogRecord) -> str:
        """Write time, level, event and the named fields of a record."""
        line = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        line |= {name: value for name in _EXTRAS if (value := getattr(record, name, None))}
        if record.exc_info and record.exc_info[0]:
            # The text of a foreign exception may quote the message: only type and place.
            line["error"] = record.exc_info[0].__name__
            trace = record.exc_info[2]
            while trace and trace.tb_next:
                trace = trace.tb_next
            if trace:
                line["at"] = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
        return json.dumps(line)


def start_logging(settings: Settings) -> None:
    """Log JSON lines to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines())
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
