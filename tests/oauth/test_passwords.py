"""What may be a password, and how it is kept."""

from __future__ import annotations

import pytest

from gateway.errors import InvalidRequest
from gateway.oauth.passwords import Passwords, check_new

NAMES = ("morag.example", "Morag Example")


@pytest.mark.parametrize(
    "password",
    ["silver teapot canyon", "purple-kettle-94", "x9#kQ2!vLm3z", "ein Bär frißt Nüsse",
     "correct horse battery", "дом возле синего моря"],
)  # fmt: skip
def test_words_that_belong_to_nothing_may_be_a_password(password: str) -> None:
    check_new(password, *NAMES)


@pytest.mark.parametrize(
    "password",
    ["Password12345", "P@ssw0rd1234", "qwertyuiop1234", "aaaaaaaaaaaaaaaa", "letmeinletmein",
     "Welcome2Scotland!", "morag.example99", "123456789012", "GenomicsGateway1", "Summer2026!!!!",
     "iloveyou123456", "zxcvbnm,./zxcvbnm", "Example-Morag-1", "ababababababab"],
)  # fmt: skip
def test_what_many_people_choose_may_not(password: str) -> None:
    with pytest.raises(InvalidRequest, match="too easy to guess"):
        check_new(password, *NAMES)


@pytest.mark.parametrize("password", ["", "kettle 94 x", "k" * 201])
def test_its_length_has_limits(password: str) -> None:
    with pytest.raises(InvalidRequest, match="characters or"):
        check_new(password, *NAMES)


def test_it_is_kept_as_argon2id_with_a_salt_and_recognised_however_it_is_typed() -> None:
    passwords = Passwords()
    first, second = (passwords.hash("caf\u00e9 by the river") for _ in range(2))
    assert first != second
    assert first.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert passwords.verify(first, "cafe\u0301 by the river")
    assert not passwords.verify(first, "cafe by the river")
    assert not passwords.verify(None, "nobody's")
    assert not passwords.verify("not a hash", "anything")


def test_a_hash_of_another_cost_is_outdated() -> None:
    cheap, usual = Passwords(1, 8), Passwords()
    assert usual.outdated(cheap.hash("silver teapot canyon"))
    assert not usual.outdated(usual.hash("silver teapot canyon"))
