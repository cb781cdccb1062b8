"""Reversals: `tieout rollback` for what a person decides on as a set, `tieout sweep` for what the ledger has twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated
from uuid import UUID

import typer

from tieout.cli import show
from tieout.cli.opened import store
from tieout.cli.people import By, Link, Note
from tieout.cli.runs import Json, LinkName
from tieout.model.errors import ConfigurationFault
from tieout.reports.present import amount
from tieout.scenarios import approval, taken_back
from tieout.scenarios import rollback as scenario
from tieout.scenarios import sweep as sweeping
from tieout.scenarios.services import open_services
from tieout.store import proposals
from tieout.store.proposals import Proposal

ProposalId = Annotated[int, typer.Argument(help="The proposal's id: `tieout rollback list` shows it.")]


def register(app: typer.Typer) -> None:
    """Adds the group and the command."""
    app.add_typer(rollback, name="rollback")
    app.command("sweep")(sweep)


rollback = typer.Typer(
    help="Posted documents taken back as a set, once a second person has approved it.", no_args_is_help=True
)


@rollback.command("propose")
def propose(
    link: LinkName,
    by: By,
    reason: Annotated[str, typer.Option(help="Why they are to be taken back; the approver reads it.")],
    run: Annotated[str | None, typer.Option(help="All documents that this run planned or posted.")] = None,
    intent: Annotated[list[int] | None, typer.Option(help="Only these: ids of `tieout intents list`.")] = None,
    document: Annotated[
        list[str] | None, typer.Option(help="Only these: invoice numbers, order numbers, or the CRM's ids.")
    ] = None,
    json: Json = False,
) -> None:
    """Shows what can be done with each document, and keeps it for another person to approve. Nothing is done yet."""
    if not (run or intent or document):
        raise ConfigurationFault("which documents? Name a --run, or some by --intent or --document")
    which = scenario.Which(_run_id(run), tuple(intent or ()), tuple(document or ()))
    with open_services(link) as services:
        found = scenario.propose(services, which, by=by, reason=reason)
    _show(found, json)


@rollback.command("list")
def list_proposals(
    link: Link = None,
    state: Annotated[str | None, typer.Option(help="proposed, approved, refused or done; all by default.")] = None,
    json: Json = False,
) -> None:
    """Proposals of people and of the sweep, newest first."""
    with store() as engine, engine.connect() as conn:
        found = proposals.listing(conn, link, state)
    if json:
        show.as_json([{**asdict(one.proposal), "documents": one.documents, "sums": one.sums} for one in found])
        return
    rows = [
        (one.proposal_id, one.kind, one.link, one.state, each.documents, _in_words(each.sums), one.reason,
         one.proposed_by, f"{one.proposed_at:%Y-%m-%d %H:%M}", one.decided_by)
        for each in found for one in [each.proposal]
    ]  # fmt: skip
    columns = ("id", "kind", "link", "state", "documents", "to be reversed", "reason", "by", "at (UTC)", "decided by")
    show.table("Proposals", columns, rows, ("documents",))


@rollback.command("show")
def show_proposal(proposal_id: ProposalId, json: Json = False) -> None:
    """One proposal with its documents, and its hash, which an approval has to name."""
    with store() as engine, engine.connect() as conn:
        found = proposals.get(conn, proposal_id)
        states = proposals.states(conn, proposal_id)
    if found is None:
        raise ConfigurationFault(f"no proposal {proposal_id}: `tieout rollback list` shows them")
    _show(found, json, {position: ", ".join(part.state for part in parts) for position, parts in states.items()})


@rollback.command("approve")
def approve(
    proposal_id: ProposalId,
    by: By,
    seen: Annotated[str, typer.Option("--hash", help="The hash that was shown, or its first 12 characters.")],
    note: Note = "",
) -> None:
    """Approves what was shown; the reversals are delivered by the link's next run, or by `tieout rollback deliver`."""
    with store() as engine:
        done = approval.approve(engine, proposal_id, by, seen, note)
    typer.echo(f"{done.added} documents are on their way" if done.added else "it was approved before")


