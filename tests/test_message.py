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


SAID = [
    ("OBX-3.1", "a^b", {"a"}, True),
    ("OBX-3.1", "a^b", {"b"}, False),
    ("OBX-3.1", "x^a~a^b", {"a"}, True),
    ("OBX-3.1", "^b", {""}, False),
    ("OBX-3.1", "", {""}, False),
    ("OBX-3.1", r"a\S\b^c", {"a^b"}, True),
    ("OBX-3.1", "a&b^c", {"a"}, False),
    ("OBX-3.1.1", "a&b^c", {"a"}, True),
    ("OBX-3.2", "a^b", {"b"}, True),
    ("OBX-3", "a^b", {"a^b"}, True),
]


@pytest.mark.parametrize(("path", "raw", "wanted", "said"), SAID)
def test_a_field_says_what_one_of_its_values_is(
    path: str, raw: str, wanted: set[str], said: bool
) -> None:
    segment = Segment("OBX", 1, ("OBX", "", "", raw))
    message = Message((segment,))
    assert message.says(segment, parse_path(path), frozenset(wanted)) is said
    assert any(one in wanted for one in message.read(segment, parse_path(path))) is said


@pytest.mark.parametrize(
    ("raw", "plain"),
    [("1.5", True), ("", True), ("a^b", False), ("a~b", False), ("a&b", False), ("a\\b", False)],
)
def test_a_field_is_plain_without_a_mark_in_it(raw: str, plain: bool) -> None:
    assert Message(()).plain(raw) is plain


def test_a_sender_with_one_mark_leaves_the_others_in_its_text() -> None:
    message = Message((), Delimiters(repetition="", escape="", subcomponent=""))
    assert message.plain(r"a~b&c\d")
    assert message.components(r"a\F\b^c") == [r"a\F\b", "c"]
