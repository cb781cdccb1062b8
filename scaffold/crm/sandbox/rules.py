"""What New System's records hold, and the little that it makes of them. README.md has the sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sandbox.state import Record, State
from scaffold.both.sandbox.fields import Check, Refused, day, number, text

ID: Mapping[str, Check] = {"id": text(20)}
FIELDS: Mapping[str, Mapping[str, Check]] = {
    "accounts": {
        "number": text(50), "name": text(200), "tax_id": text(40), "email": text(200), "street": text(500),
        "city": text(200), "region": text(200), "postcode": text(50), "country": text(80), "currency": text(3),
        "ledger_id": text(36), "ledger_number": text(50),
    },
    "orders": {
        "number": text(60), "account_id": text(20), "date": day, "currency": text(3), "exchange_rate": number,
        "status": text(20), "freight": number, "reference": text(200), "invoice_id": text(36),
        "invoice_number": text(255), "invoice_status": text(40), "invoice_total": number, "invoice_due": number,
        "invoice_paid": number, "invoice_paid_on": day, "refunded": number, "refunded_on": day, "message": text(255),
    },
    "order_lines": {
        "order_id": text(20), "position": number, "code": text(80), "description": text(1000), "quantity": number,
        "unit_price": number, "discount_percent": number, "tax_code": text(40),
    },
    "ledger_invoices": {
        "invoice_id": text(36), "account_id": text(20), "number": text(255), "kind": text(40), "status": text(40),
        "currency": text(3), "total": number, "due": number, "paid": number, "date": day, "due_date": day,
        "paid_on": day,
    },
}  # fmt: skip
#: The field that a new record needs, and that no two live records share.
UNIQUE = {"orders": "number", "ledger_invoices": "invoice_id"}
NEW: Mapping[str, Record] = {"orders": {"status": "draft"}}
#: What can be done beside create, update and upsert.
ACTS = ("delete",)
SEED: Mapping[str, Sequence[Record]] = {}
_ABOVE = {"account_id": "accounts", "order_id": "orders"}


def is_live(record: Record) -> bool:
    """Whether it counts: what is deleted leaves its number to another."""
    return not record.get("deleted")


def keep(state: State, kind: str, act: str, record: Record, now: str) -> Record:
    """The record, kept; a deleted one stays as a mark. Raises Refused."""
    for name, above in _ABOVE.items():
        found = state.table(above).get(str(record.get(name))) if name in record else None
        if name in record and (found is None or not is_live(found)):
            raise Refused("not_found", f"{name}: there is no {record[name]}")
    kept = {**record, "modified": now, **({"deleted": True} if act == "delete" else {})}
    state.table(kind).put(record["id"], kept)
    return kept
