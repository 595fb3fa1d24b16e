from __future__ import annotations

from pathlib import Path

import pytest

from gateway.access.access import Right
from gateway.access.caller import Caller
from gateway.access.policy import DEFAULT, Policy, access, load_policy
from gateway.errors import Forbidden, InvalidSetting

CLINICIAN = Caller("app", ("user/*.rs",), person="ada", roles=("clinician",), boards=("B1",))


def _load(tmp_path: Path, text: str) -> Policy:
    (tmp_path / "policy.toml").write_text(text, encoding="utf-8")
    return load_policy(tmp_path / "policy.toml")


def test_without_a_file_a_sensible_default_stands() -> None:
    assert load_policy(None) == DEFAULT
    (right,) = access(CLINICIAN).rights
    assert right.meanings == ("requesting", "treating")
    assert right.labels == ("U", "L", "M", "N", "R")
    assert (right.everybody, right.restricted, right.record_classes) == (False, False, ("nhs",))
    assert access(Caller("backend", ("system/*.rs",))).rights == (Right(),)


@pytest.mark.parametrize("role", ["operator", "administrator", "nobody"])
def test_roles_that_run_the_gateway_see_no_clinical_content(role: str) -> None:
    who = Caller("app", ("user/*.rs",), person="ada", roles=(role,), boards=("B1",))
    assert access(who).rights == ()


def test_only_the_privacy_role_is_for_what_is_restricted() -> None:
    assert not access(CLINICIAN).restricted
    assert access(Caller("app", (), person="ada", roles=("privacy",))).restricted


@pytest.mark.parametrize(
    ("who", "levels"),
    [
        (Caller("backend"), {"system"}),
        (Caller("backend", patient="p1"), {"system"}),
        (Caller("app", person="ada"), {"user"}),
        (Caller("app", person="ada", patient="p1"), {"user", "patient"}),
    ],
)
def test_a_level_counts_for_those_it_is_meant_for(who: Caller, levels: set[str]) -> None:
    asked = Caller(who.client, ("system/*.rs", "user/*.rs", "patient/*.rs"), who.person,
                   patient=who.patient)  # fmt: skip
    assert {scope.level for scope in access(asked).scopes} == levels


def test_a_purpose_that_the_role_does_not_accept_shows_nothing() -> None:
    who = Caller("app", ("user/*.rs",), person="ada", roles=("clinician",), purpose="HRESCH")
    assert access(who).rights == ()
    assert access(Caller("backend", ("system/*.rs",), purpose="HRESCH")).rights == ()


def test_a_client_that_is_bound_to_boards_needs_a_relationship(tmp_path: Path) -> None:
    assert not access(Caller("backend", ("system/*.rs",), boards=("B1",))).rights[0].everybody
    policy = _load(
        tmp_path,
        """
        [clients.regional]
        boards = ["S08000029"]
        record_classes = ["nhs", "research"]
        relationships = ["residence"]
        [boards]
        S08000029 = ["S08000018"]
        """,
    )
    made = policy.access(Caller("regional", ("system/*.rs",)))
    assert made.rights == (Right(("nhs", "research"), "V", False, ("residence",)),)
    assert made.parties == ("S08000029", "S08000018")
    assert policy.access(Caller("another", ("system/*.rs",))).rights == (Right(),)


def test_a_team_and_the_earlier_codes_of_a_board_stand_for_a_person(tmp_path: Path) -> None:
    policy = _load(tmp_path, '[boards]\nB1 = ["B0"]\n')
    who = Caller("app", ("user/*.rs",), person="ada", roles=("clinician",), boards=("B1",),
                 teams=("T1",))  # fmt: skip
    made = policy.access(who)
    assert made.parties == ("B1", "B0", "T1")
    assert made.grantees == ("person:ada", "team:T1")


