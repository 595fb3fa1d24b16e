"""What the database may not hold in clear is sealed with a key that only a file holds."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from joserfc import jwe, jwk
from joserfc.errors import JoseError

from gateway.errors import InvalidSetting

_HEADER = {"alg": "dir", "enc": "A256GCM"}


class Keyring:
    """Seals by the master key of a folder, which is made at first use (0700, file 0600)."""

    def __init__(self, folder: Path) -> None:
        self._key = jwk.OctKey.import_key(_master(folder / "master.key"))

    def seal(self, content: bytes) -> bytes:
        """Encrypt and authenticate."""
        return jwe.encrypt_compact(_HEADER, content, self._key).encode()

    def unseal(self, sealed: bytes) -> bytes:
        """Return what was sealed; raises InvalidSetting when it was sealed with another key."""
        try:
            return bytes(jwe.decrypt_compact(sealed, self._key).plaintext or b"")
        except (JoseError, ValueError) as error:
            raise InvalidSetting("something was sealed with another key", where="keys") from error


def _master(path: Path) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        fresh = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(32))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):  # another process was faster: its key is the key
            os.link(fresh, path)
        fresh.unlink()
    key = path.read_bytes()
    if len(key) != 32:
        raise InvalidSetting("the master key is broken", where="keys")
    return key
