from __future__ import annotations

import stat
from pathlib import Path

import pytest

from gateway.errors import InvalidSetting
from gateway.oauth.keyring import Keyring


def test_what_is_sealed_is_opened_with_the_same_key_only(tmp_path: Path) -> None:
    sealed = Keyring(tmp_path / "a").seal(b"a secret")
    assert b"a secret" not in sealed
    assert Keyring(tmp_path / "a").unseal(sealed) == b"a secret"
    with pytest.raises(InvalidSetting):
        Keyring(tmp_path / "b").unseal(sealed)
    with pytest.raises(InvalidSetting):
        Keyring(tmp_path / "a").unseal(sealed[:-4] + b"AAAA")


def test_the_key_is_its_owners_alone(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    Keyring(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (key,) = folder.iterdir()
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
