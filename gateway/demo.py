"""`gateway demo`: the whole gateway on an empty folder, fed through its real doors."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import orjson

from gateway.access.scopes import SEND_HL7
from gateway.config import Settings
from gateway.errors import GatewayError, StoreUnavailable
from gateway.oauth.clients import fetch_token, register
from gateway.oauth.keys import new_key
from gateway.store import schema
from gateway.store.database import Database, now_micros
from gateway.store.listing import list_messages
from gateway.wire.http import get, post_bytes
from gateway.wire.mllp import send

_SCOPE = f"system/*.rs {SEND_HL7}"
_WAIT_SECONDS = 25.0

# Invented people with test CHI numbers.
_PEOPLE = (
    ("0101625707", "Testpatient^Morag^Ailsa", "19620101", "F"),
    ("0101405073", "Example^Hamish", "19400101", "M"),
    ("1506241115", "Sample^Callum", "19240615", "M"),
    ("0109560000", "Specimen^Catriona", "19560901", "F"),
)


@dataclass(frozen=True, slots=True)
class Step:
    """One message of the demonstration and what must become of it."""

    name: str
    door: str
    message: bytes
    answer: str
    state: str


def run(settings: Settings, data: Path | None, once: bool) -> int:
    """Run the demonstration; 0 when every outcome is the expected one."""
    folder = data or Path(tempfile.mkdtemp(prefix="gateway-demo-"))
    if folder.exists() and any(folder.iterdir()):
        raise GatewayError("the demonstration needs an empty folder", where="--data")
    environment = os.environ | {
        "GATEWAY_DATA": str(folder), "GATEWAY_PORT": str(settings.port),
        "GATEWAY_MLLP_PORT": str(settings.mllp_port), "GATEWAY_BASE_URL": settings.base_url,
        "GATEWAY_DEVELOPMENT": "true", "GATEWAY_LOG_LEVEL": "warning",
    }  # fmt: skip
    click.echo(f"starting in {folder}")
    database = Database(f"sqlite:///{(folder / 'gateway.db').resolve()}")
    schema.upgrade(database)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    gateway = subprocess.Popen([sys.executable, "-m", "gateway.cli", "up"], env=environment)
    try:
        return _demonstrate(settings, database, gateway, once)
    except KeyboardInterrupt:
        return 0
    finally:
        gateway.terminate()
        gateway.wait()
        database.close()


def _demonstrate(
    settings: Settings, database: Database, gateway: subprocess.Popen[bytes], once: bool
) -> int:
    _ready(settings, gateway)
    private, public = new_key("ES384")
    client = register(database, "demonstration", _SCOPE, {"keys": [public]}, now_micros())
    token_url = f"{settings.base_url}/oauth/token"
    token = fetch_token(token_url, private, client.id, _SCOPE, int(time.time()))["access_token"]
    steps = list(scenario())
    fine = True
    rows = []
    for number, step in enumerate(steps, 1):
        click.echo(f"  {number}/{len(steps)} {step.name}")
        answer = _send(settings, step, token)
        state, report = _outcome(database, settings)
        fine &= (answer, state) == (step.answer, step.state)
        rows.append((step.name, step.door, answer, state, report))
    _table(rows)
    click.echo(
        "\nevery outcome is the expected one" if fine else "\nAN OUTCOME IS NOT THE EXPECTED ONE"
    )
    _hints(settings, token)
    if not once:
        click.echo("\nrunning until Ctrl-C")
        gateway.wait()
    return 0 if fine else 1


def _ready(settings: Settings, gateway: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _WAIT_SECONDS
    while time.monotonic() < deadline:
        if gateway.poll() is not None:
            raise GatewayError("the gateway did not start: is a port in use?")
        try:
            if get(f"{settings.base_url}/health/ready")[0] == 200:
                list(send(settings.mllp_host, settings.mllp_port, [], 1.0))
                return
        except GatewayError:
            pass
        time.sleep(0.05)
    raise StoreUnavailable("the gateway was not ready in time")


def _send(settings: Settings, step: Step, token: str) -> str:
    if step.door == "MLLP":
        (reply,) = send(settings.mllp_host, settings.mllp_port, [step.message])
    else:
        headers = {"Authorization": f"Bearer {token}",
                   "Content-Type": "application/hl7-v2; charset=UTF-8"}  # fmt: skip
        reply = post_bytes(f"{settings.base_url}/hl7", step.message, headers)[1]
    fields = [line.split(b"|") for line in reply.split(b"\r") if line.startswith(b"MSA")]
    return fields[0][1].decode() if fields else "none"


def _outcome(database: Database, settings: Settings) -> tuple[str, str]:
    """Wait until the newest message has come to rest; return its state and report URL."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while True:
        with database.read() as connection:
            row = list_messages(connection, limit=1)[0]
        state = row["state"] or row["message_state"]
        if state not in ("received", "waiting") or time.monotonic() > deadline:
            break
        time.sleep(0.02)
    filed = [one for one in orjson.loads(row["outcome"] or "[]") if one.startswith("Diagnostic")]
    reason = row["reason"] or row["message_reason"]
    shown = f"{settings.fhir_base}/{filed[0]}" if filed else reason
    return state, shown


