"""A plan in words for the person who decides on it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tieout.reports.present import amount, words
from tieout.store.period_plans import Kept, Plan, Total

#: What markdown would take for its own: a customer may be named `[click](http://...)`.
_MARKS = re.compile(r"([\\`*_{}\[\]()#+.!|<>~&-])")


def markdown(plan: Plan, totals: Sequence[Total], lines: Sequence[Kept], address: str) -> str:
    """The sums by action and currency, the first lines, and where all of them are.

    Args:
        lines: the first ones; where they are not all, it says so.
        address: of the plan's page.
    """
    documents = sum(one.documents for one in totals)
    told = [
        f"**{_plain(plan.label)}** of link {_plain(plan.link)}, {plan.first} to {plan.last}: {plan.records} records, "
        f"{plan.unchanged} as they should be, {plan.in_flight} under way; {plan.new_customers} new customers.",
        "",
        "| what | currency | documents | in the ledger | then in the ledger | held |",
        "|---|---|---:|---:|---:|---:|",
        *(f"| {words(one.action)} | {one.currency} | {one.documents} | {amount(one.before_minor, one.currency)} "
          f"| {amount(one.after_minor, one.currency)} | {amount(one.held_minor, one.currency)} |" for one in totals),
        "",
        "| record | what | customer | before | after | dated | credited on | why |",
        "|---|---|---|---:|---:|---|---|---|",
        *(_row(one) for one in lines),
        "",
        f"{len(lines)} of {documents} lines. [All of them]({address}). Hash `{plan.hash}`.",
    ]  # fmt: skip
    return "\n".join(told)


def _row(one: Kept) -> str:
    line, currency = one.line, one.line.currency or ""
    return (
        f"| {_plain(line.source_number or line.source_id)} | {words(line.action)} "
        f"| {_plain(line.customer or line.customer_id or '')} | {amount(line.before_minor, currency)} "
        f"| {amount(line.after_minor, currency)} {currency} | {line.posting_date or ''} | {line.credit_date or ''} "
        f"| {_plain(line.message or '')} |"
    )


def _plain(text: str) -> str:
    """Text that stands in a cell as it is: no link, no emphasis, no second line."""
    return _MARKS.sub(r"\\\1", " ".join(text.split()))
