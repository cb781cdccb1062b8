"""Payments and applications: what the CRM shows as paid, refunded and used, against the ledger's own payments.

Of an order: paid less refunded. Of an invoice by hand: paid. Of a return: how much of its credit is used, which in the
ledger is what the credit note is set against, and what was paid back of it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tieout.model.money import to_minor
from tieout.model.standing import CASH_REFUND, VOID
from tieout.scenarios.tying_out.credit_memos import return_customers
from tieout.scenarios.tying_out.invoices import documents_of
from tieout.scenarios.tying_out.reading import Books, joined, keyed, scales, unreadable

if TYPE_CHECKING:
    import pandas as pd

AREA = "payments"
RETURN = "return_order"


def items(books: Books, *, returns: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Items of the CRM, of the ledger. `returns`: whether returns are compared."""
    crm = [_of_records(books), _of_invoices_by_hand(books)]
    ledger = [_payments(books, returns=returns), _unapplied(books), _cash_refunds(books)]
    if returns:
        crm.append(_used_by_returns(books))
        ledger.append(_applied(books))
    for entity in {"payment", CASH_REFUND} & set(books.services.ledger.mappings):
        rejections = books.ledger(entity).rejections
        ledger.append(unreadable(rejections, AREA, entity, books.services.link.base_currency))
    return joined(crm), joined(ledger)


# --- the CRM ----------------------------------------------------------------------------------------------------------


def _of_records(books: Books) -> pd.DataFrame:
    """What orders or deals show: paid less refunded, where that is something."""
    import pandas as pd

    entity = books.subject.entity
    shown = books.crm(f"{entity}_status").frame.set_index("_source_id", drop=False)
    heads = books.crm(entity).frame.set_index("_source_id").reindex(shown.index)
    paid = shown["invoice_paid_minor"].astype("Int64").fillna(0) - shown["refunded_minor"].astype("Int64").fillna(0)
    number = heads["number"].astype(object).where(heads["number"].notna(), shown["_source_id"].astype(object))
    frame = pd.DataFrame({
        "area": AREA, "key": keyed(entity, shown["_source_id"]), "match_key": keyed(entity, shown["_source_id"]),
        "measure": "paid", "currency": shown["currency"], "scale": scales(shown["currency"]),
        "amount": paid, "customer": heads["account_id"].astype(object),
        "customer_name": books.names_of(heads["account_id"].astype(object)), "number": shown["invoice_number"],
        "label": f"{entity.replace('opportunity', 'deal')} " + number.astype("string"), "title": number,
        "changed_at": shown["_modified_at"], "version": shown["_version"],
    })  # fmt: skip
    return frame[frame["amount"] != 0]


def _of_invoices_by_hand(books: Books) -> pd.DataFrame:
    import pandas as pd

    if "ledger_invoice" not in books.services.crm.mappings:
        return pd.DataFrame()
    frame = books.crm("ledger_invoice").frame
    frame = frame[frame["invoice_id"].notna()].reset_index(drop=True)
    made = pd.DataFrame({
        "area": AREA, "key": keyed("ledger_invoice", frame["record_id"]),
        "match_key": keyed("invoice", frame["invoice_id"]), "measure": "paid",
        "currency": frame["currency"], "scale": scales(frame["currency"]),
        "amount": frame["paid_minor"].astype("Int64").fillna(0), "customer": frame["account_id"].astype(object),
        "customer_name": books.names_of(frame["account_id"].astype(object)), "number": frame["number"],
        "label": "invoice by hand " + frame["number"].astype("string"), "title": frame["number"],
        "changed_at": frame["_modified_at"], "version": frame["_version"],
    })  # fmt: skip
    return made[made["amount"] != 0]


def _used_by_returns(books: Books) -> pd.DataFrame:
    import pandas as pd

    shown = books.crm(f"{RETURN}_status").frame.set_index("_source_id", drop=False)
    heads = books.crm(RETURN).frame.set_index("_source_id").reindex(shown.index)
    used = shown["credit_total_minor"].astype("Int64") - shown["credit_open_minor"].astype("Int64").fillna(0)
    gone = shown["credit_status"].isin(books.services.ledger.mappings["credit_memo"].words("standing", VOID))
    customer = return_customers(books, heads)
    made = pd.DataFrame({
        "area": AREA, "key": keyed(RETURN, shown["_source_id"]), "match_key": keyed(RETURN, shown["_source_id"]),
        "measure": "paid", "currency": shown["currency"], "scale": scales(shown["currency"]),
        "amount": used.fillna(0).where(~gone, 0), "customer": customer,
        "customer_name": books.names_of(customer), "number": shown["credit_number"],
        "label": "return " + heads["number"].astype("string"), "title": heads["number"],
        "changed_at": shown["_modified_at"], "version": shown["_version"],
    })  # fmt: skip
    return made[made["amount"] != 0]


