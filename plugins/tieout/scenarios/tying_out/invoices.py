"""Invoices and tax: what the CRM sold against the sales documents of the ledger that belong to it, before tax.

A record of the CRM may have several documents: a credit of the whole and a bill anew sum up with the first invoice.
Credit notes for returns, and those that finance raised, are another area.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tieout.model.standing import DRAFT, SALES_CREDIT, VOID
from tieout.scenarios.tying_out.reading import Books, joined, keyed, scales, unreadable
from tieout.scenarios.tying_out.sold import Sold, sold

if TYPE_CHECKING:
    import pandas as pd

AREA, TAX = "invoices", "tax"


def items(books: Books) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Items of `invoices` and `tax`: of the CRM, of the ledger."""
    sales = sold(books, books.subject.entity, books.subject.lines)
    crm, ledger = _crm(books, sales), _ledger(books)
    entity, base = books.subject.entity, books.services.link.base_currency
    expected = _expected_tax(crm, sales)
    taxed = ledger[ledger["match_key"].isin(set(expected["match_key"]))]
    return (
        joined([crm, expected, unreadable(books.crm(entity).rejections, AREA, entity, base)]),
        joined([ledger, _tax(taxed), unreadable(books.ledger("invoice").rejections, AREA, "invoice", base)]),
    )


def documents_of(books: Books, entities: tuple[str, ...], object_: str) -> pd.DataFrame:
    """The crosswalk's rows for documents of one object of the CRM: vendor_id, source_id, ordinal, main."""
    links = books.crosswalk
    own = links[links["entity"].isin(entities) & (links["source_object"] == object_)]
    return own[["vendor_id", "source_id", "ordinal", "main"]]


def linked(books: Books, frame: pd.DataFrame, id_column: str, links: pd.DataFrame, entity: str, target: str) -> Any:
    """key, match_key, linked, ordinal, main of ledger documents: the CRM's record where the crosswalk names one.

    Args:
        entity: of the ledger's own key; target: of the CRM's.
    """
    import pandas as pd

    own = keyed(entity, frame[id_column]).astype(object)
    by_id = links.set_index("vendor_id")
    ids = frame[id_column].astype(object)
    source = ids.map(by_id["source_id"])
    known = source.notna()
    return pd.DataFrame({
        "key": own, "match_key": (f"{target}:" + source.astype("string")).astype(object).where(known, own),
        "linked": known,
        "ordinal": ids.map(by_id["ordinal"]).astype("Int64").fillna(0),
        "main": ids.map(by_id["main"]).astype("boolean").fillna(True),
    }, index=frame.index)  # fmt: skip


def _crm(books: Books, sales: Sold) -> pd.DataFrame:
    """Billable records with what was sold; those that were cancelled or opened again count nothing."""
    import pandas as pd

    link, entity = books.services.link, books.subject.entity
    heads = books.crm(entity).frame.set_index("_source_id", drop=False)
    shown = books.crm(f"{entity}_status").frame.set_index("_source_id").reindex(heads.index)
    links = documents_of(books, ("invoice",), books.subject_object)
    cancelled = heads["cancelled"].fillna(False).astype(bool)
    billable = heads["billable"].fillna(False).astype(bool) & ~cancelled
    later = books.later_days(heads["order_date"])
    reasons = heads.index.to_series().map(sales.reasons)
    live = billable & later.isna()
    number = heads["number"].astype(object).where(heads["number"].notna(), heads["_source_id"].astype(object))
    frame = pd.DataFrame({
        "area": AREA, "key": keyed(entity, heads["_source_id"]), "match_key": keyed(entity, heads["_source_id"]),
        "live": live, "linked": heads.index.isin(links["source_id"]), "currency": heads["currency"],
        "scale": scales(heads["currency"]),
        "amount": sales.net_minor.reindex(heads.index).astype("Int64").fillna(0).where(live, 0),
        "customer": heads["account_id"].astype(object), "date": _dates(books, heads), "number": shown["invoice_number"],
        "status": shown["invoice_status"], "total": shown["invoice_total_minor"], "paid": shown["invoice_paid_minor"],
        "due": shown["invoice_due_minor"], "paid_on": shown["invoice_paid_on"], "rate": _stated_rates(books, heads),
        "mark": heads["_source_id"].astype(object), "reference": heads["reference"],
        "match_number": number.map(lambda one: link.policies.invoice_number.format(number=one)),
        "label": f"{entity.replace('opportunity', 'deal')} " + number.astype("string"), "title": number,
        "customer_name": books.names_of(heads["account_id"].astype(object)),
        "state": pd.Series("not to be billed", index=heads.index).where(~cancelled, "cancelled").where(~billable),
        "later_days": later.where(billable), "reason": reasons.where(live), "changed_at": heads["_modified_at"],
        "version": heads["_version"],
    })  # fmt: skip
    # A draft that was never billed is no business of the ledger's.
    return frame[frame["live"] | frame["later_days"].notna() | frame["linked"]]


