"""Random worlds of patients, reports, relationships and grants, and random callers."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection, insert, text, update

from gateway.access.caller import Caller
from gateway.store import merges
from gateway.store.dates import LAST
from gateway.store.resources import NewVersion, save
from gateway.store.tables import access_grant, relationship, report, resource
from tests.store.records import LOINC, NOW, add_patient, observation, refer

AT = NOW + 500_000_000
CATEGORY = "http://terminology.hl7.org/CodeSystem/v2-0074"


# -- a world --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Version:
    """What decides about one version of one resource; `report` is the name of its report."""

    type: str
    id: str
    number: int
    patient: str
    record_class: str
    label: str
    restricted: bool
    report: str = ""
    tokens: tuple[tuple[str, str, str], ...] = ()


@dataclass
class World:
    """Everything there is; `newest` and `older` by (type, id)."""

    newest: dict[tuple[str, str], Version] = field(default_factory=dict)
    older: list[Version] = field(default_factory=list)
    relations: list[tuple[str, str, str, str, int, int]] = field(default_factory=list)
    grants: list[tuple[str, str, str, int, int, bool]] = field(default_factory=list)
    merged: set[str] = field(default_factory=set)


def make_world(connection: Connection, chance: random.Random) -> World:
    world, keys = World(), {}
    for number in range(4):
        id_, class_ = f"p{number}", chance.choice(("nhs", "nhs", "nhs", "research"))
        keys[id_] = add_patient(connection, id_, f"{number:010}", class_)
        world.newest["Patient", id_] = Version("Patient", id_, 1, id_, class_, "N", False)
    lab = NewVersion("Organization", "lab", {"name": "A laboratory"}, None)
    save(connection, [lab], NOW)
    world.newest["Organization", "lab"] = Version("Organization", "lab", 1, "", "nhs", "N", False)
    for number in range(6):
        _add_report(connection, chance, world, keys, f"r{number}")
    _add_relations(connection, chance, world, keys)
    _restrict(connection, chance, world)
    if chance.random() < 0.5:
        _merge(connection, world, keys, "p3", "p0")
    return world


def _add_report(
    connection: Connection, chance: random.Random, world: World, keys: dict[str, int], name: str
) -> None:
    whose = f"p{chance.randrange(4)}"
    row = insert(report).values(
        laboratory="lab", number=name, patient_key=keys[whose], status="final"
    )
    owner = keys[name] = connection.execute(row.returning(report.c.key)).scalar_one()
    class_ = chance.choice(("nhs", "nhs", "nhs", "research", "eqa"))
    found = []
    for number in range(chance.randrange(1, 3)):
        category, code = chance.choice(("GE", "LAB")), chance.choice(("69548-6", "53037-8"))
        more = {
            "category": [{"coding": [{"system": CATEGORY, "code": category}]}],
            "code": {"coding": [{"system": LOINC, "code": code}]},
        }
        tokens = (("category", CATEGORY, category), ("code", LOINC, code))
        found.append((observation(f"{name}-{number}", whose, keys[whose], class_, **more), tokens))
    content = {
        "status": chance.choice(("final", "amended")),
        "identifier": [{"system": "urn:example:report-number", "value": name}],
        "code": {"coding": [{"system": LOINC, "code": "51969-4"}]},
        "subject": {"reference": f"Patient/{whose}"},
        "performer": refer("Organization/lab"),
        "effectiveDateTime": f"2025-03-{chance.randrange(1, 28):02}",
        "result": refer(*(f"Observation/{one.id}" for one, _ in found)),
    }
    whole = NewVersion("DiagnosticReport", name, content, keys[whose], class_)
    told = NewVersion("Provenance", f"{name}-told", {"target": refer(f"DiagnosticReport/{name}")},
                      keys[whose], class_)  # fmt: skip
    kept = [*found, (whole, (("code", LOINC, "51969-4"),)), (told, ())]
    for edition in range(1, chance.choice((2, 3))):
        label = chance.choice(("N", "N", "R", "V"))
        versions = [
            replace(one, content={**one.content, "language": f"v{edition}"}, owner=owner,
                    confidentiality=label)
            for one, _ in kept
        ]  # fmt: skip
        save(connection, versions, NOW + edition * 1_000_000)
        for one, tokens in kept:
            place = (one.type, one.id)
            if place in world.newest:
                world.older.append(world.newest[place])
            world.newest[place] = Version(
                one.type, one.id, edition, whose, class_, label, False, name, tokens
            )


def _add_relations(
    connection: Connection, chance: random.Random, world: World, keys: dict[str, int]
) -> None:
    spans = ((NOW, LAST), (NOW, LAST), (NOW, AT), (AT + 1, LAST))
    reports = {one.report: one.patient for one in world.newest.values() if one.report}
    for name, whose in reports.items():
        for meaning in ("laboratory", "requesting"):
            party = chance.choice(("B0", "B1", "B2", "T1"))
            world.relations.append((whose, name, meaning, party, *chance.choice(spans)))
    for _ in range(3):
        whose, party = f"p{chance.randrange(4)}", chance.choice(("B0", "B1", "B2", "T1"))
        meaning = chance.choice(("treating", "residence"))
        world.relations.append((whose, "", meaning, party, *chance.choice(spans)))
    for _ in range(3):
        name = chance.choice(("", *reports))
        whose = reports.get(name, f"p{chance.randrange(4)}")
        grantee = chance.choice(("person:ada", "team:T1", "client:narrow", "person:bo"))
        begin, end = chance.choice(spans)
        world.grants.append((grantee, whose, name, begin, end, chance.random() < 0.3))
    for whose, name, meaning, party, begin, end in world.relations:
        connection.execute(insert(relationship).values(
            patient_key=keys[whose], owner=keys.get(name, 0), meaning=meaning, party=party,
            since=begin, until=end,
        ))  # fmt: skip
    for grantee, whose, name, begin, end, unsealed in world.grants:
        connection.execute(insert(access_grant).values(
            grantee=grantee, patient_key=keys[whose], report_key=keys.get(name), reason="test",
            given_at=begin, expires_at=end, restricted=unsealed,
        ))  # fmt: skip


def _restrict(connection: Connection, chance: random.Random, world: World) -> None:
    for place, one in list(world.newest.items()):
        if one.type != "Organization" and chance.random() < 0.15:
            world.newest[place] = replace(one, restricted=True)
            these = (resource.c.type == one.type, resource.c.id == one.id)
            connection.execute(update(resource).where(*these).values(restricted=True))


_MESSAGE = text(
    "INSERT INTO message (received_at, source, sender, sending_application, sending_facility,"
    " control_id, type, charset, raw, answer, reply, state, reason, control_id_reused) VALUES"
    " (0, 's', 's', 'a', 'f', 'c', 'ADT^A40', '', :raw, 'AA', :raw, 'accepted', '', false)"
    " RETURNING key"
)
_PART = text(
    "INSERT INTO part (message_key, ordinal, lane, state, reason, detail, account, outcome,"
    " attempts, ready_at, changed_at) VALUES (:message, 0, 'l', 'filed', '', '[]', '[]', '[]', 0,"
    " 0, 0) RETURNING key"
)


def _merge(
    connection: Connection, world: World, keys: dict[str, int], gone: str, stays: str
) -> None:
    message = connection.execute(_MESSAGE, {"raw": b""}).scalar_one()
    part = connection.execute(_PART, {"message": message}).scalar_one()
    merges.merge(connection, keys[gone], keys[stays], part, AT)
    world.merged.add(gone)
    moved = {
        place: replace(one, patient=stays)
        for place, one in world.newest.items()
        if one.patient == gone and one.type != "Patient"
    }
    world.newest |= moved
    world.older = [replace(one, patient=stays) if one.patient == gone else one
                   for one in world.older]  # fmt: skip
    world.relations = [(stays, *one[1:]) if one[0] == gone else one for one in world.relations]
    world.grants = [(one[0], stays, *one[2:]) if one[1] == gone else one for one in world.grants]


# -- a caller -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Wanted:
    """One scope: `narrowed` are (parameter, any of these (system, code))."""

    level: str
    type: str
    letters: str
    narrowed: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()

    def __str__(self) -> str:
        asked = "&".join(
            f"{name}=" + ",".join(f"{system}|{code}" if system else code for system, code in pairs)
            for name, pairs in self.narrowed
        )
        return f"{self.level}/{self.type}.{self.letters}" + (f"?{asked}" if asked else "")


NARROWED = (
    (),
    (),
    (),
    (),
    (("category", ((CATEGORY, "GE"),)),),
    (("code", (("", "69548-6"), (LOINC, "51969-4"))),),
    (("category", ((CATEGORY, "GE"), (CATEGORY, "LAB"))), ("code", ((LOINC, "53037-8"),))),
)


def make_caller(chance: random.Random) -> tuple[Caller, tuple[Wanted, ...]]:
    level = chance.choice(("system", "user", "patient"))
    types = ("*", "*", "Observation", "DiagnosticReport", "Patient", "Provenance")
    wanted = tuple(
        Wanted(
            chance.choice((level, level, level, "patient", "user", "system")),
            chance.choice(types),
            chance.choice(("rs", "rs", "r", "s")),
            chance.choice(NARROWED),
        )
        for _ in range(chance.randrange(1, 4))
    )
    scopes = tuple(str(one) for one in wanted)
    launched = chance.choice(("p0", "p1", "p3")) if level == "patient" else ""
    if level == "system":
        client, boards = chance.choice(("wide", "narrow")), chance.choice(((), (), ("B1",)))
        return Caller(client, scopes, boards=boards, patient=launched), wanted
    roles = ("clinician", "laboratory", "privacy", "operator")
    who = Caller(
        "app",
        scopes,
        person=chance.choice(("ada", "bo")),
        roles=tuple(chance.sample(roles, chance.randrange(1, 4))),
        boards=tuple(chance.sample(("B1", "B2"), chance.randrange(3))),
        teams=chance.choice(((), ("T1",))),
        patient=launched,
        purpose=chance.choice(("TREAT", "TREAT", "TREAT", "HOPERAT", "HCOMPL", "HRESCH")),
    )
    return who, wanted
