from __future__ import annotations

from decimal import Decimal

import pytest

from gateway.report import Code, Quantity, Range, Ratio, Result
from gateway.translate.laboratory import read_name, read_result, result_key
from tests.translate.segments import message, scope

GLUCOSE = "14749-6^Glucose^LN"
MMOL = "mmol/L"


def _result(
    kind: str, value: str, *, unit: str = "", rest: str = "||||F", name: str = GLUCOSE
) -> tuple[Result | None, list[str]]:
    given = message(f"OBX|1|{kind}|{name}||{value}|{unit}|{rest}")
    within = scope(given)
    result = read_result(given.segments[0], within, "key", "final", Code("Profile", "P"))
    return result, [notice.place for notice in within.desk.notices]


def _read(
    kind: str, value: str, *, unit: str = "", rest: str = "||||F", name: str = GLUCOSE
) -> Result:
    result, warned = _result(kind, value, unit=unit, rest=rest, name=name)
    assert result is not None
    assert warned == []
    return result


def mmol(value: str, comparator: str = "") -> Quantity:
    return Quantity(Decimal(value), MMOL, MMOL, comparator)


@pytest.mark.parametrize(
    ("kind", "sent", "unit", "value", "type_"),
    [
        ("NM", "5.40", MMOL, mmol("5.40"), "Quantity"),
        ("NM", "-3", "", Quantity(Decimal(-3)), "Quantity"),
        ("NM", ".5", MMOL, mmol("0.5"), "Quantity"),
        ("NM", "<5", MMOL, mmol("5", "<"), "Quantity"),
        ("NM", "45%", "", Quantity(Decimal(45), "%", "%"), "Quantity"),
        ("SN", ">=^10", MMOL, mmol("10", ">="), "Quantity"),
        ("SN", "^182", MMOL, mmol("182"), "Quantity"),
        ("SN", "=^182", MMOL, mmol("182"), "Quantity"),
        ("SN", "^10^-^20", MMOL, Range(Decimal(10), Decimal(20), MMOL, MMOL), "Range"),
        ("SN", "^1^:^128", "", Ratio(Quantity(Decimal(1)), Quantity(Decimal(128))), "Ratio"),
        ("SN", "^2^+", "", "2+", "string"),
        ("ST", "*1/*4", "", "*1/*4", "string"),
        ("ST", "5.4", MMOL, mmol("5.4"), "Quantity"),
        ("ST", "5.4", "", "5.4", "string"),
        ("TX", "One\\.br\\Two \\T\\ more", "", "One\nTwo & more", "string"),
        ("FT", "  Indented~next", "", "  Indented\nnext", "string"),
        ("CWE", "112144000^Group A^SCT", "",
         Code("Group A", "112144000", "http://snomed.info/sct", "Group A"), "CodeableConcept"),
        ("CE", "A^Group A^L^112144000^Blood group A^SCT", "",
         Code("Group A", "112144000", "http://snomed.info/sct", "Blood group A"),
         "CodeableConcept"),
        ("CNE", "^Words alone", "", Code("Words alone"), "CodeableConcept"),
        ("NR", "3^7", MMOL, Range(Decimal(3), Decimal(7), MMOL, MMOL), "Range"),
        ("NR", "3^", "", Range(Decimal(3)), "Range"),
        ("DT", "20250312", "", "2025-03-12", "dateTime"),
        ("TS", "20250712090000", "", "2025-07-12T09:00:00+01:00", "dateTime"),
        ("DTM", "202503", "", "2025-03", "dateTime"),
        ("TM", "0930", "", "09:30:00", "time"),
        ("TM", "093015.25", "", "09:30:15.25", "time"),
        ("DR", "20250312^20250313", "", "2025-03-12/2025-03-13", "Period"),
        ("ED", "LAB^TEXT^plain^A^Words", "", "Words", "string"),
        ("CX", "123^^^LAB&1.2&ISO", "", "123 LAB 1.2 ISO", "string"),
        ("XCN", "7^Smythe^Ada^^^Dr", "", "7 Smythe Ada Dr", "string"),
        ("IS", "Y", "", "Y", "string"),
        ("", "words", "", "words", "string"),
    ],
)  # fmt: skip
def test_a_value_has_the_meaning_of_its_type(
    kind: str, sent: str, unit: str, value: object, type_: str
) -> None:
    result = _read(kind, sent, unit=unit)
    assert (result.value, result.value_type) == (value, type_)
    assert not result.absent


