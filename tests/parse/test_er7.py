import re

import hl7
import pytest
from hl7apy.parser import parse_message
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import (
    FusedMessages,
    GatewayError,
    InvalidCharset,
    InvalidValue,
    MissingSegment,
    UnreadableMessage,
)
from gateway.parse.er7 import field_name, header_of, parse, split, structure_errors

MSH = b"MSH|^~\\&|A|F|||1||ORU^R01|C1|P|2.3"


def _with_charset(name: str, text: bytes) -> bytes:
    return MSH + b"||||||" + name.encode() + b"\rNTE|1||" + text + b"\r"


@pytest.mark.parametrize(
    ("ending", "name"), [(b"\r", "CR"), (b"\n", "LF"), (b"\r\n", "CRLF")], ids=str
)
@pytest.mark.parametrize("last", [True, False])
def test_line_ends_are_read_and_recorded(ending: bytes, name: str, last: bool) -> None:
    raw = ending.join([MSH, b"PID|1||X", b"OBX|1"]) + (ending if last else b"")
    message = parse(raw)
    assert [one.name for one in message.segments] == ["MSH", "PID", "OBX"]
    assert (message.value("PID-3"), message.line_ending) == ("X", name)


@pytest.mark.parametrize(
    ("raw", "names"),
    [
        (MSH + b"\rPID|1\r\nOBX|1\r", ["MSH", "PID", "OBX"]),
        (MSH + b"\r\nPID|1\rOBX|1\r\n", ["MSH", "PID", "OBX"]),
        (MSH + b"\nPID|1\rOBX|1\n", ["MSH", "PID", "OBX"]),
        (b"\r\n" + MSH + b"\r\r\rPID|1\r\r", ["MSH", "PID"]),
        (MSH + b"\rZPT|1\rPID\r", ["MSH", "ZPT", "PID"]),
    ],
)
def test_mixed_line_ends_never_join_two_segments(raw: bytes, names: list[str]) -> None:
    assert [one.name for one in parse(raw).segments] == names


def test_a_line_feed_in_a_message_with_cr_is_text() -> None:
    assert parse(MSH + b"\rNTE|1||a\nb\r").value("NTE-3") == "a\nb"


@pytest.mark.parametrize(
    ("number", "name", "encoded"),
    [
        (0, "", "latin-1"), (0, "8859/1", "latin-1"), (0, "8859/15", "iso8859-15"),
        (0, "UNICODE UTF-8", "utf-8"), (0, "unicode", "utf-8"), (0, "UTF-8", "utf-8"),
        (0, "WINDOWS-1252", "cp1252"), (1, "8859/2", "iso8859-2"), (2, "8859/5", "iso8859-5"),
        (3, "8859/7", "iso8859-7"), (1, "GB 18030-2000", "gb18030"), (4, "ISO IR87", "iso2022_jp"),
        (4, "BIG-5", "big5"), (5, "KS X 1001", "euc_kr"), (6, "ASCII", "ascii"),
    ],
)  # fmt: skip
def test_the_declared_character_set_is_used(number: int, name: str, encoded: str) -> None:
    text = ("Zoë", "Łódź", "Жук", "Ωμέγα", "日本", "한국", "plain")[number]
    assert parse(_with_charset(name, text.encode(encoded)), "8859/1").value("NTE-3") == text


@pytest.mark.parametrize("number", [one for one in range(1, 16) if one != 12])
def test_every_latin_set_of_table_0211_is_read(number: int) -> None:
    # Each byte that the set gives a printable character.
    codec = f"iso8859-{number}"
    text = bytes(range(0xA1, 0x100)).decode(codec, "ignore")
    found = parse(_with_charset(f"8859/{number}", text.encode(codec))).value("NTE-3")
    assert found == text


@pytest.mark.parametrize(
    ("declared", "sent", "text"),
    [
        ("8859/1~8859/5", b"Zo\xeb \\C2D4C\\" + "Жук".encode("iso8859-5"), "Zoë Жук"),
        ("8859/1~8859/5", b"\\C2D4C\\" + "Жук".encode("iso8859-5") + b"\\C2842\\ ok", "Жук ok"),
        ("ASCII~ISO IR87", b"\\M2442\\" + b"F|K\\" + b"\\C2842\\ x", "日本 x"),
        ("ASCII~ISO IR87", b"a\\M2442\\F|K\\", "a日本"),
    ],
)
def test_the_set_changes_inside_a_field_and_back_at_its_end(
    declared: str, sent: bytes, text: str
) -> None:
    raw = _with_charset(declared, sent + b"|AFTER")
    assert parse(raw).value("NTE-3") == text
    assert parse(raw).value("NTE-4") == "AFTER"


