"""The keys of this installation: a master key, and the keys that sign ID tokens.

They lie in one folder (0700) that every process shares, in files that only their owner reads
(0600), never in the database. From the master key come, by HKDF-SHA-256 (RFC 5869), keys for
every other use. `signing.json` holds RS256 keys: the first signs, the second is published
before it is needed so that nobody meets a key they do not know, and the one that signed before
stays published until what it signed has expired.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import os
import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from joserfc import jwe, jwk, jwt
from joserfc.errors import JoseError

from gateway.errors import InvalidSetting

SIGNING = "RS256"
AUDIT = "audit"
"""The name of the key under which the audit is sealed."""
_BITS = 2048
_MASTER_BYTES = 32
_SEALED = {"alg": "dir", "enc": "A256GCM"}
_SEALED_WITH = list(_SEALED.values())


class Keyring:
    """The keys in a folder; both files are made when they are first needed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._master = b""
        self._signing: tuple[dict[str, Any], ...] = ()
        self._seen = 0

    def derive(self, name: str) -> bytes:
        """Return the 32-byte key of a name: the same in every process, unlike any other name's.

        Raises InvalidSetting when the folder cannot be read or written.
        """
        with self._lock, _readable():
            if not self._master:
                self._master = self._read_master()
        extracted = hmac.digest(b"genomics gateway", self._master, hashlib.sha256)
        return hmac.digest(extracted, name.encode() + b"\x01", hashlib.sha256)

    def seal(self, content: bytes, purpose: str = "stored") -> bytes:
        """Encrypt and authenticate; only the same purpose opens it."""
        return jwe.encrypt_compact(_SEALED, content, self._sealing(purpose), _SEALED_WITH).encode()

    def unseal(self, sealed: bytes, purpose: str = "stored") -> bytes:
        """Return what was sealed for a purpose; raises InvalidSetting for anything else."""
        try:
            found = jwe.decrypt_compact(sealed, self._sealing(purpose), _SEALED_WITH)
        except (JoseError, ValueError) as error:
            raise InvalidSetting("something was sealed with another key", where="keys") from error
        return found.plaintext or b""

    def sign(self, claims: Mapping[str, Any]) -> str:
        """Sign claims as a JWT with the key of the day."""
        first = self._signing_keys()[0]
        header = {"alg": SIGNING, "typ": "JWT", "kid": first["kid"]}
        return jwt.encode(header, dict(claims), jwk.RSAKey.import_key(dict(first)), [SIGNING])

    def public_keys(self) -> dict[str, Any]:
        """Return the JSON Web Key Set of all keys that are live."""
        keys = [jwk.RSAKey.import_key(dict(one)) for one in self._signing_keys()]
        return {"keys": [dict(key.as_dict(private=False)) for key in keys]}

    def kids(self) -> list[str]:
        """Return the key ids: the one that signs, the next, and the one before if there was."""
        return [str(one["kid"]) for one in self._signing_keys()]

    def rotate(self) -> None:
        """Sign with the next key from now on, and make another next one."""
        with self._lock, _readable(), self._alone():
            present = self._load_signing() or _new_keys(2)
            first, following = present[0], present[1]
            self._write("signing.json", orjson.dumps({"keys": [following, *_new_keys(1), first]}))

    def _sealing(self, purpose: str) -> jwk.OctKey:
        return jwk.OctKey.import_key(self.derive(f"seal:{purpose}"))

    def _read_master(self) -> bytes:
        path = self._folder / "master.key"
        if not path.exists():
            with self._alone():
                if not path.exists():
                    self._write("master.key", secrets.token_bytes(_MASTER_BYTES))
        master = path.read_bytes()
        if len(master) != _MASTER_BYTES:
            raise ValueError
        return master

    def _signing_keys(self) -> tuple[dict[str, Any], ...]:
        path = self._folder / "signing.json"
        with self._lock, _readable():
            if not path.exists():
                with self._alone():
                    if not path.exists():
                        self._write("signing.json", orjson.dumps({"keys": _new_keys(2)}))
            changed = path.stat().st_mtime_ns
            if changed != self._seen:
                self._signing, self._seen = tuple(self._load_signing()), changed
            return self._signing

    def _load_signing(self) -> list[dict[str, Any]]:
        path = self._folder / "signing.json"
        if not path.exists():
            return []
        keys: list[dict[str, Any]] = orjson.loads(path.read_bytes())["keys"]
        if len(keys) < 2:
            raise ValueError
        return keys

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Be the one process that changes the folder."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _write(self, name: str, content: bytes) -> None:
        beside = self._folder / f"{name}.new"
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._folder / name)


def _new_keys(count: int) -> list[dict[str, Any]]:
    about: jwk.KeyParameters = {"alg": SIGNING, "use": "sig"}
    made = [jwk.RSAKey.generate_key(_BITS, about, auto_kid=True) for _ in range(count)]
    return [dict(key.as_dict(private=True)) for key in made]


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, KeyError) as error:
        raise InvalidSetting("the key folder cannot be used", where="keys") from error