@pytest.mark.parametrize(
    ("kind", "sent", "unit", "value"),
    [
        ("NM", "5,4", MMOL, "5,4 mmol/L"),
        ("NM", "not done", "", "not done"),
        ("SN", "^1^:^many", "", "1 : many"),
        ("SN", "^20^-^10", MMOL, "20 - 10 mmol/L"),
        ("SN", "<^many", "", "< many"),
        ("NR", "7^3", "", "7 3"),
        ("NR", "low^high", "", "low high"),
        ("DT", "12 March", "", "12 March"),
        ("TS", "20251301", "", "20251301"),
        ("TM", "0930+0100", "", "0930+0100"),
        ("DR", "20250313^20250312", "", "20250313 20250312"),
        ("NM", "1~2", "", "1; 2"),
        ("ST", "48~50", "", "48~50"),
        ("CWE", "1^One^L~2^Two^L", "", "1 One L; 2 Two L"),
    ],
)
def test_what_does_not_read_as_its_type_stays_text_with_a_warning(
    kind: str, sent: str, unit: str, value: str
) -> None:
    result, warned = _result(kind, sent, unit=unit)
    assert result is not None
    assert (result.value, result.value_type) == (value, "string")
    assert warned == ["OBX[1]-5"]


def test_a_type_that_nobody_knows_is_text_with_a_warning() -> None:
    result, warned = _result("ZZ", "a^b")
    assert result is not None
    assert (result.value, warned) == ("a b", ["OBX[1]-2"])


def test_a_pointer_is_kept_with_its_media_type() -> None:
    result = _read("RP", "store/slide-1^Viewer^image^tiff")
    assert (result.value, result.value_type) == ("store/slide-1", "string")
    assert result.notes == ("Application: Viewer", "Media type as sent: image/tiff")


def test_a_time_that_occurs_twice_is_said() -> None:
    result, warned = _result("TS", "20251026013000")
    assert result is not None
    assert (result.value, warned) == ("2025-10-26T01:30:00+01:00", ["OBX[1]-5"])


@pytest.mark.parametrize(
    ("unit", "ucum", "text"),
    [
        ("mmol/L", "mmol/L", "mmol/L"),
        ("%^percent^UCUM", "%", "%"),
        ("[arb'U]/mL^^UCUM", "[arb'U]/mL", "[arb'U]/mL"),
        ("X^^L^ug/L^^UCUM", "ug/L", "X"),
        ("µg/L", "ug/L", "µg/L"),
        ("x10^9/L".replace("^", "\\S\\"), "10*9/L", "x10^9/L"),
        ("mm(hg)", "mm[Hg]", "mm(hg)"),
        ("^Percent", "%", "Percent"),
        ("mut/Mb", "1/1000000{Base}", "mut/Mb"),
        ("", "", ""),
        ('""', "", ""),
    ],
)
def test_a_unit_has_its_ucum_code(unit: str, ucum: str, text: str) -> None:
    value = _read("NM", "1", unit=unit).value
    assert isinstance(value, Quantity)
    assert (value.ucum, value.unit) == (ucum, text)


@pytest.mark.parametrize("unit", ["G/L", "MMOLL", "a b^^UCUM", "furlongs^^ISO"])
def test_an_unknown_unit_keeps_its_text_and_is_named_by_place(unit: str) -> None:
    result, warned = _result("NM", "1", unit=unit)
    assert result is not None
    assert isinstance(result.value, Quantity)
    assert (result.value.ucum, result.value.unit) == ("", unit.split("^")[0])
    assert warned == ["OBX[1]-6"]


def test_what_is_remembered_is_warned_of_each_time() -> None:
    told = [
        _result("NM", "1", unit="furlongs", rest="|odd|||F", name="1^Name^NO-SUCH")[1]
        for _ in range(2)
    ]
    assert told[0] == told[1]
    assert {place for place in ("OBX[1]-3", "OBX[1]-6", "OBX[1]-8")} <= set(map(str, told[0]))


def test_a_unit_beside_words_is_not_lost() -> None:
    assert _read("ST", "Not detected", unit=MMOL).notes == ("Unit as sent: mmol/L",)
    assert _read("ST", "about 5", unit=MMOL).value == "about 5 mmol/L"
    assert _read("SN", "^1^:^128", unit="titre").notes == ("Unit as sent: titre",)


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("1.0-2.0", Range(Decimal("1.0"), Decimal("2.0"), MMOL, MMOL)),
        ("3.5 - 5.3", Range(Decimal("3.5"), Decimal("5.3"), MMOL, MMOL)),
        ("4.3 to 6.2", Range(Decimal("4.3"), Decimal("6.2"), MMOL, MMOL)),
        ("-2--1", Range(Decimal(-2), Decimal(-1), MMOL, MMOL)),
        ("[1-2]", Range(Decimal(1), Decimal(2), MMOL, MMOL)),
        ("1-2 mmol/L", Range(Decimal(1), Decimal(2), MMOL, MMOL)),
        ("<5", Range(None, Decimal(5), MMOL, MMOL)),
        ("up to 5", Range(None, Decimal(5), MMOL, MMOL)),
        (">=3", Range(Decimal(3), None, MMOL, MMOL)),
        ("Negative", None),
        ("70_105", None),
        ("1-2 mg/L", None),
    ],
)
def test_a_reference_range_is_numbers_where_it_plainly_is_and_always_text(
    sent: str, expected: Range | None
) -> None:
    result = _read("NM", "5", unit=MMOL, rest=f"{sent}||||F")
    assert (result.reference_range, result.reference_text) == (expected, sent)


