"""Credit memos: returns of the CRM against the credit notes of the ledger, before tax.

What a return is worth is counted from the CRM's own lines: its part of the order's line, rounded so that all returns of
a line come to the line. Credits of whole invoices belong to `invoices`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tieout.model.money import proportion
from tieout.model.standing import DRAFT, VOID
from tieout.scenarios.frames import rows
from tieout.scenarios.tying_out.invoices import documents_of, is_sales_credit, linked
from tieout.scenarios.tying_out.reading import Books, joined, keyed, scales, unreadable
from tieout.scenarios.tying_out.sold import sold

if TYPE_CHECKING:
    import pandas as pd

AREA, RETURN = "credit_memos", "return_order"


def items(books: Books) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Items of the CRM, of the ledger."""
    base = books.services.link.base_currency
    crm = [_crm(books), unreadable(books.crm(RETURN).rejections, AREA, RETURN, base, "return")]
    ledger = [_ledger(books), unreadable(books.ledger("credit_memo").rejections, AREA, "credit_memo", base)]
    return joined(crm), joined(ledger)


def _crm(books: Books) -> pd.DataFrame:
    import pandas as pd

    heads = books.crm(RETURN).frame.set_index("_source_id", drop=False)
    shown = books.crm(f"{RETURN}_status").frame.set_index("_source_id").reindex(heads.index)
    links = documents_of(books, ("credit_memo",), books.services.crm.mappings[RETURN].object)
    cancelled = heads["cancelled"].fillna(False).astype(bool)
    live = heads["creditable"].fillna(False).astype(bool) & ~cancelled
    worth, reasons = _worth(books, heads[live])
    name = heads["number"].astype("string")
    return pd.DataFrame({
        "area": AREA, "key": keyed(RETURN, heads["_source_id"]), "match_key": keyed(RETURN, heads["_source_id"]),
        "live": live, "linked": heads.index.isin(links["source_id"]), "currency": heads["currency"],
        "scale": scales(heads["currency"]),
        "amount": heads.index.to_series().map(worth).astype("Int64").fillna(0).where(live, 0),
        "customer": return_customers(books, heads), "number": shown["credit_number"], "status": shown["credit_status"],
        "total": shown["credit_total_minor"], "label": "return " + name, "title": name,
        "customer_name": books.names_of(return_customers(books, heads)),
        "state": pd.Series("not approved", index=heads.index).where(~cancelled, "cancelled").where(~live),
        "reason": heads.index.to_series().map(reasons).where(live), "changed_at": heads["_modified_at"],
        "version": heads["_version"],
    }).loc[lambda made: made["live"] | made["linked"]]  # fmt: skip


def return_customers(books: Books, heads: pd.DataFrame) -> Any:
    """The return's account, else that of its order."""
    orders = books.crm("order").frame
    of_order = heads["order_id"].astype(object).map(
        dict(zip(orders["_source_id"], orders["account_id"], strict=True))
    )  # fmt: skip
    return heads["account_id"].astype(object).where(heads["account_id"].notna(), of_order)


def _worth(books: Books, heads: pd.DataFrame) -> tuple[dict[str, int], dict[str, str]]:
    """Return -> what it is worth in minor units; return -> why that cannot be said."""
    sales = sold(books, "order", "order_line")
    billed = {
        line["line_id"]: line for line in rows(sales.lines) if line["line_id"] is not None
    }  # fmt: skip
    lines: dict[str, list[dict[str, Any]]] = {}
    for row in rows(books.crm(f"{RETURN}_line").frame):
        lines.setdefault(row["parent_id"], []).append(row)
    taken: dict[str, tuple[Decimal, int]] = {}
    worth: dict[str, int] = {}
    reasons: dict[str, str] = {}
    ordered = sorted(rows(heads), key=lambda row: (str(row["number"] or ""), row["_source_id"]))
    for head in ordered:
        total = 0
        for line in lines.get(head["_source_id"], ()):
            of = billed.get(line["order_line_id"])
            if of is None or line["quantity"] is None or of["net_minor"] is None or not of["quantity"]:
                reasons[head["_source_id"]] = "line_unknown: a line names no line of an order that can be read"
                continue
            quantity, minor = taken.get(of["line_id"], (Decimal(0), 0))
            upto = quantity + line["quantity"]
            part = proportion(of["net_minor"], min(upto, of["quantity"]), of["quantity"]) - minor
            taken[of["line_id"]] = (upto, minor + part)
            total += part
        worth[head["_source_id"]] = total - (head["fee_minor"] or 0)
    return worth, reasons


def _ledger(books: Books) -> pd.DataFrame:
    """Credit notes to customers, but those that take back a whole invoice of the link's."""
    import pandas as pd

    frame = books.ledger("credit_memo").frame
    whole = documents_of(books, ("credit_memo",), books.subject_object)["vendor_id"]
    other = frame["credit_memo_id"].isin(set(whole)) | frame["credit_memo_id"].isin(books.foreign)
    frame = frame[is_sales_credit(books, frame) & ~other].reset_index(drop=True)
    links = documents_of(books, ("credit_memo",), books.services.crm.mappings[RETURN].object)
    keys = linked(books, frame, "credit_memo_id", links, "credit_memo", RETURN)
    gone = frame["standing"] == VOID
    draft = (frame["standing"] == DRAFT) & ~keys["linked"]
    # A credit is dated on the day of the run, which is no fact of the return: only a later one than the report's counts
    # out, as all documents do.
    later = books.later_days(frame["date"])
    live = ~gone & ~draft & later.isna()
    amount = frame["subtotal_minor"].astype("Int64")
    customer = books.customers(frame["customer_id"])
    return pd.DataFrame({
        "area": AREA, **{column: keys[column] for column in keys}, "live": live, "currency": frame["currency"],
        "scale": scales(frame["currency"]), "amount": amount.fillna(0).where(live, 0), "customer": customer,
        "number": frame["number"], "match_number": frame["number"], "status": frame["status"],
        "total": frame["total_minor"], "reference": frame["reference"],
        "label": "credit note " + frame["number"].astype("string").fillna(frame["credit_memo_id"].astype("string")),
        "title": frame["number"], "customer_name": books.names_of(customer),
        "state": frame["status"].astype("string").str.lower().astype(object).where(gone | draft),
        "later_days": later.where(~gone & ~draft),
        "reason": pd.Series("the ledger states no amount", index=frame.index).where(live & amount.isna()),
        "changed_at": frame["_modified_at"], "version": frame["_version"],
    })  # fmt: skip
