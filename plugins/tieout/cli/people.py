"""What people decide: dead letters, aliases, intents that wait; and the audit trail of all that."""

from __future__ import annotations

from typing import Annotated

import typer
from sqlalchemy import Engine, text

from tieout.cli import show
from tieout.cli.runs import Json
from tieout.delivery import people
from tieout.model.errors import ConfigurationFault
from tieout.model.settings import load_settings
from tieout.store import aliases, audit, dead_letters
from tieout.store.engine import connect

By = Annotated[str, typer.Option(help="Your name; it stands in the audit trail.")]
Ids = Annotated[list[int], typer.Argument(help="Their ids.")]


def register(app: typer.Typer) -> None:
    """Adds the groups."""
    for name, group in (("dead-letters", letters), ("alias", alias), ("intents", intents), ("audit", trail)):
        app.add_typer(group, name=name)


letters = typer.Typer(help="Records that cannot go on, with the reason and what to do.", no_args_is_help=True)
alias = typer.Typer(help="Products and customers that a person recognised.", no_args_is_help=True)
intents = typer.Typer(help="Documents on their way to a system.", no_args_is_help=True)
trail = typer.Typer(help="The audit trail.", no_args_is_help=True)


def _engine() -> Engine:
    return connect(load_settings().require_database_url())


@letters.command("list")
def list_letters(
    link: Annotated[str | None, typer.Option()] = None,
    entity: Annotated[str | None, typer.Option()] = None,
    reason: Annotated[str | None, typer.Option()] = None,
    state: Annotated[str, typer.Option(help="open, replayed or resolved.")] = "open",
    limit: Annotated[int, typer.Option(min=1, max=5000)] = 200,
    json: Json = False,
) -> None:
    """Dead letters, oldest first."""
    which = dead_letters.Filter(link=link, entity=entity, reason=reason, state=state, limit=limit)
    with _engine().connect() as conn:
        found = dead_letters.listing(conn, which)
    if json:
        show.as_json([{name: getattr(one, name) for name in one.__dataclass_fields__} for one in found])
        return
    rows = [
        (one.dead_letter_id, one.entity, one.source_id, one.stage, one.reason, one.message, one.remedy) for one in found
    ]
    show.table("Dead letters", ("id", "entity", "record", "stage", "reason", "what is wrong", "what to do"), rows)


@letters.command("show")
def show_letter(dead_letter_id: int) -> None:
    """One dead letter with the record as it came."""
    with _engine().connect() as conn:
        found = dead_letters.get(conn, dead_letter_id)
    if found is None:
        raise ConfigurationFault(f"no dead letter {dead_letter_id}: `tieout dead-letters list` shows them")
    show.as_json({name: getattr(found, name) for name in found.__dataclass_fields__})


@letters.command("replay")
def replay_letters(ids: Ids, by: By) -> None:
    """Has the records checked and judged again by the next run."""
    with _engine().begin() as conn:
        done = dead_letters.replay(conn, ids, by)
    typer.echo(f"{done} of {len(ids)} will be judged again by the next run")
    if done < len(ids):
        raise ConfigurationFault("the others are not open any more")


@letters.command("resolve")
def resolve_letters(ids: Ids, by: By, note: Annotated[str, typer.Option(help="Why nothing is to be done.")]) -> None:
    """Closes dead letters without doing anything; the note is kept."""
    with _engine().begin() as conn:
        typer.echo(f"{dead_letters.resolve(conn, ids, by, note)} closed")


@alias.command("approve")
def approve_alias(
    link: str,
    entity: Annotated[str, typer.Argument(help="product or account.")],
    found: Annotated[str, typer.Argument(help="The text that was met, or the CRM's account id.")],
    canonical: Annotated[str, typer.Argument(help="The ledger's item code, or its customer's id.")],
    by: By,
    note: Annotated[str | None, typer.Option()] = None,
) -> None:
    """From now on FOUND stands for CANONICAL on this link."""
    if entity not in ("product", "account"):
        raise ConfigurationFault(f"no aliases for {entity!r}; expected product or account")
    with _engine().begin() as conn:
        new = aliases.approve(conn, link, entity, found, canonical, by=by, note=note)
    typer.echo("approved" if new else "it was approved before")


@alias.command("list")
def list_aliases(link: Annotated[str | None, typer.Option()] = None) -> None:
    """Aliases that are in force."""
    with _engine().connect() as conn:
        found = aliases.listing(conn, link)
    rows = [(one.link, one.entity, one.found, one.canonical, one.approved_by, one.approved_at) for one in found]
    show.table("Aliases", ("link", "entity", "found", "stands for", "approved by", "at (UTC)"), rows)


@intents.command("list")
def list_intents(
    state: Annotated[
        str | None, typer.Option(help="READY, UNKNOWN, HELD, REJECTED ...; all that waits by default.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=5000)] = 200,
) -> None:
    """Documents that are not settled, oldest first."""
    with _engine().connect() as conn:
        rows = conn.execute(
            text(
                "select intent_id, link, kind, source_id, natural_key, state, reason, message, owner, updated_at "
                "from tieout.intent where state = :state or (cast(:state as text) is null "
                "and state in ('READY','CLAIMED','IN_FLIGHT','UNKNOWN','HELD')) order by updated_at limit :limit"
            ),
            {"state": state, "limit": limit},
        ).all()
    columns = ("id", "link", "kind", "record", "number", "state", "reason", "what is wrong", "owner", "since (UTC)")
    show.table("Intents", columns, rows)


@intents.command("look-up-again")
def look_up_again(intent_id: int, by: By, note: str = "") -> None:
    """The next delivery looks a held document up once more."""
    with _engine().begin() as conn:
        people.look_up_again(conn, intent_id, by, note)
    typer.echo("it is looked up by the next delivery")


@intents.command("cancel")
def cancel_intent(intent_id: int, by: By, note: Annotated[str, typer.Option(help="Why.")]) -> None:
    """Gives a held document up; refused where it may stand in the ledger."""
    with _engine().begin() as conn:
        people.cancel(conn, intent_id, by, note)
    typer.echo("cancelled")


@intents.command("try-again")
def try_again(intent_id: int, by: By, note: str = "") -> None:
    """Sends a refused document once more, where every send was definitely refused."""
    with _engine().begin() as conn:
        people.try_again(conn, intent_id, by, note)
    typer.echo("it is sent by the next delivery")


@trail.command("verify")
def verify_trail() -> None:
    """Recomputes every hash of every chain."""
    broken = []
    with _engine().connect() as conn:
        chains = conn.execute(text("select chain, seq from tieout.audit_head order by 1")).all()
        for chain, _ in chains:
            fault = audit.verify(conn, chain)
            if fault is not None:
                broken.append(f"{chain}: {fault}")
    show.table("Audit trail", ("chain", "events"), chains, ("events",))
    if broken:
        raise ConfigurationFault("the audit trail was changed: " + "; ".join(broken))
    typer.echo("every chain is whole")