def _table(rows: Sequence[tuple[str, ...]]) -> None:
    heads = ("message", "door", "answer", "outcome", "report or reason")
    widths = [max(len(row[at]) for row in (heads, *rows)) for at in range(len(heads))]
    click.echo()
    for row in (heads, *rows):
        click.echo(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )


def _hints(settings: Settings, token: str) -> None:
    query = "patient.identifier=urn:oid:2.16.840.1.113883.2.1.3.2.4.16.53%7C0101625707"
    url = f"{settings.fhir_base}/DiagnosticReport?{query}&_include=DiagnosticReport:result"
    click.echo(
        f"\nmetadata: {settings.fhir_base}/metadata"
        f"\nMLLP: {settings.mllp_host}:{settings.mllp_port}"
    )
    click.echo("\nreports of one patient, with their results (the token lives five minutes):")
    click.echo(f"curl -H 'Authorization: Bearer {token}' '{url}'")


def scenario() -> Iterator[Step]:
    """Yield the messages: patients first, then one of each kind of outcome."""
    for number, (chi, name, born, sex) in enumerate(_PEOPLE, 1):
        message = _patient(chi, name, born, sex, number)
        yield Step(f"patient {number} of {len(_PEOPLE)}", "MLLP", message,
                   "AA", "filed")  # fmt: skip
    morag, hamish, callum, catriona = _PEOPLE
    positive = _germline(
        "D0001", "LRI-1", morag, "20260302101500", "F", "See a genetic counsellor."
    )
    yield Step("germline positive, two variants", "MLLP", positive, "AA", "filed")
    yield Step("the same message again", "MLLP", positive, "AA", "duplicate")
    yield Step(
        "negative, genes studied", "MLLP", _negative("D0002", "LRI-2", hamish), "AA", "filed"
    )
    yield Step("PDF only, in a CE field", "HTTP", _pdf("D0003", "IG-3", callum), "AA", "filed")
    yield Step("corrected report", "MLLP",
               _germline("D0004", "LRI-1", morag, "20260309090000", "C", "Corrected: see note."),
               "AA", "filed")  # fmt: skip
    yield Step("another person's CHI", "MLLP",
               _negative("D0005", "LRI-5", (catriona[0], *hamish[1:])), "AA", "held")  # fmt: skip
    yield Step("CHI not in the index", "MLLP",
               _negative("D0006", "LRI-6", ("0707411114", "Unknown^Isla", "19410707", "F")),
               "AA", "held")  # fmt: skip
    stranger = _negative("D0007", "LRI-7", hamish).replace(b"GENLIMS", b"NOBODY")
    yield Step("unknown sender", "MLLP", stranger, "AR", "rejected")
    yield Step("not HL7 at all", "MLLP", b"GARBAGE|1\r", "AR", "rejected")


def _lines(*lines: str) -> bytes:
    return "".join(line + "\r" for line in lines).encode("utf-8")


def _patient(chi: str, name: str, born: str, sex: str, number: int) -> bytes:
    return _lines(
        f"MSH|^~\\&|PAS|SCOTLAND|GATEWAY||202601010900||ADT^A28^ADT_A05|P{number:04}|P|2.5",
        "EVN|A28|202601010900",
        f"PID|1||{chi}^^^CHI^NH||{name}||{born}|{sex}|||^^^^G1 1AA",
    )


def _result(
    control: str, number: str, person: tuple[str, ...], when: str, status: str, *lines: str
) -> bytes:
    chi, name, born, sex = person
    return _lines(
        f"MSH|^~\\&|GENLIMS|DUNDEE|GATEWAY||{when}||ORU^R01^ORU_R01|{control}|P|2.5.1"
        "|||||||UNICODE UTF-8",
        f"PID|1||{chi}^^^CHI^NH||{name}||{born}|{sex}",
        f"ORC|RE|ORD-{number}|{number}" + "|" * 18 + "NHS Lothian^^^^^SS999",
        f"OBR|1|ORD-{number}|{number}|R208.1^Inherited breast cancer^England-GenomicTestDirectory"
        "|||20260210|||||||20260211" + "|" * 8 + f"{when}||GE|{status}",
        *lines,
        f"SPM|1|SP-{number}||445295009^Blood specimen with EDTA^SCT|||||||||||||20260210",
    )


