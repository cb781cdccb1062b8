"""`tieout sandbox`: the vendors' APIs on this machine, and CSV folders brought into its CRM."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from tieout.cli import show
from tieout.model.settings import load_settings
from tieout.scenarios.credentials import from_environment

app = typer.Typer(help="The vendors' APIs on this machine.", no_args_is_help=True)


@app.command()
def serve(
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 0,
    state: Annotated[Path | None, typer.Option(help="Directory of its state.")] = None,
) -> None:
    """Starts the sandbox, a program of its own; Ctrl-C ends it."""
    folder = state or load_settings().home / "sandbox"
    # Another program, joined at the vendors' APIs alone: nothing of it is imported here.
    command = [sys.executable, "-m", "sandbox", "serve", "--port", str(port), "--state", str(folder)]
    raise typer.Exit(subprocess.call(command))


@app.command()
def load(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="The CSV files.")],
    profile: Annotated[str, typer.Option(help="Which columns are what: a file of include/csv.")],
    connection: Annotated[str, typer.Option(help="Connection of the CRM.")] = "salesforce_demo",
    report: Annotated[Path | None, typer.Option(help="Write the whole report here as JSON.")] = None,
) -> None:
    """Brings a folder of CSV files into the CRM through its API; loading twice changes nothing."""
    from tieout.scenarios.load_csv import load_folder

    made = load_folder(from_environment(connection, load_settings()), folder, profile)
    if report:
        report.write_text(made.to_json())
    show.console.print(made.table(), markup=False)
