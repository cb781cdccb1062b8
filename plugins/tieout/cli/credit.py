"""The credit policy that finance owns: limits by file, approved by a second person; single orders released."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from tieout.cli import show
from tieout.cli.opened import store
from tieout.cli.people import By, Link, Note
from tieout.cli.runs import Json, LinkName
from tieout.model.errors import ConfigurationFault
from tieout.model.settings import load_settings
from tieout.reports.present import amount
from tieout.scenarios.credit import proposing, releasing
from tieout.scenarios.services import find_link
from tieout.store import credit as policy

app = typer.Typer(help="Credit limits, their changes and approvals, and orders that are let go.", no_args_is_help=True)
ChangeId = Annotated[int, typer.Argument(help="The change's id: `tieout credit list` shows it.")]


@app.command("import")
def import_file(
    link: LinkName,
    file: Annotated[Path, typer.Argument(help="CSV: customer,currency,limit,valid_from,shares_with.")],
    by: By,
) -> None:
    """Proposes the limits of a file; another person approves them. One bad line, and nothing of it is taken."""
    found = find_link(load_settings(), link)
    with store() as engine:
        made = proposing.propose_file(engine, load_settings(), found, file, by)
    if made.refusals:
        rows = [(one.line, one.reason, one.message) for one in made.refusals]
        show.table(f"{file.name}: nothing was taken", ("line", "reason", "what is wrong"), rows, ("line",))
        raise ConfigurationFault(f"{file.name}: {len(made.refusals)} lines are refused")
    if made.change_id is None:
        typer.echo(f"nothing changes: all {made.unchanged} limits are in force already")
        return
    words = f"change {made.change_id}: {made.proposed} limits proposed, {made.unchanged} in force already"
    typer.echo(f"{words}; another person approves: `tieout credit approve {made.change_id} --by NAME`")


@app.command("list")
def list_limits(link: Link = None, state: Annotated[str | None, typer.Option(
    help="Only changes that are proposed, approved or refused.")] = None, json: Json = False) -> None:  # fmt: skip
    """Changes of limits with every limit, newest first."""
    with store() as engine, engine.connect() as conn:
        found = policy.changes(conn, link, state)
    if json:
        show.as_json([asdict(one) for one in found])
        return
    rows = [
        (change.change_id, change.link, change.state, limit.account_id, limit.currency or "",
         amount(limit.limit_minor, limit.currency or "") if limit.shares_with is None else f"as {limit.shares_with}",
         limit.valid_from, change.proposed_by, change.decided_by or "")
        for change in found for limit in change.limits
    ]  # fmt: skip
    columns = ("change", "link", "state", "account", "currency", "limit", "valid from", "proposed by", "decided by")
    show.table("Credit limits", columns, rows, ("limit",))


@app.command("approve")
def approve(change_id: ChangeId, by: By, note: Note = "") -> None:
    """Approves a change; not by the person who proposed it. The next credit-sync tells the CRM."""
    with store() as engine, engine.begin() as conn:
        done = policy.decide(conn, change_id, by, approved=True, note=note)
    typer.echo(f"{len(done.limits)} limits are approved; `tieout credit-sync {done.link}` tells the CRM")


@app.command("refuse")
def refuse(change_id: ChangeId, by: By, note: Annotated[str, typer.Option(help="Why.")]) -> None:
    """Refuses a change, or takes one's own back; nothing of it comes into force."""
    with store() as engine, engine.begin() as conn:
        policy.decide(conn, change_id, by, approved=False, note=note)
    typer.echo("refused")


@app.command("release")
def release(
    order: Annotated[str, typer.Argument(help="The order's number, or its id in the CRM.")],
    by: By,
    note: Annotated[str, typer.Option(help="Why it may go.")],
    link: Link = None,
) -> None:
    """Lets one order go, once, although its customer's credit does not cover it; the next run bills it."""
    with store() as engine, engine.begin() as conn:
        done = releasing.release(conn, order, by, note, link)
    worth = f"{amount(done.amount_minor, done.currency)} {done.currency} before tax"
    typer.echo(f"{done.object} {done.source_number} of {worth} is released; the next run of {done.link} bills it")