def _obx(number: int, kind: str, code: str, group: str, value: str) -> str:
    return f"OBX|{number}|{kind}|{code}^^LN|{group}|{value}||||||F"


def _germline(
    control: str, number: str, person: tuple[str, ...], when: str, status: str, advice: str
) -> bytes:
    lines = [
        ("CWE", "51968-6", "1", "LA6576-8^Positive^LN"),
        ("FT", "51969-4", "1", f"A pathogenic BRCA2 variant was found.\\.br\\{advice}"),
        ("CWE", "62374-4", "1", "LA26806-2^GRCh38^LN"),
        ("CWE", "48018-6", "1.a", "HGNC:1100^BRCA1^HGNC-Symb"),
        ("CWE", "48018-6", "1.b", "HGNC:1101^BRCA2^HGNC-Symb"),
        ("CWE", "69548-6", "2a", "LA9633-4^Present^LN"),
        ("CWE", "48018-6", "2a", "HGNC:1101^BRCA2^HGNC-Symb"),
        ("CWE", "48004-6", "2a", "NM_000059.4:c.5946del^^HGVS.c"),
        ("CWE", "48005-3", "2a", "NP_000050.3:p.(Ser1982ArgfsTer22)^^HGVS.p"),
        ("CWE", "51958-7", "2a", "NM_000059.4^^RefSeq-T"),
        ("CWE", "62374-4", "2a", "LA26806-2^GRCh38^LN"),
        ("CWE", "48002-0", "2a", "LA6683-2^Germline^LN"),
        ("CWE", "53034-5", "2a", "LA6706-1^Heterozygous^LN"),
        ("CWE", "53037-8", "2a", "LA6668-3^Pathogenic^LN"),
        ("CWE", "69548-6", "2b", "LA9633-4^Present^LN"),
        ("CWE", "48018-6", "2b", "HGNC:1100^BRCA1^HGNC-Symb"),
        ("CWE", "48004-6", "2b", "NM_007294.4:c.5096G>A^^HGVS.c"),
        ("CWE", "48002-0", "2b", "LA6683-2^Germline^LN"),
        ("CWE", "53037-8", "2b", "LA26333-7^Uncertain significance^LN"),
        ("CWE", "X-ACTION", "1", "LA14020-4^Genetic counseling recommended^LN"),
    ]
    return _result(control, number, person, when, status,
                   *(_obx(at, *line) for at, line in enumerate(lines, 1)))  # fmt: skip


def _negative(control: str, number: str, person: tuple[str, ...]) -> bytes:
    lines = [
        ("CWE", "51968-6", "1", "LA6577-6^Negative^LN"),
        ("FT", "51969-4", "1", "No reportable variant was found in the genes studied."),
        ("CWE", "48018-6", "1.a", "HGNC:1100^BRCA1^HGNC-Symb"),
        ("CWE", "48018-6", "1.b", "HGNC:1101^BRCA2^HGNC-Symb"),
    ]
    return _result(control, number, person, "20260303101500", "F",
                   *(_obx(at, *line) for at, line in enumerate(lines, 1)))  # fmt: skip


def _pdf(control: str, number: str, person: tuple[str, ...]) -> bytes:
    chi, name, born, sex = person
    spaced = f"{chi[:3]} {chi[3:6]} {chi[6:]}"
    document = base64.b64encode(one_page_pdf("Genomic laboratory report (demonstration)")).decode()
    return _lines(
        f"MSH|^~\\&|IGENE|GLASGOW|GATEWAY||20260304||ORU^R01|{control}|T|2.3",
        f"PID||{spaced}|||{name}||{born}|{sex}",
        "ORC|RE" + "|" * 20 + "^^^^^SG999^^^ODS",
        f"OBR|1||{number}|IGEAP^PANEL: R208.1 - Inherited breast cancer"
        + "|" * 18
        + "20260304120000|||F",
        f"OBX|1|CE|51969-4^Report^LN|PDF|^IGene^application/pdf^Base64^{document}||||||F",
        "OBX|2|CE|51968-6^Outcome^LN||332^NO VARIANT DETECTED||||||F",
    )


def one_page_pdf(text: str) -> bytes:
    """Write a valid one-page PDF with one line of text."""
    stream = f"BT /F1 14 Tf 60 780 Td ({text}) Tj ET".encode("ascii")
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R"
        b"/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%b\nendstream" % (len(stream), stream),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    out, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj%b endobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size, start = len(objects) + 1, len(out)
    trailer = b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (size, start)
    return out + b"xref\n0 %d\n0000000000 65535 f \n%b%b" % (size, table, trailer)
