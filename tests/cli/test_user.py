"""People from a terminal: added, shown, given roles, refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pyotp
import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.config import Settings
from gateway.store.database import Database
from tests.serve.site import PASSWORD, Site, open_site

Run = Callable[..., Result]
NEW = "copper lantern 7 fjord"


@pytest.fixture
def site(sqlite: Database, tmp_path: Path) -> Iterator[Site]:
    opened = open_site(sqlite, Settings(data=tmp_path))
    yield opened
    opened.server.journal.close()


@pytest.fixture
def run(site: Site) -> Run:
    environment = {"GATEWAY_DATA": str(site.server.settings.data)}

    def command(*words: str, given: str = "") -> Result:
        return CliRunner().invoke(main, ["user", *words], input=given, env=environment)

    return command


def test_the_first_administrator_is_added_by_command_and_can_sign_in(site: Site, run: Run) -> None:
    made = run("add", "Morag", "--name", "Morag Example", "--administrator", given=f"{PASSWORD}\n")
    assert made.exit_code == 0, made.output
    assert PASSWORD not in made.output
    (one,) = json.loads(run("list", "--json").stdout)
    assert one == {
        "id": made.stdout.strip(), "issuer": "local", "subject": "morag",
        "name": "Morag Example", "active": True,
        "roles": [{"role": "administrator", "board": "", "team": ""}],
    }  # fmt: skip
    assert site.browser().sign_in("morag").status_code == 303


def test_roles_have_a_board_and_a_team_and_are_taken_one_by_one(run: Run) -> None:
    run("add", "isla", "--name", "Isla", "--role", "clinician", "--board", "S08000020",
        "--team", "genetics", given=PASSWORD)  # fmt: skip
    assert run("role", "isla", "laboratory").exit_code == 0
    assert "isla\tIsla\tclinician/S08000020/genetics, laboratory" in run("list").stdout
    words = ("role", "isla", "clinician", "--board", "S08000020")
    assert run(*words, "--remove").exit_code == 1
    assert run(*words, "--team", "genetics", "--remove").exit_code == 0
    assert run("show", "isla").stdout.splitlines()[-1] == "role\tlaboratory"
    assert run("role", "isla", "surgeon").exit_code == 2
    assert run("role", "nobody", "clinician").exit_code == 1


def test_a_new_password_signs_out_and_a_weak_one_changes_nothing(site: Site, run: Run) -> None:
    site.add()
    browser = site.browser()
    browser.sign_in()
    weak = run("password", "isla", given="Password12345\n")
    assert (weak.exit_code, "too easy to guess" in weak.stderr) == (1, True)
    assert browser.get("/account").status_code == 200
    assert run("password", "isla", given=f"{NEW}\n").exit_code == 0
    assert browser.get("/account").status_code == 303
    assert site.browser().sign_in(password=NEW).status_code == 303


def test_a_lost_authenticator_is_taken_off(site: Site, run: Run) -> None:
    person = site.add()
    with site.server.database.write() as connection:
        site.server.accounts.set_authenticator(
            connection,
            person,
            "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP",
            _code(site, "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"),
        )
    assert "authenticator\tset up" in run("show", "isla").stdout
    assert run("totp", "isla").exit_code == 2
    assert run("totp", "isla", "--remove").exit_code == 0
    assert "authenticator\tnone" in run("show", "isla").stdout


def test_a_deactivated_person_is_refused_until_it_is_undone(site: Site, run: Run) -> None:
    site.add()
    browser = site.browser()
    browser.sign_in()
    assert run("deactivate", "isla").exit_code == 0
    assert browser.get("/account").status_code == 303
    assert "\tdeactivated\tisla" in run("list").stdout
    assert run("deactivate", "isla", "--undo").exit_code == 0
    assert site.browser().sign_in().status_code == 303


def test_every_change_is_in_the_journal_and_no_password_is(site: Site, run: Run) -> None:
    run("add", "isla", "--name", "Isla", "--role", "clinician", given=PASSWORD)
    run("role", "isla", "laboratory")
    run("password", "isla", given=NEW)
    run("deactivate", "isla")
    assert [one for one, *_ in site.told()] == [
        "operation:add", "operation:role", "operation:password", "operation:deactivate",
    ]  # fmt: skip
    written = b"".join(one.read_bytes() for one in site.server.settings.data.glob("audit/*"))
    assert PASSWORD.encode() not in written
    assert NEW.encode() not in written


def test_a_person_without_a_role_or_with_a_name_that_is_taken_is_not_added(run: Run) -> None:
    assert run("add", "isla", "--name", "Isla", given=PASSWORD).exit_code == 1
    words = ("add", "isla", "--name", "Isla", "--role", "clinician")
    assert [run(*words, given=PASSWORD).exit_code for _ in range(2)] == [0, 1]


def _code(site: Site, secret: str) -> str:
    return pyotp.TOTP(secret).at(site.clock() // 1_000_000)
