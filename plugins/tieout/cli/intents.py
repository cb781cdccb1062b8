"""Writes that are under way, uncertain, held or refused: `tieout intents`, the page of writes as a shell has it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from tieout.cli import show
from tieout.cli.opened import store
from tieout.cli.people import By, Limit, Link, Note
from tieout.cli.runs import Json
from tieout.delivery import people, uncertain
from tieout.delivery.states import LIVE, State
from tieout.delivery.uncertain import COUNTED, Which, Write
from tieout.model.errors import ConfigurationFault
from tieout.reports.present import age, amount, moment

Intent = Annotated[int, typer.Argument(help="Its id: `tieout intents list` shows it.")]

app = typer.Typer(help="Documents on their way to a system.", no_args_is_help=True)

#: What `list` shows when no state is named: all that is not settled, and what was refused.
_WAITING = tuple(str(state) for state in COUNTED)


@app.command("list")
def list_intents(
    state: Annotated[
        str | None, typer.Option(help="READY, UNKNOWN, HELD, REJECTED ...; all that waits by default.")
    ] = None,
    link: Link = None,
    target: Annotated[str | None, typer.Option(help="Only into this connection.")] = None,
    owner: Annotated[str | None, typer.Option(help="Only this owner's; an empty one is nobody.")] = None,
    reason: Annotated[str | None, typer.Option(help="Only this reason, such as number_taken.")] = None,
    limit: Limit = 200,
    json: Json = False,
) -> None:
    """Documents that are not settled, those that wait longest first."""
    if state is not None and state not in _WAITING:
        raise ConfigurationFault(f"no writes wait as {state!r}; expected one of {', '.join(_WAITING)}")
    states = (state,) if state else _WAITING
    which = Which(states=states, link=link, target=target, owner=owner, reason=reason, limit=limit)
    with store() as engine, engine.connect() as conn:
        found = uncertain.listing(conn, which)
    if json:
        show.as_json([_plain(write) for write in found])
        return
    now = datetime.now(UTC)
    columns = ("id", "link", "into", "kind", "record", "number", "amount", "state", "reason", "what is wrong", "owner",
               "for", "next look-up")  # fmt: skip
    show.table("Intents", columns, [_row(write, now) for write in found], ("amount",))


@app.command("counts")
def counts(link: Link = None, json: Json = False) -> None:
    """How many and how much stands where, how old the oldest are, and whose they are."""
    with store() as engine, engine.connect() as conn:
        standings, ages = uncertain.standings(conn, link=link), uncertain.ages(conn, link=link)
        owners = uncertain.owners(conn) if link is None else []
    if json:
        parts: dict[str, Sequence[Any]] = {"standings": standings, "oldest": ages, "owners": owners}
        show.as_json({name: [_plain(each) for each in part] for name, part in parts.items()})
        return
    show.table(
        "What is not settled", ("link", "into", "kind", "state", "writes", "amount", "currency"),
        [(s.link, s.target, s.kind, s.state, s.count, _amount(s.amount_minor, s.currency), s.currency)
         for s in standings], ("writes", "amount"),
    )  # fmt: skip
    now = datetime.now(UTC)
    rows = [(a.link, a.target, a.state, a.intent_id, moment(a.since), age(a.since, now)) for a in ages]
    show.table("The oldest", ("link", "into", "state", "id", "since", "for"), rows)
    if owners:
        columns = ("owner", "uncertain", "held", "refused")
        show.table("Whose they are", columns, [(o.owner or "nobody", o.unknown, o.held, o.rejected) for o in owners])


@app.command("show")
def show_intent(intent_id: Intent) -> None:
    """One document with its attempts, what was found of it, and its history, as JSON."""
    with store() as engine, engine.connect() as conn:
        found = uncertain.get(conn, intent_id)
        if found is None:
            raise ConfigurationFault(f"no intent {intent_id}: `tieout intents list` shows them")
        tries, history = uncertain.tries(conn, intent_id), uncertain.history(conn, intent_id)
    parts = {"attempts": [_plain(each) for each in tries], "history": [_plain(each) for each in history]}
    show.as_json({**_plain(found), **parts})


@app.command("look-up-again")
def look_up_again(intent_id: Intent, by: By, note: Note = "") -> None:
    """The next delivery looks a held document up once more."""
    with store() as engine, engine.begin() as conn:
        people.look_up_again(conn, intent_id, by, note)
    typer.echo("it is looked up by the next delivery")


@app.command("accept")
def accept(
    intent_id: Intent,
    by: By,
    vendor_id: Annotated[
        str | None, typer.Option(help="The vendor's document; left out: the only one that the last look-up found.")
    ] = None,
    note: Note = "",
) -> None:
    """Takes a document of the vendor as the one that a held intent was to make."""
    with store() as engine, engine.begin() as conn:
        people.accept_as(conn, intent_id, by, vendor_id or _only_candidate(uncertain.get(conn, intent_id)), note)
    typer.echo("it counts as posted")


@app.command("cancel")
def cancel(intent_id: Intent, by: By, note: Annotated[str, typer.Option(help="Why.")]) -> None:
    """Gives a held document up; refused where it may stand in the ledger."""
    with store() as engine, engine.begin() as conn:
        people.cancel(conn, intent_id, by, note)
    typer.echo("cancelled")


@app.command("try-again")
def try_again(intent_id: Intent, by: By, note: Note = "") -> None:
    """Sends a refused document once more, where every send was definitely refused."""
    with store() as engine, engine.begin() as conn:
        people.try_again(conn, intent_id, by, note)
    typer.echo("it is sent by the next delivery")


@app.command("assign")
def assign(
    intent_id: Intent, owner: Annotated[str, typer.Argument(help="A person or a team.")], by: By, note: Note = ""
) -> None:
    """Says who is to look after a document that is not settled, or was refused."""
    if not owner.strip():
        raise ConfigurationFault("OWNER must not be empty")
    with store() as engine, engine.begin() as conn:
        people.assign(conn, intent_id, by, owner.strip(), note)
    typer.echo(f"it is {owner.strip()}'s")


def _only_candidate(found: Write | None) -> str:
    if found is not None and found.state == State.HELD and len(found.candidates) == 1:
        return found.candidates[0]
    named = ", ".join(found.candidates) if found is not None and found.state in LIVE else ""
    raise ConfigurationFault(f"which document is it? --vendor-id names one{f' of {named}' if named else ''}")


def _row(write: Write, now: datetime) -> tuple[object, ...]:
    look = moment(write.next_look_up) if write.state == State.UNKNOWN else None
    worth = _amount(write.amount_minor, write.currency)
    return (
        write.intent_id, write.link, write.target, write.kind, write.source_id, write.number,
        f"{worth} {write.currency}" if worth else None, write.state, write.reason, write.message, write.owner,
        age(write.since, now), look,
    )  # fmt: skip


def _amount(minor: int | None, currency: str | None) -> str | None:
    return amount(minor, currency) if minor is not None and currency else None


def _plain(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__dataclass_fields__}
