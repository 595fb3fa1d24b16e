"""`python -m benchmarks.identity [--people N] [--messages N] [--splink]`: prints the figures.

Exits 1 when a report was filed on the wrong patient.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.identity.filing import run
from benchmarks.identity.population import messages, population


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.identity")
    parser.add_argument("--people", type=int, default=200_000)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--splink", action="store_true", help="also ask Splink (installed by hand)")
    asked = parser.parse_args()
    people = population(asked.people, asked.seed)
    sent = list(messages(people, asked.messages, asked.seed))
    with tempfile.TemporaryDirectory() as folder:
        figures = run(people, sent, Path(folder))
    for line in figures.lines():
        print(line)
    if asked.splink:
        from benchmarks.identity.reference import compare

        for line in compare(people, sent):
            print(line)
    return 1 if figures.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
