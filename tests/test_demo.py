"""The whole product as its user starts it: processes, sockets, files."""

import subprocess
import sys
from pathlib import Path

from tests.postgres import free_port


def test_the_demonstration_ends_well(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "gateway.cli", "demo", "--once", "--data", str(tmp_path),
               "--port", str(free_port()), "--mllp-port", str(free_port())]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "every outcome is the expected one" in done.stdout
    assert "0101625707" not in done.stderr
    assert "Testpatient" not in done.stderr


def test_the_demonstration_wants_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "something").touch()
    command = [sys.executable, "-m", "gateway.cli", "demo", "--once", "--data", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "empty folder" in done.stderr
