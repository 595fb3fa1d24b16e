"""One gateway asks another: PDQm with a token of SMART Backend Services, over a socket."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from gateway.config import CHI_SYSTEM, Settings
from gateway.errors import LookupUnavailable
from gateway.identify.numbers import Issuers
from gateway.lookup import open_lookup
from gateway.oauth.clients import register
from gateway.pipeline.lookup import Lookup
from gateway.pipeline.patients import Feed, apply_update
from gateway.report import Identifier, Patient, PatientUpdate, PersonName
from gateway.serve.server import Server
from gateway.store.database import now_micros
from gateway.translate.mapping import load_mappings
from tests.flow.office import MAPPINGS
from tests.serve.conftest import KEY, journal_lines

CHI = "0101336489"


def _lookup(live: str, server: Server, folder: Path, *, matching: bool) -> Lookup:
    client = register(server.database, "asks", "system/Patient.rs", {"keys": [KEY[1]]}, 1)
    key = folder / "key.json"
    key.write_bytes(orjson.dumps(KEY[0]))
    settings = Settings(
        lookup=f"{live}/fhir", lookup_match=matching, lookup_token_url=f"{live}/oauth/token",
        lookup_client=client.id, lookup_client_key=key,
    )  # fmt: skip
    made = open_lookup(settings, load_mappings(MAPPINGS).standard, now_micros)
    assert made is not None
    return made


@pytest.mark.parametrize("matching", [False, True])
def test_another_gateway_is_asked_with_a_token(
    live: str, server: Server, tmp_path: Path, matching: bool
) -> None:
    lookup = _lookup(live, server, tmp_path, matching=matching)
    one = Identifier(CHI, CHI_SYSTEM)
    asserted = Patient((one,), PersonName("Brodie", ("Isla",)), "1933-01-01")
    with server.database.write() as connection:
        update, feed = PatientUpdate(asserted, "A28"), Feed("a test", 1, "nhs")
        apply_update(connection, update, feed, Issuers(CHI_SYSTEM), 1)
    (found,) = lookup.driver(one, asserted)
    assert (found.name, found.birth_date) == (asserted.name, asserted.birth_date)
    asked = {line["interaction"] for line in journal_lines(server)}
    assert asked == {"operation:match" if matching else "search-type"}


def test_without_a_token_there_is_no_answer(live: str, server: Server, tmp_path: Path) -> None:
    lookup = _lookup(f"{live}/nowhere", server, tmp_path, matching=False)
    with pytest.raises(LookupUnavailable):
        lookup.driver(Identifier(CHI, CHI_SYSTEM), Patient())
