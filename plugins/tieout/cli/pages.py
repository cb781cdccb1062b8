"""The generated pages of docs/: each is a pure function of the code and the configuration, and CI compares it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import click
import typer

from tieout.model.settings import Settings

HEAD = "<!-- Written by `make docs`; edit its source instead. -->\n\n"


def pages(settings: Settings) -> dict[str, str]:
    """File name -> content."""
    from tieout.cli.setup import matrix_text

    return {
        "MAPPINGS.md": f"{HEAD}# Which field goes where\n\n## Salesforce and Xero\n\n"
        f"{matrix_text(settings, 'salesforce', 'xero').rstrip()}\n",
        "CLI.md": HEAD + _commands(),
        "DAGS.md": HEAD + _dags(settings),
    }


def _commands() -> str:
    from tieout.cli import app

    command = typer.main.get_command(app)
    parts = [
        "# The command line\n",
        f"{command.help}\n",
        "Exit codes: 0 done, 65 a person has to act, 75 try again later.\n",
    ]
    for path, one in _walk("tieout", command):
        parts.append(f"## `{path}`\n")
        if one.help:
            parts.append(f"{one.help}\n")
        rows = [_parameter(parameter) for parameter in one.params if parameter.name != "help"]
        if rows:
            parts.append("\n".join(rows) + "\n")
    return "\n".join(parts)


def _walk(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    children = getattr(command, "commands", None)
    if children is None:
        yield path, command
        return
    for name, child in sorted(children.items()):
        yield from _walk(f"{path} {name}", child)


def _parameter(parameter: click.Parameter) -> str:
    name = parameter.opts[0] if parameter.opts[0].startswith("-") else str(parameter.name).upper()
    words = getattr(parameter, "help", None) or ""
    needed = ", required" if parameter.required else ""
    return f"- `{name}`{needed}" + (f": {words}" if words else "")


def _dags(settings: Settings) -> str:
    parts = [
        "# The DAGs\n",
        "One DAG for each link and flow: `<flow>__<link>`. Each card is the DAG file's docstring.\n",
    ]
    for path in sorted((settings.project / "dags").glob("*.py")):
        card = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        parts.append(f"## dags/{path.name}\n\n{card}\n")
    return "\n".join(parts)
