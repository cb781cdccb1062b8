"""What New System's books hold, and what comes of what is posted. README.md has the sources.

Amounts have two decimals, whatever the currency; a line's tax is rounded by itself, halves away from zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from sandbox.state import Record, State
from scaffold.both.sandbox.fields import Check, Refused, day, each, flag, number, text

CENT = Decimal("0.01")
ID: Mapping[str, Check] = {"id": text(20)}
_LINE: Mapping[str, Check] = {
    "item_id": text(20), "account": text(20), "description": text(1000), "quantity": number, "unit_price": number,
    "discount_percent": number, "net": number, "tax_code": text(20),
}  # fmt: skip
_SALE: Mapping[str, Check] = {
    "customer_id": text(20), "date": day, "currency": text(3), "exchange_rate": number, "lines": each(_LINE),
}  # fmt: skip
FIELDS: Mapping[str, Mapping[str, Check]] = {
    "customers": {
        "reference": text(50), "name": text(200), "tax_id": text(40), "email": text(200), "street": text(500),
        "city": text(200), "region": text(200), "postcode": text(50), "country": text(80), "currency": text(3),
        "active": flag,
    },
    "items": {"code": text(40), "name": text(200), "description": text(1000), "price": number, "active": flag},
    "invoices": {**_SALE, "number": text(40), "due_date": day, "reference": text(200), "source_url": text(500)},
    "credit_notes": {**_SALE, "reference": text(100)},
    "applications": {"credit_note_id": text(20), "invoice_id": text(20), "amount": number, "date": day},
    "payments": {"invoice_id": text(20), "amount": number, "date": day, "reference": text(100)},
    "currencies": {"code": text(3), "name": text(50), "active": flag},
    "tax_codes": {"code": text(20), "name": text(50), "rate": number, "active": flag},
    "company": {"name": text(200), "base_currency": text(3), "locked_until": day},
}  # fmt: skip
#: The field that a new record needs, and that no two live records share.
UNIQUE = {"customers": "reference", "items": "code", "invoices": "number", "credit_notes": "reference"}
NEW: Mapping[str, Record] = {
    "customers": {"active": True}, "items": {"active": True},
    "invoices": {"status": "open", "paid": "0.00", "credited": "0.00", "paid_on": None},
    "credit_notes": {"status": "open", "allocations": []}, "payments": {"status": "received"},
}  # fmt: skip
#: What can be done beside create, update and upsert.
ACTS = ("void",)
SEED: Mapping[str, Sequence[Record]] = {
    "company": [{"name": "Sandbox Ltd", "base_currency": "USD", "locked_until": None}],
    "currencies": [{"code": code, "name": code, "active": True} for code in ("USD", "GBP", "EUR")],
    "tax_codes": [
        {"code": "ZERO", "name": "No tax", "rate": "0", "active": True},
        {"code": "STANDARD", "name": "20 %", "rate": "20", "active": True},
    ],
    "items": [{"code": "FREIGHT", "name": "Freight", "active": True}],
}


def is_live(record: Record) -> bool:
    """Whether it counts: what is void or deleted leaves its number to another."""
    return not record.get("deleted") and record.get("status") != "void"


def keep(state: State, kind: str, act: str, record: Record, now: str) -> Record:
    """The record with what the books make of it, kept. Raises Refused."""
    if act == "void":
        record = _voided(state, kind, record, now)
    elif kind in ("invoices", "credit_notes"):
        if act != "create":
            raise Refused("unknown_act", f"{act}: what is in the books is voided, not changed")
        record = _posted(state, kind, record)
    elif act == "create" and kind in ("payments", "applications"):
        record = _settling(state, kind, record, now)
    return _put(state, kind, record, now)


def _put(state: State, kind: str, record: Record, now: str) -> Record:
    kept = {**record, "modified": now}
    state.table(kind).put(record["id"], kept)
    return kept


def _posted(state: State, kind: str, record: Record) -> Record:
    """A sale with its totals."""
    _one(state, "customers", record.get("customer_id"))
    _is_open_day(state, record)
    if record.get("currency") not in {one["code"] for one in state.table("currencies").values() if one["active"]}:
        raise Refused("invalid_currency", f"{record.get('currency')}: the books have no such currency")
    rates = {one["code"]: Decimal(one["rate"]) for one in state.table("tax_codes").values()}
    net = tax = Decimal(0)
    for line in record.get("lines") or ():
        if line.get("item_id"):
            _one(state, "items", line["item_id"])
        if line.get("tax_code") not in rates:
            raise Refused("invalid_tax_code", f"{line.get('tax_code')}: there is no such tax code")
        amount = Decimal(line.get("net") or 0)
        net += amount
        tax += (amount * rates[line["tax_code"]] / 100).quantize(CENT, ROUND_HALF_UP)
    left = {"invoices": "due", "credit_notes": "remaining"}[kind]
    totals = {"net": net, "tax": tax, "total": net + tax, left: net + tax}
    return {**record, **{name: f"{amount.quantize(CENT):f}" for name, amount in totals.items()}}


def _settling(state: State, kind: str, record: Record, now: str) -> Record:
    """A payment of an invoice, or a credit note that is set against one."""
    invoice = _one(state, "invoices", record.get("invoice_id"))
    amount, due = Decimal(record.get("amount") or 0), Decimal(invoice["due"])
    if not 0 < amount <= due:
        raise Refused("too_much", f"{amount}: {due} is due on invoice {invoice['number']}")
    paid, word = {"payments": ("paid", "paid_on"), "applications": ("credited", "")}[kind]
    changed: Record = {paid: f"{Decimal(invoice[paid]) + amount:f}", "due": f"{due - amount:f}"}
    if kind == "applications":
        note = _one(state, "credit_notes", record.get("credit_note_id"))
        left = Decimal(note["remaining"]) - amount
        if left < 0:
            raise Refused("too_much", f"{amount}: {note['remaining']} is left of credit note {note['id']}")
        given = {"invoice_id": invoice["id"], "amount": f"{amount:f}", "date": record.get("date")}
        status = "open" if left else "settled"
        used = {"remaining": f"{left:f}", "allocations": [*note["allocations"], given], "status": status}
        _put(state, "credit_notes", note | used, now)
    if amount == due:
        changed |= {"status": "settled"} | ({word: record.get("date")} if word else {})
    _put(state, "invoices", invoice | changed, now)
    same = {"customer_id": invoice["customer_id"], "currency": invoice["currency"]}
    return {**record, **same, "exchange_rate": invoice.get("exchange_rate")}


def _voided(state: State, kind: str, record: Record, now: str) -> Record:
    if record.get("status") == "void":
        return record
    _is_open_day(state, record)
    if Decimal(record.get("paid") or 0) or Decimal(record.get("credited") or 0) or record.get("allocations"):
        raise Refused("settled", f"{kind} {record['id']}: something was paid or credited on it")
    if kind == "payments":
        invoice = _one(state, "invoices", record["invoice_id"])
        amount = Decimal(record["amount"])
        paid, due = Decimal(invoice["paid"]) - amount, Decimal(invoice["due"]) + amount
        back = {"paid": f"{paid:f}", "due": f"{due:f}", "status": "open", "paid_on": None}
        _put(state, "invoices", invoice | back, now)
    left = {"invoices": "due", "credit_notes": "remaining"}.get(kind)
    return {**record, "status": "void", **({left: "0.00"} if left else {})}


def _is_open_day(state: State, record: Record) -> None:
    (company,) = state.table("company").values()
    if (company.get("locked_until") or "") >= (record.get("date") or "~"):
        raise Refused("period_locked", f"the books are locked until {company['locked_until']}")


def _one(state: State, kind: str, id_: Any) -> Record:
    found = state.table(kind).get(str(id_))
    if found is None or not is_live(found):
        raise Refused("not_found", f"{kind} {id_}: there is none")
    return found
