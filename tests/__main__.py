"""The one test command: lint, format, types, import contracts, then the tests themselves."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
# import-linter cannot be run with -m.
_CONTRACTS = "from importlinter.cli import lint_imports_command as lint; lint()"
# One more than there are processors: much of a test is waiting.
WORKERS = str((os.cpu_count() or 1) + 1)
STEPS = (
    ("-m", "ruff", "check"),
    ("-m", "ruff", "format", "--check"),
    ("-m", "mypy"),
    ("-c", _CONTRACTS, "--no-logo"),
    ("-m", "pytest", "-n", WORKERS, "--dist", "worksteal"),
)


def main() -> int:
    """Run each step from the project root; the exit code of the first that fails, or 0."""
    for step in STEPS:
        if code := subprocess.run([sys.executable, *step], cwd=ROOT).returncode:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