def _dates(books: Books, heads: pd.DataFrame) -> Any:
    """The date that the ledger's document is to have; not stated where it was to be moved out of a closed period."""
    dates = heads["order_date"].astype(object)
    if books.services.link.policies.closed_period == "next_open" and (books.locked_until or books.closed):
        return dates.where(dates.map(lambda day: day is not None and day == day and books.is_open(day)))
    return dates


def _stated_rates(books: Books, heads: pd.DataFrame) -> Any:
    link = books.services.link
    rates = heads["exchange_rate"].astype(object)
    stated = link.policies.exchange_rate == "crm"
    return rates.where((heads["currency"] != link.base_currency) & stated).map(_plain_number)


def _plain_number(value: Any) -> Any:
    return value.normalize() if hasattr(value, "normalize") else None


def _expected_tax(crm: pd.DataFrame, sales: Sold) -> pd.DataFrame:
    import pandas as pd

    tax = crm["mark"].map(sales.expected_tax_minor).astype("Int64")
    stated = crm[tax.notna()]
    kept = ["key", "match_key", "live", "linked", "currency", "scale", "customer_name", "label", "title", "state",
            "later_days", "changed_at", "version"]  # fmt: skip
    amount = tax[tax.notna()].where(stated["live"], 0)
    return pd.DataFrame({"area": TAX, **{name: stated[name] for name in kept}, "amount": amount, "measure": TAX})


def _ledger(books: Books) -> pd.DataFrame:
    """Sales invoices, and credits of a whole invoice that were raised for a record that the link bills."""
    import pandas as pd

    frame = books.ledger("invoice").frame
    frame = frame[(frame["kind"] == "invoice") & ~frame["invoice_id"].isin(books.foreign)].reset_index(drop=True)
    links = documents_of(books, ("invoice", "credit_memo"), books.subject_object)
    invoices = _documents(books, frame, "invoice", "invoice_id", links)
    rates = frame["exchange_rate"].astype(object).where(frame["currency"] != books.services.link.base_currency)
    if books.services.link.policies.exchange_rate != "crm":
        rates = pd.Series(None, index=frame.index, dtype=object)
    url = frame["source_url"].astype("string").str.rstrip("/").str.rsplit("/", n=1).str[-1]
    invoices = invoices.assign(
        paid=frame["paid_minor"], due=frame["due_minor"], paid_on=frame["paid_on"], mark=url.astype(object),
        rate=rates.map(_plain_number), _tax=frame["tax_minor"].astype("Int64"),
    )  # fmt: skip
    notes = books.ledger("credit_memo").frame
    notes = notes[notes["credit_memo_id"].isin(set(links["vendor_id"]))].reset_index(drop=True)
    credits_ = _documents(books, notes, "credit_memo", "credit_memo_id", links)
    tax = notes["total_minor"].astype("Int64") - notes["subtotal_minor"].astype("Int64")
    credits_ = credits_.assign(
        amount=-credits_["amount"], main=False, _tax=-tax, paid=None, due=None, paid_on=None, mark=None, rate=None
    )
    return joined([invoices, credits_]) if len(credits_) else invoices


def _documents(books: Books, frame: pd.DataFrame, entity: str, id_column: str, links: pd.DataFrame) -> pd.DataFrame:
    """What invoices and credit notes have in common."""
    import pandas as pd

    keys = linked(books, frame, id_column, links, entity, books.subject.entity)
    gone = frame["standing"] == VOID
    draft = (frame["standing"] == DRAFT) & ~keys["linked"]
    later = books.later_days(frame["date"])
    live = ~gone & ~draft & later.isna()
    amount = frame["subtotal_minor"].astype("Int64")
    customer = books.customers(frame["customer_id"])
    state = frame["status"].astype("string").str.lower().astype(object)
    name = "invoice" if entity == "invoice" else "credit note"
    return pd.DataFrame({
        "area": AREA, **{column: keys[column] for column in keys}, "live": live, "currency": frame["currency"],
        "scale": scales(frame["currency"]), "amount": amount.fillna(0).where(live, 0), "customer": customer,
        "date": frame["date"].astype(object), "number": frame["number"], "match_number": frame["number"],
        "status": frame["status"], "total": frame["total_minor"], "reference": frame["reference"],
        "label": name + " " + frame["number"].astype("string").fillna(frame[id_column].astype("string")),
        "title": frame["number"], "customer_name": books.names_of(customer),
        "state": state.where(gone | draft), "later_days": later.where(~gone & ~draft),
        "reason": pd.Series("the ledger states no amount", index=frame.index).where(live & amount.isna()),
        "changed_at": frame["_modified_at"], "version": frame["_version"],
    })  # fmt: skip


def _tax(ledger: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    kept = ["key", "match_key", "live", "linked", "main", "ordinal", "currency", "scale", "customer_name",
            "label", "title", "state", "later_days", "changed_at", "version"]  # fmt: skip
    columns = {name: ledger[name] for name in kept if name in ledger}
    return pd.DataFrame({"area": TAX, **columns, "amount": ledger["_tax"].fillna(0).where(ledger["live"], 0),
                         "measure": TAX})  # fmt: skip


def is_sales_credit(books: Books, frame: pd.DataFrame) -> Any:
    """Which credit notes are to customers."""
    return frame["kind"] == SALES_CREDIT
