"""A throw-away PostgreSQL cluster on loopback, when the programs for one are installed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def programs() -> Path | None:
    """Return the folder that holds initdb and pg_ctl, if any."""
    if found := shutil.which("pg_ctl"):
        return Path(found).resolve().parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    return versions[-1].parent if versions else None


def free_port() -> int:
    """Return a TCP port nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _as_postgres(*command: str) -> list[str]:
    # The server refuses to run as root.
    return ["runuser", "-u", "postgres", "--", *command] if os.getuid() == 0 else list(command)


class Cluster:
    """One running cluster: `url(name)` makes a fresh database; it can be stopped and started."""

    def __init__(self, bin_folder: Path, folder: Path, settings: str = "") -> None:
        self.bin, self.folder, self.port = bin_folder, folder, free_port()
        self.settings = settings

    def run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            _as_postgres(str(self.bin / program), *arguments),
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
        )

    def start(self) -> None:
        options = (
            f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''"
            f" {self.settings}"
        )
        self.run(
            "pg_ctl",
            "-D",
            str(self.folder),
            "-w",
            "-o",
            options,
            "start",
            "-l",
            str(self.folder / "log"),
        )

    def stop(self, mode: str = "fast") -> None:
        self.run("pg_ctl", "-D", str(self.folder), "-w", "-m", mode, "stop")

    def url(self, name: str, template: str = "template1") -> str:
        self.run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "gateway",
                 "-T", template, name)  # fmt: skip
        return f"postgresql://gateway@127.0.0.1:{self.port}/{name}"


@contextmanager
def cluster(*, survives_power_loss: bool = True) -> Iterator[Cluster]:
    """Start a cluster in a temporary folder and remove it at the end.

    Processes that are killed lose nothing either way; what would not survive the machine starts
    and stops at once, however many databases there are.
    """
    bin_folder = programs()
    assert bin_folder is not None
    base = Path(tempfile.mkdtemp(prefix="gateway-postgres-"))
    base.chmod(0o755)
    if os.getuid() == 0:
        shutil.chown(base, "postgres")
    settings = "" if survives_power_loss else "-c fsync=off -c full_page_writes=off"
    running = Cluster(bin_folder, base / "data", settings)
    try:
        running.run(
            "initdb",
            "-D",
            str(running.folder),
            "-U",
            "gateway",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
        )
        running.start()
        yield running
    finally:
        if (running.folder / "postmaster.pid").exists():
            running.stop("immediate")
        shutil.rmtree(base, ignore_errors=True)
