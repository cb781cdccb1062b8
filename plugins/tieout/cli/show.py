"""How the command line shows things: tables for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from tieout.model.errors import TieoutError
from tieout.model.money import from_minor
from tieout.scenarios.summary import NO_CURRENCY

console = Console(highlight=False)


def as_json(value: Any) -> None:
    """One JSON document on standard output."""
    typer.echo(json.dumps(value, default=str, ensure_ascii=False, indent=2))


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], right: Sequence[str] = ()) -> None:
    """A table; cells are shown as they are, never as markup."""
    made = Table(title=title, title_justify="left", show_edge=False)
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        made.add_row(*(_cell(value) for value in row))
    console.print(made)


def summary(numbers: Mapping[str, Any]) -> None:
    """The closing account of a run: counts, amounts by currency, what waits for a person."""
    names = ("posted", "unchanged", "quarantined", "held", "in_flight", "cancelled")
    table(
        "Documents", ("", "count"), [("read", numbers["read"]), *((name, numbers[name]) for name in names)], ("count",)
    )
    rows = [
        [currency, amount(parts.get("read", 0), currency), *(amount(parts.get(name, 0), currency) for name in names)]
        for currency, parts in numbers["amounts"].items()
    ]
    table("Amounts before tax", ("currency", "read", *names), rows, ("read", *names))
    if numbers["reasons"]:
        table("Waiting", ("outcome", "reason", "count"), numbers["reasons"], ("count",))


def amount(minor: int | None, currency: str | None) -> str:
    """Minor units as an amount of the currency; as they are where the currency is none."""
    if minor is None:
        return "unknown"
    if currency is None:
        currency = NO_CURRENCY
    try:
        return f"{from_minor(int(minor), currency):,}" if currency != NO_CURRENCY else f"{int(minor):,} (minor units)"
    except (TieoutError, ValueError):
        return f"{int(minor):,} (minor units)"


def _cell(value: Any) -> Any:
    from rich.text import Text

    return Text("" if value is None else str(value))
