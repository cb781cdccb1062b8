"""What people decide: dead letters and aliases; and the audit trail of all that. Writes that wait: intents.py."""

from __future__ import annotations

from typing import Annotated

import typer
from sqlalchemy import text

from tieout.cli import show
from tieout.cli.opened import store
from tieout.cli.runs import Json, LinkName
from tieout.model.errors import ConfigurationFault
from tieout.model.settings import load_settings
from tieout.scenarios.services import find_link
from tieout.store import aliases, audit, dead_letters

By = Annotated[str, typer.Option(help="Your name; it stands in the audit trail.")]
Note = Annotated[str, typer.Option(help="What is worth keeping about it.")]
Link = Annotated[str | None, typer.Option(help="Only this link.")]
Limit = Annotated[int, typer.Option(min=1, max=5000, help="How many at most.")]
Ids = Annotated[list[int], typer.Argument(help="Their ids.")]


def register(app: typer.Typer) -> None:
    """Adds the groups."""
    from tieout.cli import intents  # takes its options from here

    for name, group in (("dead-letters", letters), ("alias", alias), ("intents", intents.app), ("audit", trail)):
        app.add_typer(group, name=name)


letters = typer.Typer(help="Records that cannot go on, with the reason and what to do.", no_args_is_help=True)
alias = typer.Typer(help="Products and customers that a person recognised.", no_args_is_help=True)
trail = typer.Typer(help="The audit trail.", no_args_is_help=True)


@letters.command("list")
def list_letters(
    link: Link = None,
    entity: Annotated[str | None, typer.Option(help="Only records of this kind: order, account ...")] = None,
    reason: Annotated[str | None, typer.Option(help="Only this reason, such as unknown_product.")] = None,
    state: Annotated[str, typer.Option(help="open, replayed or resolved.")] = "open",
    limit: Limit = 200,
    json: Json = False,
) -> None:
    """Dead letters, oldest first."""
    which = dead_letters.Filter(link=link, entity=entity, reason=reason, state=state, limit=limit)
    with store() as engine, engine.connect() as conn:
        found = dead_letters.listing(conn, which)
    if json:
        show.as_json([{name: getattr(one, name) for name in one.__dataclass_fields__} for one in found])
        return
    rows = [
        (one.dead_letter_id, one.entity, one.source_id, one.stage, one.reason, one.message, one.remedy) for one in found
    ]
    show.table("Dead letters", ("id", "entity", "record", "stage", "reason", "what is wrong", "what to do"), rows)


@letters.command("show")
def show_letter(dead_letter_id: Annotated[int, typer.Argument(help="Its id.")]) -> None:
    """One dead letter with the record as it came."""
    with store() as engine, engine.connect() as conn:
        found = dead_letters.get(conn, dead_letter_id)
    if found is None:
        raise ConfigurationFault(f"no dead letter {dead_letter_id}: `tieout dead-letters list` shows them")
    show.as_json({name: getattr(found, name) for name in found.__dataclass_fields__})


@letters.command("replay")
def replay_letters(ids: Ids, by: By) -> None:
    """Has the records checked and judged again by the next run."""
    with store() as engine, engine.begin() as conn:
        done = dead_letters.replay(conn, ids, by)
    typer.echo(f"{done} of {len(ids)} will be judged again by the next run")
    if done < len(ids):
        raise ConfigurationFault("the others are not open any more")


@letters.command("resolve")
def resolve_letters(ids: Ids, by: By, note: Annotated[str, typer.Option(help="Why nothing is to be done.")]) -> None:
    """Closes dead letters without doing anything; the note is kept."""
    with store() as engine, engine.begin() as conn:
        typer.echo(f"{dead_letters.resolve(conn, ids, by, note)} closed")


@alias.command("approve")
def approve_alias(
    link: LinkName,
    entity: Annotated[str, typer.Argument(help="product or account.")],
    found: Annotated[str, typer.Argument(help="The text that was met, or the CRM's account id.")],
    canonical: Annotated[str, typer.Argument(help="The ledger's item code, or its customer's id.")],
    by: By,
    note: Annotated[str | None, typer.Option(help="Why, if that is worth keeping.")] = None,
) -> None:
    """From now on FOUND stands for CANONICAL on this link."""
    if entity not in ("product", "account"):
        raise ConfigurationFault(f"no aliases for {entity!r}; expected product or account")
    if not (found.strip() and canonical.strip() and by.strip()):
        raise ConfigurationFault("FOUND, CANONICAL and --by must not be empty")
    find_link(load_settings(), link)
    with store() as engine, engine.begin() as conn:
        new = aliases.approve(conn, link, entity, found, canonical, by=by, note=note)
    typer.echo("approved" if new else "it was approved before")


@alias.command("list")
def list_aliases(link: Link = None) -> None:
    """Aliases that are in force."""
    with store() as engine, engine.connect() as conn:
        found = aliases.listing(conn, link)
    rows = [(one.link, one.entity, one.found, one.canonical, one.approved_by, one.approved_at) for one in found]
    show.table("Aliases", ("link", "entity", "found", "stands for", "approved by", "at (UTC)"), rows)


@trail.command("verify")
def verify_trail() -> None:
    """Recomputes every hash of every chain."""
    with store() as engine, engine.connect() as conn:
        rows = conn.execute(text("select chain, count(*) from tieout.audit_event group by 1 order by 1")).all()
        faults = [audit.verify(conn, chain) for chain in audit.chains(conn)]
    show.table("Audit trail", ("chain", "events"), rows, ("events",))
    broken = [f"{fault.chain}, event {fault.seq}: {fault.what}" for fault in faults if fault is not None]
    if broken:
        raise ConfigurationFault("the audit trail was changed: " + "; ".join(broken))
    typer.echo("every chain is whole")
