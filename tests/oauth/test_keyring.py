from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.errors import InvalidSetting
from gateway.oauth.keyring import Keyring


def test_what_is_sealed_is_opened_with_the_same_key_and_purpose_only(tmp_path: Path) -> None:
    sealed = Keyring(tmp_path / "a").seal(b"a secret", "totp")
    assert b"a secret" not in sealed
    assert Keyring(tmp_path / "a").unseal(sealed, "totp") == b"a secret"
    for folder, text, purpose in (
        ("b", sealed, "totp"), ("a", sealed[:-4] + b"AAAA", "totp"), ("a", sealed, "another"),
        ("a", b"rubbish", "totp"), ("a", b"", "totp"),
    ):  # fmt: skip
        with pytest.raises(InvalidSetting):
            Keyring(tmp_path / folder).unseal(text, purpose)


def test_the_keys_are_their_owners_alone(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    Keyring(folder).derive("a")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(key.stat().st_mode) for key in folder.iterdir()} == {0o600}


def test_processes_that_start_together_share_one_master_key(tmp_path: Path) -> None:
    rings = [Keyring(tmp_path / "keys") for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        derived = list(pool.map(lambda ring: ring.derive("cursor"), rings))
    assert len(set(derived)) == 1
    assert len(derived[0]) == 32
    assert rings[0].derive("another") != derived[0]


@pytest.mark.parametrize("content", [b"", b"too short", b"x" * 33])
def test_a_broken_master_key_is_said(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "master.key").write_bytes(content)
    with pytest.raises(InvalidSetting) as caught:
        Keyring(tmp_path).derive("a")
    assert caught.value.where == "keys"


def test_broken_signing_keys_are_said(tmp_path: Path) -> None:
    (tmp_path / "signing.json").write_bytes(b'{"keys": []}')
    with pytest.raises(InvalidSetting):
        Keyring(tmp_path).kids()
