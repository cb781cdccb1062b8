"""What the CRM's own records say was sold: the net of each order or deal, before tax, from its lines.

Counted anew from the lines, at the prices that the customer accepted, and not taken from what was posted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tieout.model.money import line_net, line_net_minor
from tieout.scenarios.billing import Hold, Row, agreed_lines
from tieout.scenarios.frames import rows
from tieout.scenarios.tying_out.reading import Books, scales

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Sold:
    """By the record's id: its net in minor units (null: it cannot be read), why not, and the expected tax.

    `lines`: the priced lines that `net_minor` sums (line_id, quantity, net_minor, parent_id), for what is returned.
    """

    net_minor: pd.Series[Any]
    reasons: dict[str, str]
    expected_tax_minor: pd.Series[Any]
    lines: pd.DataFrame


def sold(books: Books, entity: str, lines_entity: str) -> Sold:
    """For all records of the CRM's `order` or `opportunity`."""
    import pandas as pd

    heads = books.crm(entity).frame.set_index("_source_id", drop=False)
    read = books.crm(lines_entity)
    lines = _with_net(heads, read.frame)
    reasons = _unread_lines(books, lines_entity)
    with_lines = lines.groupby("parent_id")["net_minor"].agg(["size", "count", "sum"])
    net = heads["total_minor"].astype("Int64").where(~heads.index.isin(with_lines.index))
    whole = with_lines.loc[with_lines["size"] == with_lines["count"], "sum"].astype("Int64")
    net.update(whole[whole.index.isin(heads.index)])
    for broken in with_lines.index[with_lines["size"] != with_lines["count"]]:
        reasons.setdefault(broken, "line_unreadable: a line has no quantity or price")
    freight = heads["freight_minor"].astype("Int64").fillna(0)
    tax = heads["expected_tax_minor"].astype("Int64")
    quoted, freight, tax = _quoted(books, entity, heads, read.frame, freight, tax, reasons)
    if quoted:
        replaced = pd.DataFrame([row for each in quoted.values() for row in each])
        lines = pd.concat([lines[~lines["parent_id"].isin(quoted)], replaced], ignore_index=True)
        sums = pd.Series({key: sum(row["net_minor"] for row in each) for key, each in quoted.items()}, dtype="Int64")
        net.update(sums)
    net = net + freight
    net = net.mask(net.index.isin(list(reasons)))
    return Sold(net, reasons, tax, lines)


def _with_net(heads: pd.DataFrame, lines: pd.DataFrame) -> pd.DataFrame:
    """line_id, parent_id, quantity and net of each line, rounded once a line."""
    import pandas as pd

    kept = lines[lines["parent_id"].isin(heads.index)].reset_index(drop=True)
    currency = kept["parent_id"].astype(object).map(heads["currency"].astype(object))
    net = line_net_minor(kept["quantity"], kept["unit_price"], kept["discount_percent"], scales(currency))
    return pd.DataFrame(
        {"line_id": kept["line_id"].astype(object), "parent_id": kept["parent_id"].astype(object),
         "quantity": kept["quantity"].astype(object), "net_minor": net}
    )  # fmt: skip


def _unread_lines(books: Books, lines_entity: str) -> dict[str, str]:
    """Record -> why one of its lines cannot be read."""
    refused = {one.source_id: f"{one.reason}: {one.message}" for one in books.crm(lines_entity).rejections}
    if not refused:
        return {}
    from tieout.scenarios.quarantine import parents_of

    parents = parents_of(books.services, lines_entity, "parent_id", list(refused))
    return {parent: refused[line] for line, parent in parents.items()}


def _quoted(
    books: Books, entity: str, heads: pd.DataFrame, lines: pd.DataFrame, freight: pd.Series[Any], tax: pd.Series[Any],
    reasons: dict[str, str],
) -> tuple[dict[str, list[dict[str, Any]]], pd.Series[Any], pd.Series[Any]]:  # fmt: skip
    """What was agreed on in an accepted quote: record -> its lines at those prices; freight and tax as there."""
    if "quote" not in books.services.crm.mappings:
        return {}, freight, tax
    quotes = books.crm("quote").frame
    accepted = quotes[quotes["accepted"].fillna(False).astype(bool)]
    if accepted.empty:
        return {}, freight, tax
    by_id = {row["quote_id"]: row for row in rows(accepted)}
    if entity == "order":
        links = heads[heads["quote_id"].isin(list(by_id))]
        of = dict(zip(links.index, links["quote_id"], strict=True))
    else:
        of = {row["opportunity_id"]: key for key, row in by_id.items() if row["opportunity_id"] in heads.index}
    quote_lines = _by_parent(books.crm("quote_line").frame, set(of.values()))
    own_lines = _by_parent(lines, set(of))
    head_rows = {row["_source_id"]: row for row in rows(heads[heads.index.isin(list(of))])}
    made: dict[str, list[dict[str, Any]]] = {}
    for record, quote in of.items():
        agreed = agreed_lines(
            head_rows[record], own_lines.get(record, ()), by_id[quote], quote_lines.get(quote, ())
        )  # fmt: skip
        if isinstance(agreed, Hold):
            reasons[record] = f"{agreed.reason}: {agreed.message}"
        elif agreed is not None:
            made[record] = _priced(record, agreed, head_rows[record]["currency"], reasons)
        if by_id[quote]["freight_minor"] is not None:
            freight.loc[record] = by_id[quote]["freight_minor"]
        if by_id[quote]["tax_minor"] is not None:
            tax.loc[record] = by_id[quote]["tax_minor"]
    return made, freight, tax


def _priced(record: str, lines: Sequence[Row], currency: str, reasons: dict[str, str]) -> list[dict[str, Any]]:
    if any(row.get("quantity") is None or row.get("unit_price") is None for row in lines):
        reasons[record] = "line_unreadable: a line has no quantity or price"
        return []
    return [
        {"line_id": row["line_id"], "parent_id": record, "quantity": row["quantity"],
         "net_minor": line_net(row["quantity"], row["unit_price"], row.get("discount_percent"), currency)}
        for row in lines
    ]  # fmt: skip


def _by_parent(frame: pd.DataFrame, parents: set[str]) -> dict[str, list[dict[str, Any]]]:
    from tieout.scenarios.frames import grouped

    found = grouped(rows(frame[frame["parent_id"].isin(list(parents))])) if parents else {}
    return {parent: [dict(row) for row in group] for parent, group in found.items()}