def test_an_organisation_belongs_to_a_board_from_a_day_until_another(tmp_path: Path) -> None:
    policy = _load(
        tmp_path,
        """
        [[organisations]]
        id = "urn:ods|X1"
        board = "OLD"
        until = 2018-02-02
        [[organisations]]
        id = "urn:ods|X1"
        board = "NEW"
        since = 2018-02-02
        """,
    )
    assert policy.parties_of("urn:ods|X1", "2018-02-01") == ("urn:ods|X1", "OLD")
    assert policy.parties_of("urn:ods|X1", "2018-02-02") == ("urn:ods|X1", "NEW")
    assert policy.parties_of("urn:ods|X2", "2018-02-02") == ("urn:ods|X2",)


def test_a_postcode_leads_to_the_board_of_its_longest_beginning(tmp_path: Path) -> None:
    policy = _load(tmp_path, '[postcodes]\nG = "GLASGOW"\n"G83 7" = "HIGHLAND"\n')
    assert policy.residence("g1 1aa") == "GLASGOW"
    assert policy.residence("G83 7AB") == "HIGHLAND"
    assert policy.residence("EH1 1AA") == policy.residence("") == ""


def test_the_moment_is_a_value_and_never_part_of_the_shape() -> None:
    before, after = access(CLINICIAN, now=1), access(CLINICIAN, now=1).at(2)
    assert before.shape == after.shape
    assert (before.values["access_at"], after.values["access_at"]) == (1, 2)
    backend = access(Caller("backend", ("system/*.rs",)))
    assert backend.at(2) is backend


def test_callers_that_differ_in_names_alone_share_one_shape() -> None:
    other = Caller("app2", ("user/*.rs",), person="bo", roles=("clinician",), boards=("B2",))
    assert access(other).shape == access(CLINICIAN).shape
    granular = [
        access(Caller("app", (f"user/*.rs?category={one}",), person="ada", roles=("clinician",)))
        for one in ("GE", "urn:x|LAB")
    ]
    assert granular[0].shape == granular[1].shape
    assert granular[1].values["access_0_0_0"] == "LAB\x1furn:x"


def test_who_may_break_the_glass_is_for_the_policy_to_say(tmp_path: Path) -> None:
    assert DEFAULT.break_glass(CLINICIAN).break_glass_minutes == 60
    for who in (
        Caller("backend", ("system/*.rs",), roles=("clinician",)),
        Caller("app", (), person="ada", roles=("operator", "laboratory")),
        Caller("app", (), person="ada", roles=("clinician",), purpose="HRESCH"),
    ):
        with pytest.raises(Forbidden):
            DEFAULT.break_glass(who)
    never = _load(tmp_path, "[roles.clinician]\nbreak_glass_minutes = 0\n")
    with pytest.raises(Forbidden):
        never.break_glass(CLINICIAN)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("x = 1", "policy x"),
        ("[roles.nurse]", "policy [roles.nurse]"),
        ("[roles.clinician]\nsecret-value = 1", "policy [roles.clinician] secret-value"),
        ("[roles.clinician]\neverybody = 1", "policy [roles.clinician] everybody"),
        ("[roles.clinician]\nbreak_glass_minutes = -1",
         "policy [roles.clinician] break_glass_minutes"),
        ("[roles.clinician]\nconfidentiality = 'X'", "policy [roles.clinician] confidentiality"),
        ("[roles.clinician]\nrelationships = ['friend']",
         "policy [roles.clinician] relationships"),
        ("[system]\nrecord_classes = 'nhs'", "policy [system] record_classes"),
        ("[[organisations]]\nid = 'a'", "policy [[organisations]]"),
        ("[organisations]\nid = 'a'", "policy [[organisations]]"),
        ("[boards]\nB1 = 'B0'", "policy boards B1"),
        ("not toml", "policy"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_file_is_named_by_its_place(tmp_path: Path, text: str, where: str) -> None:
    with pytest.raises(InvalidSetting) as caught:
        _load(tmp_path, text)
    assert caught.value.where == where


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting):
        load_policy(tmp_path / "none.toml")
