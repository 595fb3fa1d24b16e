"""The pages of a gateway in a test: its clock, its people, and browsers that keep cookies."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from gateway.config import Settings
from gateway.identify.chi import ALIASES
from gateway.oauth.accounts import Accounts
from gateway.oauth.passwords import Passwords
from gateway.serve.account import account_blueprint
from gateway.serve.server import Server, open_server
from gateway.serve.sign_in import web_blueprint
from gateway.store.database import Database, now_micros
from gateway.store.people import Person, Role, give_role
from tests.serve.conftest import journal_lines

PASSWORD = "silver teapot canyon"
MINUTE = 60_000_000


@dataclass
class Clock:
    ahead: int = 0

    def __call__(self) -> int:
        return now_micros() + self.ahead


@dataclass
class Site:
    app: Flask
    server: Server
    clock: Clock

    def browser(self) -> Browser:
        return Browser(self.app.test_client())

    def add(self, login: str = "isla", name: str = "Dr Isla Example") -> Person:
        with self.server.database.write() as connection:
            made = self.server.accounts.add(connection, login, name, PASSWORD)
            give_role(connection, made.key, Role("clinician", "S08000020"))
        return made

    def told(self) -> list[tuple[str, int, str]]:
        """Return what the journal says: interaction, status, reason."""
        return [
            (line["interaction"], line["status"], line.get("detail", ""))
            for line in sorted(journal_lines(self.server), key=lambda line: line["time"])
        ]


@dataclass
class Browser:
    client: FlaskClient

    def get(self, path: str, **more: object) -> TestResponse:
        return self.client.get(path, **more)

    def send(self, page: str, action: str, form: dict[str, str], **more: object) -> TestResponse:
        """Load a page, and send its form with the token that stands in it."""
        token = csrf(self.client.get(page))
        return self.client.post(action, data={"csrf": token, **form}, **more)

    def sign_in(self, name: str = "isla", password: str = PASSWORD, **more: object) -> TestResponse:
        form = {"name": name, "password": password, "next": "/account"}
        return self.send("/sign-in", "/sign-in", form, **more)


def csrf(page: TestResponse) -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]{64})"', page.text)
    assert found, page.text
    return found[1]


def open_site(database: Database, settings: Settings) -> Site:
    clock = Clock()
    server = open_server(settings, database, ALIASES, clock)
    cheap = Passwords(passes=1, kibibytes=8)
    accounts = Accounts(database, server.keyring, clock, cheap)
    server = replace(server, accounts=accounts)
    app = Flask("test", static_folder=None)
    app.register_blueprint(web_blueprint(server))
    app.register_blueprint(account_blueprint(server))
    return Site(app, server, clock)
