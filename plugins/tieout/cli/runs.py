"""`tieout runs`, `tieout trace`, `tieout differences`."""

from __future__ import annotations

from typing import Annotated

import typer

from tieout.cli import show
from tieout.cli.opened import store
from tieout.model.errors import ConfigurationFault
from tieout.model.settings import load_settings
from tieout.reports.present import amount
from tieout.scenarios.services import find_link
from tieout.scenarios.summary import NO_CURRENCY
from tieout.scenarios.trace import trace as trace_key
from tieout.store import documents
from tieout.store import runs as store_runs

LinkName = Annotated[str, typer.Argument(help="Name of a file in include/links.")]
Json = Annotated[bool, typer.Option("--json", help="JSON instead of tables.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("runs")(list_runs)
    app.command("trace")(trace)
    app.command("differences")(differences)


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
