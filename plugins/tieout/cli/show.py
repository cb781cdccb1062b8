"""How the command line shows things: tables for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from tieout.reports.present import PARTS, closing, words

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
    table(
        "Documents, and amounts before tax",
        ("", "read", *(words(part) for part in PARTS), "closes"),
        [
            (row["what"], row["read"], *row["parts"], "yes" if row["closes"] else "NO")
            for row in closing(numbers, numbers["amounts"])
        ],
        ("read", *(words(part) for part in PARTS)),
    )
    if numbers["reasons"]:
        table("Waiting", ("outcome", "reason", "count"), numbers["reasons"], ("count",))


def _cell(value: Any) -> Any:
    from rich.text import Text

    return Text("" if value is None else str(value))
