"""Passwords of local accounts: Argon2id, and what may be one (NIST SP 800-63B 5.1.1.2)."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from gateway.errors import InvalidRequest

LENGTH_MIN = 12
_WORDS = Path(__file__).with_name("common-words.txt")
_LENGTH_MAX = 200
_DIFFERENT_MIN = 5
_LEET = str.maketrans("013457@$!", "oieastasi")
_RUNS = ("abcdefghijklmnopqrstuvwxyz", "qwertyuiop", "asdfghjkl", "zxcvbnm")


class Passwords:
    """Hashes and verifies, at a cost that a server can pay for every guess of a stranger."""

    def __init__(self, passes: int = 2, kibibytes: int = 19_456) -> None:
        self._hasher = PasswordHasher(time_cost=passes, memory_cost=kibibytes, parallelism=1)
        self._made = ""

    def hash(self, password: str) -> str:
        """Return what is stored instead of a password."""
        return self._hasher.hash(_normal(password))

    def verify(self, stored: str | None, password: str) -> bool:
        """Whether it is the password; False, and as slowly, where there is nothing stored."""
        nobody = self._nobody()
        try:
            right = self._hasher.verify(stored or nobody, _normal(password)[:_LENGTH_MAX])
        except (VerificationError, InvalidHashError):
            return False
        return right and stored is not None

    def _nobody(self) -> str:
        """Return what is verified where there is no account; made at the first verification."""
        self._made = self._made or self._hasher.hash("nobody's")
        return self._made

    def outdated(self, stored: str) -> bool:
        """Whether it was hashed at another cost than is usual now."""
        return self._hasher.check_needs_rehash(stored)


def check_new(password: str, *names: str) -> None:
    """Raise InvalidRequest unless this may be a password of somebody with these names."""
    text = _normal(password)
    if len(text) < LENGTH_MIN:
        raise InvalidRequest(f"must have {LENGTH_MIN} characters or more", where="password")
    if len(text) > _LENGTH_MAX:
        raise InvalidRequest(f"must have {_LENGTH_MAX} characters or fewer", where="password")
    if len(set(text.lower())) < _DIFFERENT_MIN or _is_common(text.lower(), names):
        raise InvalidRequest(
            "is too easy to guess: use several words that belong to nothing", where="password"
        )


def _normal(password: str) -> str:
    return unicodedata.normalize("NFKC", password.encode("utf-8", "replace").decode())


def _is_common(text: str, names: tuple[str, ...]) -> bool:
    """Whether little is left without common words, own names, runs of keys and digits.

    Read twice: as it stands, and with digits for the letters that they look like.
    """
    own = {word for name in names for word in re.findall(r"[a-z]{3,}", name.lower())}
    words = re.compile("|".join(sorted(_common() | own, key=len, reverse=True)))
    for form in (text, text.translate(_LEET)):
        letters = re.sub(r"[\W\d_]+", " ", form)
        rest = _runs().sub(" ", words.sub(" ", letters)).replace(" ", "")
        if len(set(rest)) < _DIFFERENT_MIN:
            return True
    return False


@cache
def _common() -> frozenset[str]:
    """The words that most passwords of published leaks are made of, and those of this place."""
    return frozenset(_WORDS.read_text(encoding="utf-8").split())


@cache
def _runs() -> re.Pattern[str]:
    """Three or more neighbours of the alphabet or the keyboard, forwards or backwards."""
    lines = (*_RUNS, *(run[::-1] for run in _RUNS))
    found = {
        line[start:end]
        for line in lines
        for start in range(len(line))
        for end in range(start + 3, len(line) + 1)
    }
    return re.compile("|".join(sorted(found, key=len, reverse=True)))
