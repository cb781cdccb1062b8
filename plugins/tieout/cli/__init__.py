"""The command line: the same scenarios as in Airflow, and what people do beside them. Imports nothing of airflow.

runs.py        quote-to-cash, runs, trace
people.py      dead letters, aliases, intents, the audit trail
setup.py       links, mappings, suites, migrations, doctor, generated docs
sandbox.py     the sandbox and loading CSV folders into it
"""

from __future__ import annotations

import sys

import typer

from tieout.cli import people, runs, sandbox, setup
from tieout.model import logs
from tieout.model.errors import Fatal, Retriable, TieoutError

#: Exit codes, after sysexits.h: bad data or configuration; try again later.
FATAL, TRY_AGAIN = 65, 75

app = typer.Typer(
    name="tieout",
    help="Joins a CRM to a ledger, posts each document exactly once, and proves that the two agree.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
runs.register(app)
people.register(app)
setup.register(app)
app.add_typer(sandbox.app, name="sandbox")


def main() -> None:
    """Runs the command; an error of ours is one sentence on standard error, not a traceback."""
    logs.configure()
    try:
        app()
    except Retriable as error:
        _say(error, "it may work when it is tried again")
        sys.exit(TRY_AGAIN)
    except (Fatal, TieoutError) as error:
        _say(error, None)
        sys.exit(FATAL)


def _say(error: Exception, hint: str | None) -> None:
    typer.secho(f"{type(error).__name__}: {error}" + (f" ({hint})" if hint else ""), fg=typer.colors.RED, err=True)