@pytest.mark.parametrize("name", ["UTF-8", "utf-8", "Unicode UTF-8"])
def test_the_character_set_of_http_wins(name: str) -> None:
    raw = _with_charset("8859/1", "Zoë".encode())
    assert parse(raw, "8859/1", name).value("NTE-3") == "Zoë"
    assert parse(_with_charset("UTF-8", b"Zo\xeb"), charset="ISO-8859-1").value("NTE-3") == "Zoë"


@pytest.mark.parametrize(
    ("name", "text", "where"),
    [
        ("UNICODE UTF-8", b"Zo\xeb", "NTE[1]"), ("", b"Zo\xeb", "NTE[1]"),
        ("ASCII", b"Zo\xeb", "NTE[1]"), ("KLINGON", b"x", "MSH-18"),
        ("UNICODE UTF-16", b"x", "MSH-18"), ("UNICODE UTF-32", b"x", "MSH-18"),
        ("8859/12", b"x", "MSH-18"), ("GB 18030-2000", b"\xff\xff", "NTE[1]"),
    ],
)  # fmt: skip
def test_no_character_is_ever_replaced(name: str, text: bytes, where: str) -> None:
    with pytest.raises(InvalidCharset) as caught:
        parse(_with_charset(name, text), "UTF-8")
    assert caught.value.where == where


@pytest.mark.parametrize(
    "raw",
    [
        MSH + b"\rPID|1\r" + MSH + b"\rPID|1\r",
        MSH + b"\rPID|1\n" + MSH + b"\nPID|1\n",
        MSH + b"\r\nPID|1\r" + MSH + b"\r",
        MSH + b"\nPID|1\r" + MSH + b"\n",
        MSH + b"\rPID|1\x1c" + MSH + b"\r",
        MSH + b"\rPID|1\x0b" + MSH + b"\r",
        MSH + b"\rPID|1\r\0\0" + MSH + b"\r",
        MSH.replace(b"|", b"@") + b"\rPID@1\r" + MSH.replace(b"|", b"@") + b"\r",
        MSH.replace(b"|", b"@") + b"\rPID@1\r" + MSH + b"\r",
    ],
)
@pytest.mark.parametrize("read", [parse, split])
def test_a_second_header_is_never_read_as_part_of_the_first(raw: bytes, read: object) -> None:
    with pytest.raises(FusedMessages):
        read(raw)  # type: ignore[operator]


@pytest.mark.parametrize("text", [b"MSH2 and MSH6", b"a\nMSH-2 lost", b"MSH", b"see MSH|"])
def test_genes_called_msh_are_text(text: bytes) -> None:
    raw = MSH + b"\rNTE|1||" + text + b"\r"
    assert split(raw) == (raw,)
    assert parse(raw).value("NTE-3").encode() == text.partition(b"|")[0]


