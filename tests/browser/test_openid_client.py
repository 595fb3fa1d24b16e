"""openid-client on Node: discovery, sign-in, ID token, rotation, single use, signed assertions."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser.hospital import OPENID_CLIENT, Hospital
from tests.browser.visit import go_through
from tests.conftest import need

SCRIPT = Path(__file__).with_name("openid.mjs")
SYSTEM = "system/DiagnosticReport.rs"
GRANT_REFUSED = {"status": 400, "error": "invalid_grant"}


@pytest.fixture(scope="session", autouse=True)
def _openid_client() -> None:
    need("node", OPENID_CLIENT.exists())


def run(given: dict[str, Any], hospital: Hospital, page: Page | None = None) -> Any:
    """Run the script, lead the person through what it wants opened; return its last line."""
    given = {"issuer": hospital.base, "fhir": hospital.fhir, **given}
    node = subprocess.Popen(
        ["node", str(SCRIPT), json.dumps(given)], text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    with node:
        assert node.stdin
        assert node.stdout
        assert node.stderr
        told: Any = None
        for line in node.stdout:
            told = json.loads(line)
            if "open" in told and page:
                back = go_through(page, told["open"], hospital.app)
                node.stdin.write(f"{back}\n")
                node.stdin.flush()
        problems = node.stderr.read()
    assert node.returncode == 0, problems
    return told


def test_a_person_signs_in_and_what_was_used_once_is_refused(
    hospital: Hospital, page: Page
) -> None:
    scope = "openid fhirUser offline_access launch/patient patient/DiagnosticReport.rs"
    app = hospital.add_app("Portal", "--scope", scope)
    told = run(
        {"client_id": app, "redirect_uri": f"{hospital.app}/back", "scope": scope}, hospital, page
    )
    practitioner = f"{hospital.fhir}/Practitioner/{hospital.person}"
    assert (told["sub"], told["fhirUser"], told["amr"]) == (hospital.person, practitioner, ["pwd"])
    assert told["userinfo"] == {"sub": hospital.person, "fhirUser": practitioner}
    assert told["refreshed"]
    for name in ("oldRefresh", "afterwards", "reused", "reusedSecond", "revoked"):
        assert told[name] == GRANT_REFUSED, name
    assert told["ended"]["status"] == 401


def test_systems_sign_with_rs384_and_es384_and_may_bind_tokens_to_a_key(hospital: Hospital) -> None:
    backends = [
        hospital.add_backend(f"Warehouse {algorithm}", SYSTEM, algorithm)
        for algorithm in ("RS384", "ES384")
    ]
    told = run({"backends": backends, "system_scope": SYSTEM}, hospital)
    bound = {"type": "dpop", "total": 3, "unbound": 401}
    expected = {"scope": SYSTEM, "expires_in": 300, "refresh": False, "total": 3, "active": True,
                "bound": bound}  # fmt: skip
    assert told == [{"alg": alg, **expected} for alg in ("RS384", "ES384")]
