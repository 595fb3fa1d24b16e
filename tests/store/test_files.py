from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from gateway.errors import NotFound, StoreUnavailable
from gateway.store.files import Files


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "files")


def test_a_file_is_found_under_the_digest_of_its_content(files: Files) -> None:
    digest = files.keep(b"%PDF-")
    assert digest == hashlib.sha256(b"%PDF-").hexdigest()
    with files.open(digest, 5) as opened:
        assert opened.read() == b"%PDF-"


def test_a_file_may_come_in_chunks_and_twice(files: Files, tmp_path: Path) -> None:
    assert files.keep([b"%P", b"DF-"]) == files.keep(b"%PDF-")
    kept = [path for path in (tmp_path / "files").rglob("*") if path.is_file()]
    assert len(kept) == 1


def test_nothing_is_left_of_a_file_that_broke_off(files: Files, tmp_path: Path) -> None:
    def breaking() -> object:
        yield b"half"
        raise LookupError

    with pytest.raises(LookupError):
        files.keep(breaking())  # type: ignore[arg-type] # a generator that is never used up
    assert not [path for path in (tmp_path / "files").rglob("*") if path.is_file()]


@pytest.mark.parametrize("digest", ["0" * 64, "../../etc/passwd", "", "A" * 64])
def test_what_is_not_there_is_not_found(files: Files, digest: str) -> None:
    with pytest.raises(NotFound):
        files.open(digest)


def test_a_truncated_file_is_not_served(files: Files) -> None:
    with pytest.raises(StoreUnavailable):
        files.open(files.keep(b"%PDF-"), 6)


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "files").write_text("in the way")
    with pytest.raises(StoreUnavailable):
        Files(tmp_path / "files").keep(b"x")
