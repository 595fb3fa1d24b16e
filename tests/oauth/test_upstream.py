"""The provider of the settings: how the gateway proves who it is, and what cannot work."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwk, jwt

from gateway.config import Settings
from gateway.errors import InvalidSetting
from gateway.oauth.upstream import Provider
from gateway.store.database import now_micros

CLIENT = "gateway-client"
SETTINGS = Settings(sign_in_issuer="https://provider.example", sign_in_client_id=CLIENT)


def test_a_private_key_signs_an_assertion_in_place_of_a_secret(tmp_path: Path) -> None:
    key = jwk.RSAKey.generate_key(2048, {"alg": "PS256"}, auto_kid=True)
    file = tmp_path / "key.json"
    file.write_text(json.dumps(key.as_dict(private=True)))
    made = Provider(replace(SETTINGS, sign_in_client_secret_file=file), now_micros)
    proof = made._proof("https://provider.example/token")
    claims = jwt.decode(proof["client_assertion"], key, algorithms=["PS256"]).claims
    assert claims["iss"] == claims["sub"] == CLIENT
    assert claims["aud"] == "https://provider.example/token"
    assert "client_secret" not in proof


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        ({"sign_in_roles": ("App=surgeon",)}, "sign_in_roles"),
        ({"sign_in_roles": ("clinician",)}, "sign_in_roles"),
        ({"sign_in_roles": ("App=clinician/a/b/c",)}, "sign_in_roles"),
        ({"sign_in_issuer": "http://provider.example"}, "sign_in_issuer"),
        ({"sign_in_client_secret_file": Path("/nowhere/at/all")}, "sign_in_client_secret_file"),
    ],
)
def test_a_setting_that_cannot_work_is_named_at_the_start(
    changed: dict[str, Any], where: str
) -> None:
    with pytest.raises(InvalidSetting) as caught:
        Provider(replace(SETTINGS, **changed), now_micros)
    assert caught.value.where == where
