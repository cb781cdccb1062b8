"""Every command and every option says what it is for, and stands in docs/CLI.md."""

from __future__ import annotations

import pytest
from typer.core import TyperOption
from typer.main import get_command
from typer.testing import CliRunner

from tieout.cli import app
from tieout.cli.pages import parameters, walk
from tieout.model.settings import PROJECT

COMMANDS = dict(walk("tieout", get_command(app)))


def test_there_are_the_commands_that_people_were_told_of() -> None:
    wanted = {"quote-to-cash", "runs", "trace", "differences", "doctor", "links", "migrate", "docs",
              "dead-letters list", "dead-letters show", "dead-letters replay", "dead-letters resolve",
              "alias approve", "alias list", "intents list", "audit verify", "mapping lint", "mapping matrix",
              "sandbox serve", "sandbox load"}  # fmt: skip
    assert wanted <= {path.removeprefix("tieout ") for path in COMMANDS}


@pytest.mark.parametrize("path", COMMANDS)
def test_command_and_parameters_say_what_they_are_for(path: str) -> None:
    command = COMMANDS[path]
    assert command.help, f"{path} has no help"
    silent = [one.name for one in parameters(command) if not one.help]
    assert not silent, f"{path}: no help for {silent}"
    shown = CliRunner().invoke(app, [*path.split()[1:], "--help"])
    assert shown.exit_code == 0
    assert all(one.opts[0] in shown.stdout for one in parameters(command) if isinstance(one, TyperOption))


@pytest.mark.parametrize("path", COMMANDS)
def test_command_and_parameters_stand_in_the_docs(path: str) -> None:
    page = (PROJECT / "docs" / "CLI.md").read_text(encoding="utf-8")
    _, _, part = page.partition(f"## `{path}`\n")
    part = part.partition("\n## ")[0]
    assert part, f"{path} is not in docs/CLI.md: run `make docs`"
    for one in parameters(COMMANDS[path]):
        assert f": {one.help}" in part, f"{path}: {one.name} is not in docs/CLI.md: run `make docs`"
