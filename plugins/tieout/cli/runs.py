"""`tieout quote-to-cash`, `tieout runs`, `tieout trace`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tieout.cli import show
from tieout.model.errors import ConfigurationFault
from tieout.model.settings import load_settings
from tieout.scenarios import quote_to_cash as scenario
from tieout.scenarios.services import open_services
from tieout.scenarios.trace import trace as trace_key
from tieout.store import runs as store_runs
from tieout.store.engine import connect

LinkName = Annotated[str, typer.Argument(help="Name of a file in include/links.")]
Json = Annotated[bool, typer.Option("--json", help="JSON instead of tables.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("quote-to-cash")(quote_to_cash)
    app.command("runs")(list_runs)
    app.command("trace")(trace)


def quote_to_cash(
    link: LinkName,
    step: Annotated[str | None, typer.Option(help=f"Only this step of --run-id: {', '.join(scenario.STEPS)}.")] = None,
    run_id: Annotated[str | None, typer.Option(help="The run whose step is done (again).")] = None,
    json: Json = False,
) -> None:
    """Won deals and orders become invoices; numbers, status and payments come back."""
    if (step is None) != (run_id is None):
        raise ConfigurationFault("--step and --run-id go together: `tieout runs` lists the runs")
    if step is not None and step not in scenario.STEPS:
        raise ConfigurationFault(f"no step {step!r}; expected one of {', '.join(scenario.STEPS)}")
    with open_services(link) as services:
        if step is not None:
            show.as_json(getattr(scenario, step)(services, run_id))
            return
        numbers = scenario.run(services, on_step=None if json else _progress)
    if json:
        show.as_json(numbers)
    else:
        show.summary(numbers)
        show.console.print(f"run {numbers['run_id']}", markup=False)


def _progress(name: str, numbers: Any) -> None:
    if name != "summarise":
        show.console.print(f"{name} done", markup=False)


def list_runs(
    link: Annotated[str | None, typer.Option(help="Only this link.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500)] = 20,
    json: Json = False,
) -> None:
    """The last sync runs, newest first."""
    with connect(load_settings().require_database_url()).connect() as conn:
        found = store_runs.latest(conn, link, limit=limit)
    if json:
        show.as_json([{name: getattr(run, name) for name in run.__dataclass_fields__} for run in found])
        return
    names = ("read", "posted", "unchanged", "quarantined", "held", "in_flight")
    rows = [
        (run.run_id, run.link, run.state, run.trigger, f"{run.started_at:%Y-%m-%d %H:%M:%S}",
         *(run.counts.get(name, "") for name in names))
        for run in found
    ]  # fmt: skip
    show.table("Runs", ("run", "link", "state", "trigger", "started (UTC)", *names), rows, names)


def trace(
    key: Annotated[str, typer.Argument(help="Any id or number: CRM id, order, invoice, ledger id, doc_uid.")],
    json: Json = False,
) -> None:
    """Everything that is known of one record, from the CRM's field to the ledger's line, in order of time."""
    engine = connect(load_settings().require_database_url())
    steps = trace_key(engine, key)
    if json:
        show.as_json([{"step": s.step, "at": s.at, "title": s.title, "facts": dict(s.facts)} for s in steps])
    elif steps:
        show.table(
            f"Trace of {key}", ("at (UTC)", "what", "", "facts"),
            [(s.at, s.step, s.title, "\n".join(f"{name}: {value}" for name, value in s.facts.items())) for s in steps],
        )  # fmt: skip
    if not steps:
        raise ConfigurationFault(f"nothing carries {key!r}: expected an id or number that was staged, judged or posted")
