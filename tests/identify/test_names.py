import pytest

from gateway.identify.names import agreement
from gateway.value import PersonName


def _name(text: str) -> PersonName:
    family, _, given = text.partition(", ")
    return PersonName(family, tuple(given.split()))


@pytest.mark.parametrize(
    ("one", "other", "rule"),
    [
        ("O'Neil, A", "ONEIL, A", "the same letters"),
        ("Màiri, A", "Mairi, A", "the same letters"),
        ("Smith-Jones, A", "Smith Jones, A", "the same letters"),
        ("Łukasz, Zoë", "Lukasz, Zoe", "the same letters"),
        ("Smith, Ann Marie", "Smith, Annmarie", "the same letters"),
        ("Smith, Xiao Ming", "Smith, Xiaoming", "the same letters"),
        ("Smith, Morag Ailsa", "Smith, Morag", "a middle name left out"),
        ("Smith, Morag Ailsa", "Smith, Morag A", "a middle name left out"),
        ("McDonald, A", "MacDonald, A", "another spelling of one name"),
        ("Müller, A", "Mueller, A", "another spelling of one name"),
        ("Sørensen, A", "Soerensen, A", "another spelling of one name"),
        ("Khan, Mohammed Ali", "Khan, Muhammad Ali", "another spelling of one name"),
        ("van der Berg, A", "Berg, A", "a particle left out"),
        ("al-Hassan, A", "Hassan, A", "a particle left out"),
        ("García López, Ana", "Garcia, Ana", "one of two surnames"),
        ("Smith-Jones, A", "Jones, A", "one of two surnames"),
        ("García García, Ana", "Garcia, Ana", "one of two surnames"),
        ("Ivanova, Olga", "Ivanov, Olga", "the ending that goes with the sex"),
        ("Kowalska, Anna", "Kowalski, Anna", "the ending that goes with the sex"),
        ("Nguyen, Thi Lan", "Lan, Nguyen Thi", "the same words in another order"),
        ("Suharto", ", Suharto", "a person of one name"),
        ("Suharto, Suharto", "Suharto, Unknown", "a person of one name"),
        ("Reid, Baby of Morag", "Reid, Baby of Morag", "a name for a new-born"),
    ],
)
def test_names_of_one_person_agree_by_a_rule_with_a_name(one: str, other: str, rule: str) -> None:
    assert agreement(_name(one), _name(other)) == rule
    assert agreement(_name(other), _name(one)) == rule


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Smith, Morag", "Smyth, Morag"),
        ("Smith, Iain", "Smith, Ian"),
        ("Smith, Morag", "Smith, M"),
        ("Smith, Morag", "Smith"),
        ("Khan, Mohammed Ali", "Khan, Mohammed Hassan"),
        ("Chan, Mei Ling", "Chan, Mei Hua"),
        ("Reid, Twin 1", "Reid, Twin 2"),
        ("Reid, Baby Boy", "Reid, Baby Girl"),
        ("Reid, Baby of Morag", "Reid, Isla"),
        ("Smith-Jones, A", "Smith-Brown, A"),
        ("Suharto", "Sukarno"),
        ("", ""),
        ("Unknown, Unknown", "Unknown, Unknown"),
    ],
)
def test_names_that_may_be_two_peoples_do_not_agree(one: str, other: str) -> None:
    assert agreement(_name(one), _name(other)) == ""
    assert agreement(_name(other), _name(one)) == ""
