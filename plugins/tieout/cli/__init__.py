"""The command line: the same scenarios as in Airflow, and what people do beside them. Imports nothing of airflow.

scenarios.py   a command for each scenario: quote-to-cash
runs.py        runs, trace, differences
proposals.py   rollback, sweep
people.py      dead letters, aliases, the audit trail
credit.py      credit limits, releases
reconcile.py   the daily tie-out
breaks.py      what people do with breaks and reports, in the same group
periods.py     fiscal periods: states, locks, reopening
period_close.py  the period report, the checklist, the close, the recount, in the same group
period_runs.py plans of fiscal periods: made, decided, posted
hooks.py       what vendors sent by webhooks
intents.py     writes that are uncertain, held or refused
calendar.py    fiscal periods of a link
setup.py       links, mappings, suites, migrations, doctor, generated docs
simulate.py    the posting protocol under seeded faults
sandbox.py     the sandbox and loading CSV folders into it
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import typer
from sqlalchemy.exc import ProgrammingError
from typer.core import TyperGroup

from tieout.cli import (
    breaks,
    calendar,
    credit,
    hooks,
    people,
    period_close,
    period_runs,
    periods,
    proposals,
    reconcile,
    runs,
    sandbox,
    scenarios,
    setup,
    simulate,
)
from tieout.model import logs
from tieout.model.errors import RateLimited, Retriable, TieoutError

#: Exit codes, after sysexits.h: bad data or configuration; try again later. Beyond them: a vendor's limit is used up.
FATAL, TRY_AGAIN, LIMITED = 65, 75, 79
#: SQLSTATE of a table or schema that is not there.
NOT_MIGRATED = ("42P01", "3F000")


class Commands(TyperGroup):
    """The commands; an error of ours is one sentence on standard error and an exit code, not a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Runs the command that the arguments name."""
        try:
            return super().invoke(ctx)
        except RateLimited as error:
            again = datetime.now(UTC) + timedelta(seconds=error.retry_after)
            _say(f"RateLimited: {error}; run it again after {again:%Y-%m-%d %H:%M:%S} UTC, and it goes on")
            raise typer.Exit(LIMITED) from error
        except Retriable as error:
            _say(f"{type(error).__name__}: {error} (it may work when it is tried again)")
            raise typer.Exit(TRY_AGAIN) from error
        except TieoutError as error:
            _say(f"{type(error).__name__}: {error}")
            raise typer.Exit(FATAL) from error
        except ProgrammingError as error:
            if getattr(error.orig, "sqlstate", None) not in NOT_MIGRATED:
                raise
            _say("ConfigurationFault: the database has not our tables yet: run `tieout migrate`")
            raise typer.Exit(FATAL) from error


app = typer.Typer(
    name="tieout",
    cls=Commands,
    help="Joins a CRM to a ledger, posts each document exactly once, and proves that the two agree.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
scenarios.register(app)
runs.register(app)
people.register(app)
proposals.register(app)
calendar.register(app)
setup.register(app)
simulate.register(app)
app.add_typer(credit.app, name="credit")
period_close.register(periods.app)
period_runs.register(periods.app)
app.add_typer(periods.app, name="period")
breaks.register(reconcile.app)
app.add_typer(reconcile.app, name="reconcile")
app.add_typer(hooks.app, name="hooks")
app.add_typer(sandbox.app, name="sandbox")


def main() -> None:
    """Runs the command that the arguments of the process name."""
    logs.configure()
    app()


def _say(words: str) -> None:
    typer.secho(words, fg=typer.colors.RED, err=True)
