import pytest

from gateway.errors import InvalidMapping
from gateway.message import Delimiters, Message, Segment, parse_path, unescape

USUAL = Delimiters()


def test_hexadecimal_bytes_are_of_the_character_set_of_the_message() -> None:
    assert unescape("Zo\\XC3AB\\", USUAL, "utf-8") == "Zoë"
    assert unescape("Zo\\XEB\\", USUAL, "iso8859-1") == "Zoë"
    assert unescape("Zo\\XEB\\", USUAL, "utf-8") == "Zo\\XEB\\"


@pytest.mark.parametrize(
    ("raw", "meant"),
    [
        (r"a\F\b\S\c\T\d\R\e\E\f", "a|b^c&d~e\\f"),
        (r"line\.br\next", "line\nnext"),
        (r"\H\bold\N\ plain", "bold plain"),
        (r"\X4142\.", "AB."),
        (r"48\R\50", "48~50"),
        (r"unknown \Zxy\ stays", r"unknown \Zxy\ stays"),
        (r"no end \F", r"no end \F"),
        (r"\XZZ\ is not hex", r"\XZZ\ is not hex"),
        ("plain", "plain"),
    ],
)
def test_escapes_are_resolved_and_what_is_not_understood_stays(raw: str, meant: str) -> None:
    assert unescape(raw, USUAL) == meant


def test_a_sender_without_an_escape_character_escapes_nothing() -> None:
    assert unescape(r"a\F\b", Delimiters(escape="")) == r"a\F\b"


def test_values_are_found_by_path_split_before_unescaping() -> None:
    message = Message(
        (
            Segment("MSH", 1, ("MSH", "|", "^~\\&", "APP")),
            Segment("PID", 1, ("PID", "", "", "1^^^A&x~2^^^B", "", r"O\S\Neil^Ann")),
            Segment("OBX", 1, ("OBX", "1")),
            Segment("OBX", 2, ("OBX", "2", "ST")),
        )
    )
    assert message.value("MSH-2") == "^~\\&"
    assert list(message.values("PID-3.1")) == ["1", "2"]
    assert message.value("PID-3.4.1") == "A"
    assert message.value("PID-5.1") == "O^Neil"
    assert message.value("OBX[2]-1") == "2"
    assert message.value("OBX-2") == "ST"
    assert message.value("ZZZ-1") == ""


@pytest.mark.parametrize("text", ["PID3", "pid-3", "PID-3.", "PID-", "P-1", "PID-3.1.1.1", ""])
def test_what_is_no_path_is_refused(text: str) -> None:
    with pytest.raises(InvalidMapping):
        parse_path(text)
