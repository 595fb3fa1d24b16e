import pytest
from hl7apy.parser import parse_message
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import (
    GatewayError,
    InvalidCharset,
    StoreUnavailable,
    UnknownSender,
    UnreadableMessage,
)
from gateway.message import Delimiters
from gateway.wire.acknowledgement import acknowledge
from gateway.wire.er7 import read_header

USUAL = "MSH|^~\\&|LAB^1.2^ISO|SITE|GW|BOARD|20260304||ORU^R01^ORU_R01|C1|P^T|{}"


def _reply(raw: bytes, answer: str = "AA", errors: tuple[GatewayError, ...] = ()) -> list[str]:
    header = read_header(raw)
    text = acknowledge(header, answer, errors, control_id="A1", now="20260304120000+0000")
    assert text.endswith(b"\r")
    return text.decode("latin-1").split("\r")[:-1]


@pytest.mark.parametrize(
    ("line", "delimiters"),
    [
        (b"MSH|^~\\&|A", Delimiters()),
        (b"MSH|^~\\&#|A", Delimiters()),
        (b"MSH|^~|A", Delimiters("|", "^", "~", "", "")),
        (b"MSH|^~\\|A", Delimiters("|", "^", "~", "\\", "")),
        (b"MSH|^|A", Delimiters("|", "^", "", "", "")),
        (b"MSH@!%*$@A", Delimiters("@", "!", "%", "*", "$")),
        (b"\r\nMSH|^~\\&|A\rPID|1", Delimiters()),
        (b"MSH|^~\\&|A\nPID|1", Delimiters()),
    ],
)
def test_delimiters_are_read_from_the_message(line: bytes, delimiters: Delimiters) -> None:
    header = read_header(line)
    assert header.delimiters == delimiters
    assert header.raw(3) == "A"


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"\r", b"MSH", b"MSH|", b"PID|1", b"MSH|^^~|A", b"MSH|^~\\&#%|A", b"MSH|a~|A",
        b"MSHA^~\\&AX", b"MSH ^~\\& X", b"MSH\xa3^~\\&\xa3A", b"MSH\0^~\\&\0A", b"MSH|\x07~|A",
        "MSH|^~\\&|A".encode("utf-16"), b"MSH||A",
        b"MSH|^~\\&|" + b"A" * 100_000,
    ],
)  # fmt: skip
def test_what_is_not_a_header_is_refused(raw: bytes) -> None:
    with pytest.raises(UnreadableMessage):
        read_header(raw)


@pytest.mark.parametrize(
    ("version", "kind"),
    [
        ("2.1", "ACK"), ("2.2", "ACK^R01"), ("2.3", "ACK^R01"), ("2.3.1", "ACK^R01^ACK"),
        ("2.4", "ACK^R01^ACK"), ("2.5.1", "ACK^R01^ACK"), ("2.8^GBR", "ACK^R01^ACK"),
        ("", "ACK^R01^ACK"),
    ],
)  # fmt: skip
def test_the_reply_turns_the_header_round(version: str, kind: str) -> None:
    line = USUAL.format(version)
    msh = _reply(line.encode())[0].split("|")
    assert msh[2:6] == ["GW", "BOARD", "LAB^1.2^ISO", "SITE"]
    assert msh[6:12] == ["20260304120000+0000", "", kind, "A1", "P^T", version or "2.5.1"]


@pytest.mark.parametrize(
    ("version", "msa", "err"),
    [
        ("2.3", "MSA|AR|C1|No mapping is configured for this sending application and facility."
         "|||200^^HL70357",
         "ERR|MSH^1^3^200"),
        ("2.4", "MSA|AR|C1|No mapping is configured for this sending application and facility."
         "|||200^^HL70357",
         "ERR|MSH^1^3^200"),
        ("2.5", "MSA|AR|C1", "ERR||MSH^1^3^1|200^^HL70357|E||||No mapping is configured for this"
         " sending application and facility. (MSH-3)"),
        ("2.8", "MSA|AR|C1", "ERR||MSH^1^3^1|200^^HL70357|E||||No mapping is configured for this"
         " sending application and facility. (MSH-3)"),
    ],
)  # fmt: skip
def test_an_error_has_the_shape_of_the_version(version: str, msa: str, err: str) -> None:
    reply = _reply(USUAL.format(version).encode(), "AR", (UnknownSender(where="MSH-3"),))
    assert reply[1:] == [msa, err]


