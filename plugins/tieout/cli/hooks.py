"""`tieout hooks`: what vendors sent by webhooks for a link: the list, read now, try again."""

from __future__ import annotations

import getpass
from dataclasses import asdict
from typing import Annotated

import typer

from tieout.cli import show
from tieout.cli.opened import store
from tieout.cli.people import By
from tieout.cli.runs import Json, LinkName
from tieout.connectors.hooks.vendors import HOOKS
from tieout.model.errors import ConfigurationFault
from tieout.model.settings import load_settings
from tieout.scenarios import hooks_inbox
from tieout.scenarios.services import find_link, open_services
from tieout.store import hooks

app = typer.Typer(help="What vendors sent by webhooks: hints that records changed.", no_args_is_help=True)

STATES = ("waiting", "failed", "read", "ignored")


@app.command("list")
def listing(
    link: LinkName,
    state: Annotated[str | None, typer.Option(help="Only waiting, failed, read or ignored ones.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=5000, help="How many at most.")] = 100,
    json: Json = False,
) -> None:
    """The link's connections with their counts, and the deliveries that wait or failed, newest first."""
    if state is not None and state not in STATES:
        raise ConfigurationFault(f"no state {state!r}: expected one of {', '.join(STATES)}")
    names = _connections(link)
    with store() as engine, engine.connect() as conn:
        standings = hooks.standings(conn, names)
        rows = hooks.listing(conn, names, [state] if state else ("waiting", "failed"), limit)
    if json:
        show.as_json({"connections": [asdict(one) for one in standings], "deliveries": [asdict(one) for one in rows]})
        return
    counts = [
        (one.connection, one.waiting, one.failed, one.read, one.ignored, one.last_received or "never",
         ", ".join(f"{reason} {times}" for reason, times in one.refused.items()))
        for one in standings
    ]  # fmt: skip
    show.table(
        "Webhooks", ("connection", "waiting", "failed", "read", "ignored", "last received (UTC)", "refused"), counts,
        ("waiting", "failed", "read", "ignored"),
    )  # fmt: skip
    deliveries = [
        (one.hook_id, one.connection, f"{one.received_at:%Y-%m-%d %H:%M:%S}", one.deliveries, one.state, one.attempts,
         one.message)
        for one in rows
    ]  # fmt: skip
    show.table("Deliveries", ("id", "connection", "received (UTC)", "times", "state", "attempts", "why"), deliveries)


@app.command("read")
def read_now(link: LinkName, json: Json = False) -> None:
    """Reads again what waiting deliveries name. What follows from it is the next run's: `tieout quote-to-cash LINK`."""
    with open_services(link, actor=getpass.getuser()) as services:
        numbers = hooks_inbox.read(services)
    if json:
        show.as_json(numbers)
    else:
        shown = [(name.replace("_", " "), value) for name, value in numbers.items()]
        show.table(f"Webhooks of {link}", ("", "count"), shown, ("count",))


@app.command("again")
def try_again(
    link: LinkName,
    ids: Annotated[list[int], typer.Argument(help="Their ids, as `tieout hooks list` shows them.")],
    by: By,
) -> None:
    """Has deliveries that failed, or wait for their next attempt, read by the next reading."""
    with store() as engine, engine.begin() as conn:
        count = hooks.retry(conn, ids, by=by, connections=_connections(link))
    typer.echo(f"{count} of {len(ids)} will be read again")


def _connections(name: str) -> list[str]:
    link = find_link(load_settings(), name)
    pairs = ((link.crm, link.crm_system), (link.ledger, link.ledger_system))
    return [connection for connection, system in pairs if system in HOOKS]