@rollback.command("refuse")
def refuse(proposal_id: ProposalId, by: By, note: Annotated[str, typer.Option(help="Why.")]) -> None:
    """Refuses a proposal, or takes one's own back; nothing is done."""
    with store() as engine, engine.begin() as conn:
        proposals.refuse(conn, proposal_id, by, note)
    typer.echo("refused")


@rollback.command("deliver")
def deliver(proposal_id: ProposalId, json: Json = False) -> None:
    """Delivers an approved proposal now, tells the CRM, and closes its account. Can be repeated."""
    with open_services(_link_of(proposal_id)) as services:
        numbers = taken_back.deliver(services, proposal_id)
    if json:
        show.as_json(numbers)
        return
    names = ("original", "reversed", "waiting", "refused", "difference")
    rows = [
        (currency, part["documents"], *(amount(part[name], currency) for name in names))
        for currency, part in numbers["closing"].items()
    ]
    show.table(f"Proposal {proposal_id}, amounts with tax", ("", "documents", *names), rows, ("documents", *names))


@rollback.command("bill-again")
def bill_again(
    proposal_id: ProposalId,
    by: By,
    document: Annotated[list[str] | None, typer.Option(help="Only these records, by number or CRM id.")] = None,
) -> None:
    """Has records that were taken back judged anew by the next run: it bills them again as they are now."""
    with open_services(_link_of(proposal_id)) as services:
        done = taken_back.bill_again(services, proposal_id, by=by, numbers=document or ())
    typer.echo(f"{done} will be judged again by the next run")


def sweep(link: LinkName, json: Json = False) -> None:
    """Looks for documents of ours that the ledger has twice, or that nothing of ours made; proposes to void doubles."""
    with open_services(link) as services:
        numbers = sweeping.run(services)
    if json:
        show.as_json(numbers)
        return
    names = ("looked_at", "duplicates", "orphans", "unaccounted", "waiting", "swept_until")
    show.table("Sweep", [name.replace("_", " ") for name in names], [[numbers[name] for name in names]])
    if numbers["found"]:
        typer.echo(f"`tieout dead-letters list --link {link}` says what is wrong with each")
    if numbers["proposal"] is not None:
        typer.echo(f"a proposal would void the doubles: `tieout rollback show {numbers['proposal']}`")


def _show(found: Proposal, json: bool, states: dict[int, str] | None = None) -> None:
    if json:
        show.as_json({**asdict(found), "sums": found.sums(), "states": states or {}})
        return
    rows = [
        (position, item.vendor_number, item.source_number, item.currency,
         amount(item.amount_minor, item.currency or ""), "nothing" if item.action == "none" else item.action, item.why,
         (states or {}).get(position, ""))
        for position, item in enumerate(found.items, start=1)
    ]  # fmt: skip
    columns = ("", "document", "record", "currency", "amount", "to be done", "why", "state")
    show.table(f"Proposal {found.proposal_id}: {found.reason}", columns, rows, ("amount",))
    sums = found.sums()
    actions = proposals.shown_actions(sums)
    names = ["nothing" if action == "none" else action.replace("_", " ") for action in actions]
    of_currency = [
        (currency, part["documents"], *(amount(part.get(action, 0), currency) for action in actions))
        for currency, part in sums.items()
    ]
    show.table("Sums", ("", "documents", *names), of_currency, names)
    decided = f", {found.state} by {found.decided_by}" if found.decided_by else ""
    typer.echo(f"{found.kind} of link {found.link}, proposed by {found.proposed_by}{decided}")
    typer.echo(f"hash {found.items_hash}")


def _in_words(sums: Mapping[str, Mapping[str, int]]) -> str:
    return ", ".join(
        f"{amount(sum(part.values()) - part['documents'] - part['none'], currency)} {currency}"
        for currency, part in sums.items()
    )


def _run_id(run: str | None) -> UUID | None:
    try:
        return None if run is None else UUID(run)
    except ValueError:
        raise ConfigurationFault(f"--run {run!r}: expected the id of a run; `tieout runs` lists them") from None


def _link_of(proposal_id: int) -> str:
    with store() as engine, engine.connect() as conn:
        found = proposals.get(conn, proposal_id)
    if found is None:
        raise ConfigurationFault(f"no proposal {proposal_id}: `tieout rollback list` shows them")
    return found.link