@pytest.mark.parametrize(
    ("where", "location"),
    [
        ("", ""), ("line 3", ""), ("MSH", "MSH^1"), ("OBX[3]", "OBX^3"), ("OBX[3]-5", "OBX^3^5^1"),
        ("PID-3.1", "PID^1^3^1^1"), ("PID-3.4.2", "PID^1^3^1^4^2"),
    ],
)  # fmt: skip
def test_err_2_says_where(where: str, location: str) -> None:
    reply = _reply(USUAL.format("2.5.1").encode(), "AE", (InvalidCharset(where=where),))
    assert reply[2].split("|")[2] == location


def test_several_errors_are_several_segments() -> None:
    errors = (InvalidCharset(where="OBX[1]"), InvalidCharset(where="OBX[2]"))
    reply = _reply(USUAL.format("2.5.1").encode(), "AE", errors)
    assert [line.split("|")[2] for line in reply[2:]] == ["OBX^1", "OBX^2"]


def test_without_a_header_there_is_a_reply_and_no_control_id() -> None:
    text = acknowledge(None, "AR", [UnreadableMessage(where="MSH")], control_id="A1", now="2026")
    assert text.decode().split("\r")[1] == "MSA|AR"


@pytest.mark.parametrize("mark", ["\x0b", "\x1c", "\0", "\x1b", "\x01"])
def test_nothing_echoed_can_end_a_frame_or_begin_a_segment(mark: str) -> None:
    raw = f"MSH|^~\\&|A{mark}B|F|G|H|1||ORU^R{mark}01|C{mark}1|P{mark}|2.3{mark}||||||8859/1{mark}"
    text = acknowledge(read_header(raw.encode()), "AA", [], control_id="A1", now="2026")
    assert not set(text) & (set(range(32)) - {13})
    assert text.count(b"\r") == 2
    assert b"MSA|AA|C1\r" in text


def test_the_control_id_comes_back_byte_for_byte() -> None:
    raw = b"MSH|^~\\&|A\xe9|F|||1||ORU^R01|\xe9\xff^x~\\T\\ |P|2.3\r"
    text = acknowledge(read_header(raw), "AA", [], control_id="A1", now="2026")
    assert b"MSA|AA|\xe9\xff^x~\\T\\ \r" in text
    assert b"|A\xe9|F|" in text


@pytest.mark.parametrize("encoding", ["^~\\&", "^~\\", "^~", "^", "!%*$"])
def test_error_text_never_holds_a_delimiter(encoding: str) -> None:
    raw = f"MSH|{encoding}|A|B|||1||ORU|C1|P|2.5.1"
    error = InvalidCharset("a|b^c~d\\e&f!g\r%*$", where="PID-3")
    text = acknowledge(read_header(raw.encode()), "AE", [error], control_id="A1", now="2026")
    err = text.decode().split("\r")[2]
    assert len(err.split("|")) == 9
    if len(encoding) == 4:
        escape = encoding[2]
        assert not set(err.split("|")[8].replace(escape, "")) & (set(encoding) - {escape})


@pytest.mark.parametrize("version", ["2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.8"])
@pytest.mark.parametrize("answer", ["AA", "AE", "AR"])
def test_hl7apy_reads_our_replies(version: str, answer: str) -> None:
    errors = () if answer == "AA" else (StoreUnavailable(), InvalidCharset(where="OBX[3]-5.2"))
    text = "\r".join(_reply(USUAL.format(version).encode(), answer, errors)) + "\r"
    parsed = parse_message(text, find_groups=False)
    assert parsed.msa.msa_1.to_er7() == answer
    assert parsed.msa.msa_2.to_er7() == "C1"
    assert parsed.msh.msh_12.to_er7() == version
    assert len(parsed.children.get("ERR")) == len(errors)


_TEXT = st.text(st.characters(max_codepoint=255), max_size=12)


@settings(max_examples=300, deadline=None)
@given(st.lists(_TEXT, max_size=20), _TEXT)
def test_any_header_gets_a_reply_of_whole_segments(fields: list[str], where: str) -> None:
    raw = ("MSH|^~\\&|" + "|".join(fields)).encode("latin-1")
    error = InvalidCharset(where=where)
    text = acknowledge(read_header(raw), "AE", [error], control_id="A1", now="2026")
    assert [line[:4] for line in text.split(b"\r")] == [b"MSH|", b"MSA|", b"ERR|", b""]
    assert not set(text) & {0x0B, 0x1C, 0x0A, 0}
