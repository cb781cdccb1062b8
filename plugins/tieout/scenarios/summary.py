"""The closing account of a run: every record of the CRM has one outcome, by count and by amount in each currency.

read = posted + unchanged + quarantined + held + cancelled + reversed + in flight, or the run fails and says by how
much. The left side is counted in the staged rows, the right side in the judgements: two tables that different code
wrote.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from tieout.model.errors import BooksDoNotClose
from tieout.store import documents

#: Amounts of records whose currency could not be read stand under this name, so that none is left out.
NO_CURRENCY = "---"


def summary(conn: Connection, link: str, object_: str, table: str, connection: str, run_id: UUID) -> dict[str, Any]:
    """Counts and amounts of one link's documents after a run.

    Args:
        object_: `order` or `opportunity`.
        table: its staging table.
        connection: the CRM's connection name.

    Returns:
        `read`, `posted` (by this run), `unchanged` (posted before), `quarantined`, `held`, `in_flight`, `cancelled`,
        `reversed` (taken back by a proposal), `not_billable`, `reasons` [(outcome, reason, count)], `amounts`
        {currency: {same names: minor units}}.

    Raises:
        BooksDoNotClose: a staged record has no outcome, or an outcome no record, or what the ledger has differs from
            what the CRM's lines come to.
    """
    counts: dict[str, int] = defaultdict(int)
    amounts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in documents.totals(conn, link, object_, run_id):
        name = _name(row)
        currency = row["currency"] or NO_CURRENCY
        counts[name] += row["count"]
        amounts[currency][name] += int(row["source_minor"] or 0)
    staged = conn.execute(
        text(f"select count(*) from staging.{table} where _connection = :connection"),  # noqa: S608 - from StagedEntity
        {"connection": connection},
    ).scalar_one()
    judged = sum(counts.values())
    if staged != judged:
        raise BooksDoNotClose(
            f"link {link}: {staged} {object_} records are staged and {judged} have an outcome; "
            "run the transform step again, and report it when it stays"
        )
    if different := documents.differences(conn, link, object_):
        apart: dict[str, int] = defaultdict(int)
        for one in different:
            apart[one.currency or NO_CURRENCY] += one.difference_minor
        raise BooksDoNotClose(
            f"link {link}: {len(different)} documents of the ledger differ from what the CRM's lines come to, in minor "
            f"units by {dict(apart)}; `tieout differences {link}` lists them"
        )
    read = judged - counts["not_billable"]
    total = {currency: sum(v for k, v in parts.items() if k != "not_billable") for currency, parts in amounts.items()}
    return {
        "read": read,
        **{name: counts[name] for name in
           ("posted", "unchanged", "quarantined", "held", "in_flight", "cancelled", "reversed", "not_billable")},
        "reasons": [list(reason) for reason in documents.reasons(conn, link, object_)],
        "amounts": {
            currency: {"read": total[currency], **parts}
            for currency, parts in sorted(amounts.items())
            # A quarantined record mostly has neither currency nor amount that could be read: it is in the counts.
            if currency != NO_CURRENCY or any(parts.values())
        },
    }  # fmt: skip


def _name(row: Mapping[str, Any]) -> str:
    if row["outcome"] == "posted":
        return "posted" if row["fresh"] else "unchanged"
    return "in_flight" if row["outcome"] == "pending" else str(row["outcome"])
