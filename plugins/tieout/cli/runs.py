"""`tieout quote-to-cash`, `tieout runs`, `tieout trace`, `tieout differences`."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import typer

from tieout.cli import show
from tieout.cli.opened import store
from tieout.model.errors import ConfigurationFault, RateLimited
from tieout.model.settings import load_settings
from tieout.reports.present import amount
from tieout.scenarios import checking
from tieout.scenarios import quote_to_cash as scenario
from tieout.scenarios.services import find_link, open_services
from tieout.scenarios.summary import NO_CURRENCY
from tieout.scenarios.trace import trace as trace_key
from tieout.store import documents
from tieout.store import runs as store_runs

LinkName = Annotated[str, typer.Argument(help="Name of a file in include/links.")]
Json = Annotated[bool, typer.Option("--json", help="JSON instead of tables.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("quote-to-cash")(quote_to_cash)
    app.command("runs")(list_runs)
    app.command("trace")(trace)
    app.command("differences")(differences)


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
    if run_id is not None:
        _require_run(run_id, link)
    with open_services(link) as services:
        if step is not None:
            show.as_json(getattr(scenario, step)(services, run_id))
            return
        numbers = scenario.run(services, on_step=None if json else _progress)
        docs = checking.docs_folder(services.settings.home, numbers["run_id"])
    if json:
        show.as_json(numbers)
    else:
        show.summary(numbers)
        show.console.print(f"run {numbers['run_id']}", markup=False)
        for what, page in checking.docs_pages(docs).items():
            show.console.print(f"Data Docs of {what}: {docs / page}", markup=False, soft_wrap=True)
    if numbers["goes_on_in"] is not None:
        raise RateLimited("a vendor's limit is used up; what was posted until now is settled", numbers["goes_on_in"])


def _require_run(run_id: str, link: str) -> None:
    try:
        wanted = UUID(run_id)
    except ValueError:
        raise ConfigurationFault(f"--run-id {run_id!r}: expected the id of a run; `tieout runs` lists them") from None
    with store() as engine, engine.connect() as conn:
        found = store_runs.get(conn, wanted)
    if found is None or found.link != link:
        raise ConfigurationFault(f"link {link} has no run {run_id}: `tieout runs --link {link}` lists them")


def _progress(name: str, numbers: Any) -> None:
    if name != "summarise":
        show.console.print(f"{name} done", markup=False)


def list_runs(
    link: Annotated[str | None, typer.Option(help="Only this link.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many at most.")] = 20,
    json: Json = False,
) -> None:
    """The last sync runs, newest first."""
    with store() as engine, engine.connect() as conn:
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
    with store() as engine:
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


def differences(link: LinkName, json: Json = False) -> None:
    """Posted documents whose net in the ledger is not what the CRM's lines come to; exits with 65 if any."""
    find_link(load_settings(), link)
    with store() as engine, engine.connect() as conn:
        found = documents.differences(conn, link)
    if json:
        show.as_json([{name: getattr(one, name) for name in one.__dataclass_fields__} for one in found])
    elif found:
        rows = [
            (one.object, one.source_number or one.source_id, one.invoice_number, one.currency,
             amount(one.source_minor, one.currency or NO_CURRENCY),
             amount(one.posted_minor, one.currency or NO_CURRENCY),
             amount(one.difference_minor, one.currency or NO_CURRENCY))
            for one in found
        ]  # fmt: skip
        columns = ("object", "record", "invoice", "currency", "CRM", "ledger", "difference")
        show.table("Differences before tax", columns, rows, columns[-3:])
    if found:
        raise ConfigurationFault(f"{len(found)} posted documents differ: compare each by `tieout trace RECORD`")
    if not json:
        typer.echo("every posted document is what the CRM's lines come to")
