"""Coverage-guided fuzzing of acceptance and translation, by hand and without end.

    pip install atheris
    python -m benchmarks.soak.fuzz [corpus-folder] [-max_total_time=600]

Any bytes are accepted or refused without an exception, each with one stored row whose reply is
the answer; what was accepted is translated, or held with a reason. An exception ends the run and
leaves the input in a file.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris  # type: ignore[import-not-found]

with atheris.instrument_imports(include=["gateway"]):
    from gateway.parse.er7 import split
    from gateway.pipeline.accept import Arrival, Intake, accept
    from gateway.pipeline.read import read
    from gateway.source import Source
    from gateway.store import schema
    from gateway.store.database import Database, now_micros
    from gateway.store.inbox import Inbox
    from gateway.translate.mapping import load_mappings
    from gateway.wire.mllp import Deframer

MAPPINGS = load_mappings(Path(__file__).parents[2] / "mappings")
FOLDER = tempfile.mkdtemp()
DATABASE = Database(f"sqlite:///{FOLDER}/gateway.db")
schema.upgrade(DATABASE)
INTAKE = Intake(Inbox(DATABASE), MAPPINGS, lambda: "FUZZ")


def one(data: bytes) -> None:
    """Take the bytes as they come over one connection, each frame for itself."""
    frames = Deframer(1_000_000)
    for frame in frames.feed(b"\x0b" + data + b"\x1c\r"):
        arrival = Arrival(frame.payload, Source("fuzz"), now_micros(), frame.defect)
        reply = accept(arrival, INTAKE)
        with DATABASE.read() as connection:
            query = "SELECT key, sender, reply, state FROM message ORDER BY key DESC LIMIT 1"
            newest = connection.exec_driver_sql(query).one()
        if bytes(newest.reply) != reply:
            raise AssertionError("the answer is not the stored one")
        if newest.state == "accepted":
            for part in split(frame.payload):
                read(part, MAPPINGS.by_name[newest.sender])
    frames.close()


def main() -> None:
    seeds = sys.argv[1] if len(sys.argv) > 1 and not sys.argv[1].startswith("-") else ""
    if not seeds:
        corpus = Path(FOLDER) / "corpus"
        corpus.mkdir()
        for number, example in enumerate(Path("mappings").glob("*/examples/*.hl7")):
            (corpus / str(number)).write_bytes(example.read_bytes())
        sys.argv.insert(1, str(corpus))
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
