"""The generated pages of docs/: each is a pure function of the code and the configuration, and CI compares it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from tieout.connectors import systems
from tieout.connectors.registry import of_role
from tieout.model.settings import Settings

HEAD = "<!-- Written by `make docs`; edit its source instead. -->\n\n"


def pages(settings: Settings) -> dict[str, str]:
    """File name -> content."""
    from tieout.cli import systems_page
    from tieout.cli.setup import matrix_text
    from tieout.reports import proofs

    return {
        "MAPPINGS.md": f"{HEAD}# Which field goes where\n\n"
        + "\n".join(
            f"## {systems.label(crm)} and {systems.label(ledger)}\n\n{matrix_text(settings, crm, ledger).rstrip()}\n"
            for crm in of_role("crm")
            for ledger in of_role("ledger")
        ),
        "CLI.md": HEAD + _commands(),
        "DAGS.md": HEAD + _dags(settings),
        "SYSTEMS.md": HEAD + systems_page.page(proofs.read(proofs.path_of(settings.project))),
    }


def _commands() -> str:
    from tieout.cli import app

    command = typer.main.get_command(app)
    parts = [
        "# The command line\n",
        f"{command.help}\n",
        "Exit codes: 0 done, 65 a person has to act, 75 try again later, 79 a vendor's limit is used up: the message "
        "says until when.\n",
    ]
    for path, one in walk("tieout", command):
        parts.append(f"## `{path}`\n")
        if one.help:
            parts.append(f"{one.help}\n")
        rows = [_parameter(parameter) for parameter in parameters(one)]
        if rows:
            parts.append("\n".join(rows) + "\n")
    return "\n".join(parts)


def walk(path: str, command: object) -> Iterator[tuple[str, TyperCommand]]:
    """(`tieout alias list`, its command) of every command below this one."""
    if isinstance(command, TyperGroup):
        for name, child in sorted(command.commands.items()):
            yield from walk(f"{path} {name}", child)
    elif isinstance(command, TyperCommand):
        yield path, command
    else:
        raise TypeError(f"{path}: expected a command of typer, found {type(command).__name__}")


def parameters(command: TyperCommand) -> list[TyperArgument | TyperOption]:
    """Arguments and options, without --help."""
    return [one for one in command.params if isinstance(one, TyperArgument | TyperOption) and one.name != "help"]


def _parameter(parameter: TyperArgument | TyperOption) -> str:
    name = parameter.opts[0] if isinstance(parameter, TyperOption) else str(parameter.name).upper()
    needed = ", required" if parameter.required else ""
    return f"- `{name}`{needed}" + (f": {parameter.help}" if parameter.help else "")


def _dags(settings: Settings) -> str:
    parts = [
        "# The DAGs\n",
        "One DAG for each link and flow: `<flow>__<link>`. Each card is the DAG file's docstring.\n",
    ]
    for path in sorted((settings.project / "dags").glob("*.py")):
        card = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        parts.append(f"## dags/{path.name}\n\n{card}\n")
    return "\n".join(parts)