def unapplied(books: Books) -> pd.DataFrame:
    """Money of customers that is set against nothing: entity, id, customer_id, currency, remaining_minor, date ..."""
    import pandas as pd

    parts = []
    for entity, kind in books.credits.items():
        if entity != "credit_memo":  # those are credits, with an area of their own
            frame = books.ledger(entity).frame.rename(columns={f"{entity}_id": "id"})
            parts.append(frame[frame["kind"] == kind].assign(entity=entity))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


# --- the ledger -------------------------------------------------------------------------------------------------------


def _unapplied(books: Books) -> pd.DataFrame:
    """What is left of overpayments and prepayments: the CRM shows nothing of it."""
    frame = unapplied(books)
    if frame.empty:
        return frame
    gone = frame["standing"] == VOID
    later = books.later_days(frame["date"])
    live = ~gone & later.isna() & (frame["remaining_minor"].fillna(0) != 0)
    customer = books.customers(frame["customer_id"])
    key = (frame["entity"] + ":" + frame["id"].astype("string")).astype(object)
    made = frame.assign(
        area=AREA, key=key, match_key=key, measure="paid", live=live, scale=scales(frame["currency"]),
        amount=frame["remaining_minor"].astype("Int64").fillna(0).where(live, 0), customer=customer,
        customer_name=books.names_of(customer), state="unapplied",
        label=(frame["entity"] + " of " + frame["date"].astype("string")), title=frame["reference"],
        later_days=later.where(~gone), changed_at=frame["_modified_at"], version=frame["_version"],
    )  # fmt: skip
    kept = ["area", "key", "match_key", "measure", "live", "currency", "scale", "amount", "customer", "customer_name",
            "date", "reference", "label", "title", "state", "later_days", "changed_at", "version"]  # fmt: skip
    return made.loc[made["live"] | made["later_days"].notna(), kept]


def _cash_refunds(books: Books) -> pd.DataFrame:
    """What went back to customers without a credit note, below zero: the CRM shows nothing of it."""
    import pandas as pd

    if CASH_REFUND not in books.services.ledger.mappings:
        return pd.DataFrame()
    frame = books.ledger(CASH_REFUND).frame
    gone = frame["standing"] == VOID
    later = books.later_days(frame["date"])
    live = ~gone & later.isna() & (frame["total_minor"].fillna(0) != 0)
    customer = books.customers(frame["customer_id"])
    key = keyed(CASH_REFUND, frame["cash_refund_id"]).astype(object)
    made = pd.DataFrame({
        "area": AREA, "key": key, "match_key": key, "measure": "paid", "live": live, "currency": frame["currency"],
        "scale": scales(frame["currency"]), "amount": (-frame["total_minor"].astype("Int64")).fillna(0).where(live, 0),
        "customer": customer, "customer_name": books.names_of(customer), "date": frame["date"].astype(object),
        "reference": frame["reference"], "number": frame["number"],
        "label": "refund without a credit note of " + frame["date"].astype("string"), "title": frame["number"],
        "state": "unapplied", "later_days": later.where(~gone), "changed_at": frame["_modified_at"],
        "version": frame["_version"],
    })  # fmt: skip
    return made[made["live"] | made["later_days"].notna()]


def _payments(books: Books, *, returns: bool) -> pd.DataFrame:
    """Payments of invoices count, refunds of credits count below zero, each for the record of the CRM that shows it."""
    import pandas as pd

    frame = books.ledger("payment").frame
    kept = frame["kind"].isin(["payment", "refund"]) & ~frame["invoice_id"].isin(books.foreign)
    frame = frame[kept].reset_index(drop=True)
    refund = frame["kind"] == "refund"
    # Some lists of payments name the credit note where they name an invoice otherwise.
    target = frame["credit_memo_id"].astype(object).where(frame["credit_memo_id"].notna(), frame["invoice_id"])
    owners = _owners(books)
    refunded = _refund_owners(books, owners)
    of_return = set(documents_of(books, ("credit_memo",), _return_object(books))["vendor_id"]) if returns else set()
    record = target.map(owners).where(~refund, target.map(refunded)).astype(object)
    by_hand = ("invoice:" + target.astype("string")).astype(object).where(~refund & target.notna())
    own = keyed("payment", frame["payment_id"]).astype(object)
    match = record.where(record.notna(), by_hand).astype(object)
    match = match.where(match.notna(), own)
    gone = frame["standing"] == VOID
    later = books.later_days(frame["date"])
    live = ~gone & later.isna()
    amount = frame["amount_minor"].astype("Int64")
    signed = amount.where(~refund, -amount).fillna(0).where(live, 0)
    documents = _numbers(books)
    customer = target.map(documents["customer"]).astype(object)
    about = target.map(documents["number"]).astype("string")
    word = pd.Series("payment", index=frame.index).where(~refund, "refund").astype("string")
    made = pd.DataFrame({
        "area": AREA, "key": own, "match_key": match, "measure": "paid", "live": live,
        "currency": frame["currency"], "scale": scales(frame["currency"]), "amount": signed,
        "customer": customer, "customer_name": books.names_of(customer), "date": frame["date"].astype(object),
        "reference": frame["reference"], "number": about.astype(object),
        "label": (word + " of " + frame["date"].astype("string")).fillna(word) + (" on " + about).fillna(""),
        "title": frame["reference"],
        "state": frame["status"].str.lower().astype(object).where(gone).where(target.notna(), "unapplied"),
        "later_days": later.where(~gone), "changed_at": frame["_modified_at"], "version": frame["_version"],
        "_target": target,
    })  # fmt: skip
    # A refund that no order shows is part of what its return shows as used.
    return made[~(refund & record.isna() & made["_target"].isin(of_return))].drop(columns="_target")


