"""README.md says what the code says: its settings, its errors, its commands."""

from __future__ import annotations

import importlib.util
import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import click
import pytest

from gateway.access.scopes import OTHER_SCOPES
from gateway.cli import main
from gateway.config import Settings
from gateway.errors import GatewayError

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def table(heading: str) -> list[list[str]]:
    """Return the cells of the table under a heading, without its two head lines."""
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def cell(default: object) -> str:
    """Write a default as the environment would say it."""
    if isinstance(default, bool):
        text = str(default).lower()
    elif isinstance(default, tuple):
        text = ",".join(default)
    elif isinstance(default, float):
        text = f"{default:g}"
    else:
        text = "" if default is None else str(default)
    return f"`{text}`" if text else "none"


def family(error: type[GatewayError]) -> Iterator[type[GatewayError]]:
    """Yield an error and all that descend from it, in the order of the module."""
    yield error
    for child in error.__subclasses__():
        if child.__module__ == error.__module__:
            yield from family(child)


def snippets() -> Iterator[list[str]]:
    """Yield the words of each command in the README: shell blocks and code in sentences."""
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    lines = [part for block in blocks for line in block.splitlines() for part in line.split("&&")]
    for text in lines + re.findall(
        r"`([^`\n]+)`", re.sub(r"```.*?```", "", README, flags=re.DOTALL)
    ):
        yield shlex.split(text)


def commands() -> list[str]:
    """Return what follows `gateway` wherever the README runs it."""
    runs = [words[1:] for words in snippets() if words and words[0].split("/")[-1] == "gateway"]
    return sorted({shlex.join(words) for words in runs if words})


def test_the_settings_table_lists_every_setting_with_its_default() -> None:
    listed = [row[:3] for row in table("Settings")]
    assert listed == [
        [f"`{one.name}`", f"`GATEWAY_{one.name.upper()}`", cell(one.default)]
        for one in fields(Settings)
    ]
    assert all(len(row) == 4 and row[3] for row in table("Settings"))


def test_the_errors_table_lists_every_error_with_its_codes() -> None:
    assert table("Errors") == [
        [f"`{one.__name__}`", str(one.status), one.issue, one.code, one.answer,
         (one.__doc__ or "").split("\n")[0]]
        for one in family(GatewayError)
    ]  # fmt: skip


@pytest.mark.parametrize("line", commands())
def test_a_command_in_the_readme_exists_with_its_options(line: str) -> None:
    command: click.Command = main
    for word in shlex.split(line):
        if word.startswith("--"):
            assert word in {option for one in command.params for option in one.opts}
        elif isinstance(command, click.Group):
            command = command.commands[word]
    assert not isinstance(command, click.Group)


def test_every_file_module_and_extra_that_a_command_names_exists() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    for words in snippets():
        for before, word in zip(["", *words], words, strict=False):
            if before == "-c" or word.startswith(("mappings/", "tests/", "gateway/", ".ci/")):
                assert "<" in word or word in OTHER_SCOPES or (ROOT / word).exists(), word
            elif before == "-m":
                assert importlib.util.find_spec(word), word
            elif extra := re.fullmatch(r"\.\[(.+)\]", word):
                assert set(extra[1].split(",")) <= extras.keys(), word


def test_the_continuous_integration_runs_the_test_command_of_the_readme() -> None:
    assert "/python -m tests\n" in README
    assert '/python" -m tests ' in (ROOT / ".ci" / "run").read_text()
