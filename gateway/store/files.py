"""Files by content: kept once under their SHA-256, found again by it.

A file is complete and durable before its name exists; a file that no row names is harmless.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import Connection, select

from gateway.errors import NotFound, StoreUnavailable
from gateway.store.tables import file

_DIGEST = re.compile(r"[0-9a-f]{64}")


class Files:
    """A folder of files named by digest, in 256 sub-folders."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, content: bytes | Iterable[bytes]) -> str:
        """Store the content durably and return its digest; storing it again changes nothing.

        Raises StoreUnavailable when the folder cannot be written.
        """
        chunks = (content,) if isinstance(content, bytes) else content
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            digest = hashlib.sha256()
            with tempfile.NamedTemporaryFile(dir=self._folder, prefix="new-", delete=False) as new:
                temporary = Path(new.name)
                try:
                    for chunk in chunks:
                        digest.update(chunk)
                        new.write(chunk)
                    new.flush()
                    os.fsync(new.fileno())
                    self._place(temporary, digest.hexdigest())
                finally:
                    temporary.unlink(missing_ok=True)
        except OSError as error:
            raise StoreUnavailable from error
        return digest.hexdigest()

    def open(self, digest: str, size: int | None = None) -> BinaryIO:
        """Open a file for reading.

        Raises NotFound when there is none, StoreUnavailable when it is not `size` bytes long or
        cannot be read.
        """
        path = self._path(digest)
        try:
            opened = path.open("rb")
        except FileNotFoundError as error:
            raise NotFound("the file is not in the store") from error
        except OSError as error:
            raise StoreUnavailable from error
        if size is not None and os.fstat(opened.fileno()).st_size != size:
            opened.close()
            raise StoreUnavailable("a stored file does not have the size it was stored with")
        return opened

    def kept(self, beginning: str) -> dict[str, int]:
        """Return the size of each file whose digest begins with these two digits.

        Raises StoreUnavailable.
        """
        folder = self._folder / beginning
        try:
            with os.scandir(folder) as entries:
                return {f"{beginning}{one.name}": one.stat().st_size for one in entries}
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise StoreUnavailable from error

    def _place(self, temporary: Path, digest: str) -> None:
        path = self._path(digest)
        if path.exists():
            return
        if not path.parent.exists():
            path.parent.mkdir(mode=0o700, exist_ok=True)
            _sync(self._folder)
        temporary.replace(path)
        _sync(path.parent)

    def _path(self, digest: str) -> Path:
        if not _DIGEST.fullmatch(digest):
            raise NotFound("not the digest of a file")
        return self._folder / digest[:2] / digest[2:]


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def stored_size(connection: Connection, digest: str) -> int:
    """Return the size a file was stored with; raises NotFound when no row names it."""
    size = connection.execute(select(file.c.size).where(file.c.digest == digest)).scalar()
    if size is None:
        raise NotFound("the file is not in the store")
    return int(size)