def _applied(books: Books) -> pd.DataFrame:
    """Of each return's credit note: what it is set against, and what was paid back of it."""
    import pandas as pd

    links = documents_of(books, ("credit_memo",), _return_object(books))
    source = dict(zip(links["vendor_id"], links["source_id"], strict=True))
    notes = books.ledger("credit_memo").frame
    notes = notes[notes["credit_memo_id"].isin(source)].reset_index(drop=True)
    payments = books.ledger("payment").frame
    standing = payments[(payments["kind"] == "refund") & (payments["standing"] != VOID)]
    target = standing["credit_memo_id"].astype(object).where(
        standing["credit_memo_id"].notna(), standing["invoice_id"]
    )  # fmt: skip
    back = standing["amount_minor"].astype("Int64").groupby(target).sum()
    allocated = pd.Series(
        [_sum(texts, currency) for texts, currency in zip(notes["allocated_amounts"], notes["currency"], strict=True)],
        index=notes.index, dtype="Int64",
    )  # fmt: skip
    gone = notes["standing"] == VOID
    used = allocated + notes["credit_memo_id"].astype(object).map(back).astype("Int64").fillna(0)
    customer = books.customers(notes["customer_id"])
    made = pd.DataFrame({
        "area": AREA, "key": keyed("credit_memo", notes["credit_memo_id"]),
        "match_key": f"{RETURN}:" + notes["credit_memo_id"].astype(object).map(source).astype("string"),
        "measure": "paid", "live": ~gone, "currency": notes["currency"],
        "scale": scales(notes["currency"]), "amount": used.where(~gone, 0), "customer": customer,
        "customer_name": books.names_of(customer), "number": notes["number"],
        "label": "what is used of credit note " + notes["number"].astype("string"), "title": notes["number"],
        "changed_at": notes["_modified_at"], "version": notes["_version"],
    })  # fmt: skip
    return made[made["amount"] != 0]


def _return_object(books: Books) -> str:
    return books.services.crm.mappings[RETURN].object


def _sum(texts: Any, currency: str) -> int:
    if not isinstance(texts, str) or not texts:
        return 0
    return sum(to_minor(Decimal(one or "0"), currency) for one in texts.split("\n"))


def _owners(books: Books) -> dict[str, str]:
    """Document of the ledger -> `order:<id>` of the record that it was raised for."""
    links = documents_of(books, ("invoice", "credit_memo"), books.subject_object)
    entity = books.subject.entity
    return {vendor: f"{entity}:{source}" for vendor, source in zip(links["vendor_id"], links["source_id"], strict=True)}


def _refund_owners(books: Books, owners: dict[str, str]) -> dict[str, str]:
    """Credit note -> the one record that shows its refunds: it was raised for it, is set against its invoice, or names
    that one's number. What belongs to several is divided by nobody, and belongs to none."""
    invoices = books.ledger("invoice").frame
    named = {
        (number, customer): owners[id_]
        for id_, number, customer in zip(
            invoices["invoice_id"], invoices["number"], invoices["customer_id"], strict=True
        )
        if id_ in owners
    }
    notes = books.ledger("credit_memo").frame
    found: dict[str, str] = {}
    for id_, against, reference, customer in zip(
        notes["credit_memo_id"], notes["invoice_ids"], notes["reference"], notes["customer_id"], strict=True
    ):
        ids = [id_, *(against.split("\n") if isinstance(against, str) and against else ())]
        records = {owners[one] for one in ids if one in owners}
        if not records and (reference, customer) in named:
            records = {named[reference, customer]}
        if len(records) == 1:
            found[id_] = records.pop()
    return found


def _numbers(books: Books) -> pd.DataFrame:
    """By the ledger's id of an invoice or credit note: its number, and its customer as the CRM knows it."""
    import pandas as pd

    parts = []
    for entity, key in (("invoice", "invoice_id"), ("credit_memo", "credit_memo_id")):
        frame = books.ledger(entity).frame
        customer = books.customers(frame["customer_id"]).tolist()
        parts.append(pd.DataFrame({
            "number": frame["number"].astype(object).tolist(), "customer": customer,
        }, index=frame[key].astype(object).tolist(), dtype=object))  # fmt: skip
    return pd.concat(parts)
