import pytest

from gateway.wire.acknowledgement import (
    acknowledge_batch,
    application_wanted,
    is_acknowledgement,
    is_positive,
    reply_code,
    wants,
)
from gateway.wire.er7 import Header, read_header


def _header(accept: str = "", application: str = "", kind: str = "ORU^R01") -> Header:
    line = f"MSH|^~\\&|LAB|SITE|GW|BOARD|20260304||{kind}|C1|P|2.5.1|||{accept}|{application}"
    return read_header(line.encode())


@pytest.mark.parametrize(
    ("accept", "application", "good", "bad"),
    [
        ("", "", "AA", "AE"),
        ('""', '""', "AA", "AE"),
        ("AL", "", "CA", "CE"),
        ("AL", "NE", "CA", "CE"),
        ("AL", "AL", "CA", "CE"),
        ("ER", "NE", "", "CE"),
        ("SU", "NE", "CA", ""),
        ("NE", "NE", "", ""),
        ("", "AL", "", "AE"),
        ("NE", "AL", "", "AE"),
        ("NE", "ER", "", "AE"),
        ("NE", "SU", "", ""),
        ("SU", "ER", "CA", "AE"),
        ("??", "NE", "CA", "CE"),
    ],
)
def test_who_wants_which_reply_at_once(accept: str, application: str, good: str, bad: str) -> None:
    header = _header(accept, application)
    assert reply_code(header, "AA") == good
    assert reply_code(header, "AE") == bad
    assert reply_code(header, "AR") == bad.replace("E", "R")


def test_without_a_header_the_original_mode_answers() -> None:
    assert reply_code(None, "AR") == "AR"


@pytest.mark.parametrize(
    ("mode", "wanted"),
    [("", ""), ("NE", ""), ('""', ""), ("AL", "AL"), ("ER", "ER"), ("SU", "SU"), ("??", "AL")],
)
def test_when_an_application_acknowledgement_is_owed(mode: str, wanted: str) -> None:
    assert application_wanted(_header("AL", mode)) == wanted


def test_success_and_failure_are_told_apart() -> None:
    assert [wants(mode, True) for mode in ("AL", "NE", "ER", "SU", "")] == [
        True, False, False, True, False,
    ]  # fmt: skip
    assert [wants(mode, False) for mode in ("AL", "NE", "ER", "SU", "")] == [
        True, False, True, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize(("kind", "is_one"), [("ACK", True), ("ACK^R01^ACK", True),
                                              ("MCF", True), ("ORU^R01", False)])  # fmt: skip
def test_a_reply_is_known_as_one(kind: str, is_one: bool) -> None:
    assert is_acknowledgement(_header(kind=kind)) is is_one


def test_a_batch_is_mirrored_with_its_own_delimiters_and_counts() -> None:
    batch = (
        b"FHS|^~\\&|LAB|SITE|GW|BOARD|20260304||file|note|F1\r"
        b"BHS@^~\\&@LAB@SITE@GW@BOARD@20260304@@@@B1\rMSH|1\rPID|1\rMSH|2\rBTS@2\r"
        b"BHS|^~\\&|LAB|SITE|||||||B2\rMSH|3\rBTS|1\rFTS|2\r"
    )
    replies = [b"MSH|a\rMSA|AA|1\r", b"MSH|b\rMSA|AA|2\r", b"MSH|c\rMSA|AA|3\r"]
    mirrored = acknowledge_batch(batch, replies, control_id="OURS", now="NOW")
    assert mirrored == (
        b"FHS|^~\\&|GW|BOARD|LAB|SITE|NOW||||OURS|F1\r"
        b"BHS@^~\\&@GW@BOARD@LAB@SITE@NOW@@@@OURS@B1\r" + replies[0] + replies[1] + b"BTS@2\r"
        b"BHS|^~\\&|||LAB|SITE|NOW||||OURS|B2\r" + replies[2] + b"BTS|1\rFTS|2\r"
    )
    assert is_positive(mirrored)
    assert not is_positive(mirrored.replace(b"AA|3", b"AE|3"))


def test_what_is_no_reply_is_not_positive() -> None:
    assert not is_positive(b"")
    assert not is_positive(b"nothing like it")