@pytest.mark.parametrize(
    ("line", "where"),
    [
        (b"pid|1", "line 2"), (b"P|1", "line 2"), (b" PID|1", "line 2"), (b"PIDX|1", "line 2"),
        (b"PID^1", "line 2"), (b"free text", "line 2"), (b"PID|\0", "PID[1]"), (b"\0", "line 2"),
    ],
)  # fmt: skip
def test_what_is_not_a_segment_is_named_by_its_line(line: bytes, where: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        parse(MSH + b"\r" + line + b"\r")
    assert caught.value.where == where


def _batch(*lines: bytes, ending: bytes = b"\r") -> bytes:
    return ending.join(lines) + ending


@pytest.mark.parametrize(
    "raw",
    [
        _batch(b"FHS|^~\\&", b"BHS|^~\\&", MSH, b"PID|1", MSH, b"PID|2", b"BTS|2", b"FTS|1"),
        _batch(b"BHS|^~\\&", MSH, b"PID|1", MSH, b"PID|2", b"BTS|2"),
        _batch(b"BHS|^~\\&", MSH, b"PID|1", MSH, b"PID|2"),
        _batch(b"FHS|^~\\&", MSH, b"PID|1", MSH, b"PID|2", b"FTS"),
        _batch(b"BHS|^~\\&", MSH, b"PID|1", b"BTS|1", b"BHS|", MSH, b"PID|2", b"BTS|1"),
        _batch(b"FHS|^~\\&", b"BHS|^~\\&", MSH, b"PID|1", MSH, b"PID|2", b"BTS|", b"FTS|"),
        _batch(b"BHS|^~\\&", MSH, b"PID|1", MSH, b"PID|2", b"BTS|2", ending=b"\n"),
        _batch(b"BHS|^~\\&", MSH, b"PID|1", MSH, b"PID|2", b"BTS|2", ending=b"\r\n"),
        _batch(b"", b"", b"FHS|^~\\&", MSH, b"PID|1", MSH, b"PID|2"),
    ],
)
def test_a_batch_is_split_into_its_messages(raw: bytes) -> None:
    parts = split(raw)
    assert [parse(part).value("PID-1") for part in parts] == ["1", "2"]
    assert [len(parse(part).segments) for part in parts] == [2, 2]
    assert header_of(raw).control_id == "C1"


@pytest.mark.parametrize(
    "raw",
    [
        _batch(b"BHS|^~\\&", MSH, b"PID|1", b"BTS|2"),
        _batch(b"BHS|^~\\&", MSH, b"PID|1", MSH, b"PID|1", b"BTS|1"),
        _batch(b"FHS|^~\\&", b"BHS|^~\\&", MSH, b"PID|1", b"BTS|1", b"FTS|2"),
        _batch(b"FHS|^~\\&", MSH, b"PID|1", b"BTS|one"),
        _batch(b"FHS|^~\\&", MSH, b"PID|1", b"BTS|" + b"9" * 5000),
    ],
)
def test_a_batch_with_wrong_counts_stays_whole_and_says_why(raw: bytes) -> None:
    assert split(raw) == (raw,)
    assert header_of(raw).control_id == "C1"
    with pytest.raises(MissingSegment) as caught:
        parse(raw)
    assert caught.value.where == "BTS-1"


def test_a_batch_without_messages_has_no_header() -> None:
    assert split(_batch(b"FHS|^~\\&", b"FTS|0")) == (_batch(b"FHS|^~\\&", b"FTS|0"),)
    with pytest.raises(UnreadableMessage):
        header_of(_batch(b"FHS|^~\\&", b"FTS|0"))


def test_two_messages_on_one_line_of_a_batch_are_fused() -> None:
    with pytest.raises(FusedMessages):
        split(_batch(b"BHS|^~\\&", MSH, b"PID|1\n" + MSH))


def test_the_fields_of_msh_are_numbered_as_the_standard_does() -> None:
    message = parse(MSH + b"\r")
    assert [message.value(f"MSH-{n}") for n in (1, 2, 3, 10)] == ["|", "^~\\&", "A", "C1"]


def test_what_editors_put_before_a_message_is_left_out() -> None:
    message = parse(b"\xef\xbb\xbf\r\n" + MSH + b"\rPID|1|\r")
    assert [segment.name for segment in message.segments] == ["MSH", "PID"]


def test_a_large_message_is_read() -> None:
    raw = MSH + b"\r" + b"OBX|1|TX|a^b||some text||||||F\r" * 20_000
    assert len(parse(raw).all("OBX")) == 20_000


def test_field_names_are_the_standards() -> None:
    assert field_name("PID-3") == "Patient Identifier List"
    assert field_name("ZZZ-3") == ""


@pytest.mark.parametrize("raw", [MSH + b"\rPID|1\r", b"", b"nothing", MSH + b"\rXXX\r\0"])
def test_a_wrong_structure_is_said_for_senders_that_ask(raw: bytes) -> None:
    assert [type(error) for error in structure_errors(raw)] == [MissingSegment]


_VALUE = st.text(
    st.characters(codec="ascii", categories=("L", "N"), include_characters=" .-:"), min_size=1,
    max_size=8,
).map(str.strip).filter(bool)  # fmt: skip
_FIELD = st.lists(st.lists(_VALUE, min_size=1, max_size=3), min_size=1, max_size=3)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(_FIELD, min_size=1, max_size=4), min_size=1, max_size=4))
def test_other_readers_see_the_same_values(lines: list[list[list[list[str]]]]) -> None:
    text = MSH.decode().replace("2.3", "2.5.1") + "\r" + "".join(
        "NTE|" + "|".join("~".join("^".join(c) for c in field) for field in line) + "\r"
        for line in lines
    )  # fmt: skip
    ours = parse(text.encode())
    theirs = hl7.parse(text)
    strict = parse_message(text, find_groups=False).children.get("NTE")
    for number, line in enumerate(lines, 1):
        for at, repetitions in enumerate(line, 1):
            values = list(ours.values(f"NTE[{number}]-{at}"))
            assert values == ["^".join(one) for one in repetitions]
            assert str(theirs.segments("NTE")[number - 1][at]) == "~".join(values)
            if at > 1:  # NTE-1 is a number to it, and `00` becomes `0`
                assert strict[number - 1].to_er7().split("|")[at] == "~".join(values)
            first = ours.value(f"NTE[{number}]-{at}.2")
            assert first == next((one[1] for one in repetitions if len(one) > 1), "")


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=80), st.sampled_from([b"", MSH + b"\r", MSH + b"\n", b"BHS|^~\\&\r"]))
def test_any_bytes_are_read_or_refused_in_our_words(tail: bytes, start: bytes) -> None:
    for read in (split, parse, header_of):
        try:
            read(start + tail)
            where = ""
        except GatewayError as error:
            where = error.where
        assert re.fullmatch(r"[A-Z0-9a-z\[\]. -]*", where)
