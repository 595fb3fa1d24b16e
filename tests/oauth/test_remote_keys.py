"""Keys that a client keeps at an address of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from gateway.errors import GatewayError, InvalidRequest
from gateway.oauth import keys
from gateway.oauth.clients import Registration, register_client
from gateway.oauth.keys import RemoteKeys, client_assertion, new_key
from gateway.store.clients import ASYMMETRIC
from gateway.store.database import Database
from tests.oauth.site import BACK, KEY, Clock, Site

URL = "https://app.example/keys"


class Stranger:
    """A server that says what the test wants, and counts how often it was asked."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.asked, self.public = 0, [KEY[1]]
        self.down = False
        patch.setattr(keys, "get_foreign", self.get)

    def get(self, url: str, *, inside: bool) -> bytes:
        assert (url, inside) == (URL, False)
        self.asked += 1
        if self.down:
            raise GatewayError("the server cannot be reached")
        return orjson.dumps({"keys": self.public})


@pytest.fixture
def stranger(monkeypatch: pytest.MonkeyPatch) -> Stranger:
    return Stranger(monkeypatch)


def test_keys_are_fetched_once_an_hour_and_again_for_a_new_one(stranger: Stranger) -> None:
    clock = Clock()
    remote = RemoteKeys(clock, inside=False)
    for _ in range(3):
        assert remote.find(URL, KEY[1]["kid"]).keys
    assert stranger.asked == 1
    clock.pass_seconds(60)
    fresh = new_key("ES384")[1]
    stranger.public = [KEY[1], fresh]
    assert len(remote.find(URL, fresh["kid"]).keys) == 2
    for _ in range(3):  # rubbish does not make us ask a stranger again and again
        remote.find(URL, "rubbish")
    assert stranger.asked == 2
    clock.pass_seconds(3600)
    remote.find(URL, KEY[1]["kid"])
    assert stranger.asked == 3


def test_a_server_that_is_down_is_asked_once_a_minute(stranger: Stranger) -> None:
    clock = Clock()
    remote = RemoteKeys(clock, inside=False)
    stranger.down = True
    for _ in range(3):
        with pytest.raises(GatewayError):
            remote.find(URL, KEY[1]["kid"])
    assert stranger.asked == 1
    clock.pass_seconds(60)
    stranger.down = False
    assert remote.find(URL, KEY[1]["kid"]).keys


@pytest.mark.parametrize("public", [[], [KEY[0]], [{"kty": "oct", "k": "AAAA", "kid": "1"}]])
def test_what_is_no_set_of_public_keys_is_refused(stranger: Stranger, public: list[Any]) -> None:
    stranger.public = public
    with pytest.raises(InvalidRequest):
        RemoteKeys(Clock(), inside=False).find(URL, "1")


def test_a_client_authenticates_with_keys_at_its_address(
    open_site: Callable[..., Site], sqlite: Database, stranger: Stranger
) -> None:
    site = open_site(sqlite)
    client = site.register(ASYMMETRIC, scope="system/*.rs", jwks_uri=URL)
    form = {"grant_type": "client_credentials", "scope": "system/*.rs"}
    good = site.browser.post("/oauth/token", data=form | site.assertion("1", client))
    assert good.status_code == 200
    token_url = f"{site.settings.base_url}/oauth/token"
    forged = client_assertion(new_key("ES384")[0], client.id, token_url, site.clock.seconds, "2")
    bad = site.browser.post(
        "/oauth/token", data=form | site.assertion("x", client) | {"client_assertion": forged}
    )
    assert bad.json["error"] == "invalid_client"


@pytest.mark.parametrize(
    ("more", "where"),
    [
        ({"kind": "asymmetric"}, "jwks"),
        ({"kind": "asymmetric", "jwks_uri": URL, "jwks": {"keys": [KEY[1]]}}, "jwks"),
        ({"kind": "asymmetric", "jwks_uri": "http://app.example/keys"}, "jwks_uri"),
        ({"kind": "public", "jwks_uri": URL}, "kind"),
        ({"kind": "unknown"}, "kind"),
        ({"redirect_uris": ()}, "redirect_uri"),
        ({"launch_url": "http://app.example/launch"}, "launch_url"),
        ({"name": " "}, "name"),
        ({"scope": "patient/*.xyz"}, "patient/*.xyz"),
    ],
)
def test_a_client_that_does_not_add_up_is_not_registered(
    sqlite: Database, more: dict[str, Any], where: str
) -> None:
    given = {"name": "An app", "scope": "patient/*.rs", "redirect_uris": (BACK,)} | more
    with pytest.raises(InvalidRequest) as caught:
        register_client(sqlite, Registration(**given), 0)
    assert caught.value.where == where
