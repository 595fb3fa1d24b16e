"""Clients and keys, as an administrator at a terminal keeps them."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.oauth.keys import new_key
from gateway.store.clients import find_client, token_digest
from gateway.store.database import Database

KEYS = [new_key("ES384")[1] for _ in range(2)]


@pytest.fixture(autouse=True)
def place(sqlite: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GATEWAY_DATA", str(tmp_path))
    for number, key in enumerate(KEYS):
        (tmp_path / f"{number}.json").write_bytes(orjson.dumps({"keys": [key]}))
    return tmp_path


def run(*arguments: str | Path, fails: bool = False) -> Result:
    shown = CliRunner().invoke(main, [str(one) for one in arguments])
    assert (shown.exit_code != 0) is fails, shown.output
    return shown


def test_an_app_is_added_shown_rotated_and_revoked(sqlite: Database) -> None:
    added = run("client", "add", "An app", "--kind", "symmetric", "--owner", "NHS Example",
                "--scope", "openid  patient/*.rs", "--redirect-uri", "https://app.example/back",
                "--board", "S08000024")  # fmt: skip
    client_id, secret = added.stdout.split()
    shown = run("client", "show", client_id).stdout
    assert "authorization_code refresh_token" in shown
    assert "NHS Example" in shown
    assert secret not in shown
    assert client_id in run("client", "list").stdout
    fresh = run("client", "rotate", client_id).stdout.strip()
    with sqlite.read() as connection:
        found = find_client(connection, client_id)
    assert found
    assert found.boards == ("S08000024",)
    assert found.secret_digest == token_digest(fresh) != token_digest(secret)
    run("client", "revoke", client_id)
    assert "inactive" in run("client", "show", client_id).stdout
    run("client", "rotate", client_id, fails=True)


def test_a_system_is_added_and_gets_new_keys(place: Path) -> None:
    added = run("client", "add", "A portal", "--scope", "system/*.rs", "--jwks", place / "0.json")
    client_id = added.stdout.strip()
    assert KEYS[0]["kid"] in run("client", "show", client_id).stdout
    run("client", "rotate", client_id, "--jwks", place / "1.json")
    shown = run("client", "show", client_id).stdout
    assert KEYS[1]["kid"] in shown
    assert KEYS[0]["kid"] not in shown
    run("client", "rotate", client_id, fails=True)


@pytest.mark.parametrize(
    "wrong",
    [
        ["--scope", "everything", "--redirect-uri", "https://app.example/back"],
        ["--scope", "patient/*.rs"],
        ["--scope", "patient/*.rs", "--redirect-uri", "http://app.example/back"],
        ["--scope", "system/*.rs", "--jwks-uri", "http://app.example/keys"],
    ],
)
def test_a_mistake_is_said_and_nothing_is_added(wrong: list[str]) -> None:
    assert "Error" in run("client", "add", "An app", *wrong, fails=True).stderr
    assert run("client", "list").stdout == ""
    run("client", "show", "unknown", fails=True)
    run("client", "revoke", "unknown", fails=True)


def test_keys_are_listed_and_rotated() -> None:
    before = [line.split("\t") for line in run("keys", "list").stdout.splitlines()]
    after = [line.split("\t") for line in run("keys", "rotate").stdout.splitlines()]
    assert [use for _, use in before] == ["signs", "next"]
    assert [use for _, use in after] == ["signs", "next", "before"]
    assert after[0][0] == before[1][0]
    assert after[2][0] == before[0][0]