def test_a_reference_range_that_runs_backwards_is_text_alone() -> None:
    result, warned = _result("NM", "5", rest="9-1||||F")
    assert result is not None
    assert (result.reference_range, result.reference_text) == (None, "9-1")
    assert warned == ["OBX[1]-7"]


@pytest.mark.parametrize(
    ("sent", "codes", "warned"),
    [
        ("H", [("H", "High")], []),
        ("hh", [("HH", "Critical high")], []),
        ("L~A", [("L", "Low"), ("A", "Abnormal")], []),
        ("A^Odd^HL70078", [("A", "Odd")], []),
        ("H>", [("HU", "Significantly high")], []),
        ("~\"\"", [], []),
        ("!!", [("", "!!")], ["OBX[1]-8"]),
    ],
)  # fmt: skip
def test_abnormal_flags_are_interpretations(
    sent: str, codes: list[tuple[str, str]], warned: list[str]
) -> None:
    result, places = _result("NM", "5", rest=f"|{sent}|||F")
    assert result is not None
    assert [(one.code, one.text) for one in result.interpretation] == codes
    assert places == warned


@pytest.mark.parametrize(
    ("kind", "value", "status", "reason"),
    [
        ("NM", "", "F", "unknown"),
        ("NM", '""', "F", "unknown"),
        ("CWE", "^^", "F", "unknown"),
        ("ST", "  ", "F", "unknown"),
        ("CWE", "UASK^Asked but unknown^HL70353", "F", "asked-unknown"),
        ("NM", "", "X", "not-performed"),
    ],
)
def test_no_value_has_a_reason_that_says_no_more_than_the_sender(
    kind: str, value: str, status: str, reason: str
) -> None:
    result = _read(kind, value, rest=f"||||{status}")
    assert not result.value
    assert result.absent.code == reason


def test_a_result_that_could_not_be_obtained_has_no_value_but_keeps_what_was_sent() -> None:
    result = _read("NM", "5.4", unit=MMOL, rest="||||X")
    assert (result.value, result.absent.code) == ("", "not-performed")
    assert result.notes == ("As sent: 5.4 mmol/L",)


def test_a_result_knows_its_name_time_method_and_panel() -> None:
    rest = "||||F|||202507120900|||M1^PCR^L~^Sequencing"
    result = _read("NM", "1", rest=rest, name="GLU^Sugar^L^14749-6^Glucose^LN")
    assert result.code == Code("Sugar", "14749-6", "http://loinc.org", "Glucose")
    assert result.effective == "2025-07-12T09:00:00+01:00"
    assert (result.method.text, result.notes) == ("PCR", ("Method: Sequencing",))
    assert (result.key, result.status, result.place) == ("key", "final", "OBX[1]")
    assert result.panel == Code("Profile", "P")


def test_both_triplets_of_a_name_are_kept_when_both_are_known() -> None:
    result = _read("NM", "1", name="14749-6^Glucose^LN^36048009^Glucose level^SCT")
    assert [one.code for one in (result.code, *result.code.also)] == ["14749-6", "36048009"]


def test_a_time_that_cannot_be_read_is_left_to_the_report_and_said() -> None:
    result, warned = _result("NM", "1", rest="||||F|||yesterday")
    assert result is not None
    assert (result.effective, warned) == ("", ["OBX[1]-14"])


def test_a_name_of_words_alone_is_a_name_and_no_name_is_no_result() -> None:
    assert _read("NM", "1", name="^Total IgE").code == Code("Total IgE")
    assert _result("NM", "1", name="^^LN")[0] is None


def test_a_code_of_an_unknown_system_is_dropped_with_its_place() -> None:
    result, warned = _result("NM", "1", name="X1^Marker^WINPATH")
    assert result is not None
    assert (result.code, warned) == (Code("Marker"), ["OBX[1]-3"])


def test_a_key_is_the_panel_and_the_code_whatever_the_order() -> None:
    given = message("OBR|1|O|R|24331-1^Lipids^LN", "OBX|7|NM|^Total IgE||1||||||F")
    within = scope(given)
    panel, code = (read_name(segment, within) for segment in given.segments)
    assert result_key(code, panel) == "24331-1|Total IgE"
